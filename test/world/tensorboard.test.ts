// TensorBoard's view of a run, read by the published definitions of its messages (test/support/tensorboard.ts).

import { copyFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import test from "ava";
import { Shell } from "../support/cli.js";
import { allEvents, eventFiles, hparams, readEvents, scalars } from "../support/tensorboard.js";

const shell = new Shell("tensorboard");
test.after.always(() => shell.remove());

const model = "-a resnet10 --width 0.125 -b 16 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 64".split(" ");
const train = (data: string, exp: string, ...more: readonly string[]): string =>
  shell.done(
    ...["train", ...model, "--data", data, "--exp-dir", exp, "--epochs", "3", "--start_clean_epoch", "2", "--lr"],
    ...["0.02", "--pseudo_th", "0.4", "-p", "1", "--quiet", ...more],
  );

const STEPS = 10; // per epoch
test.before(() => {
  const sizes = "--classes 4 --images 160 --val 20 --size 40".split(" ");
  shell.done("data", "sample", "--out", "data", ...sizes);
  shell.done("data", "sample", "--layout", "imagenet", "--out", "blüten", ...sizes);
  train("data", "whole");
});

const stepTags = ["lr", "images_per_s", "loss", "loss_cls", "loss_inst", "acc_cls", "acc_inst"].map((t) => `step/${t}`);
const cleanTags = ["kept_share", "corrected_share", "dropped_share"].map((t) => `step/${t}`);
const epochTags = ["loss", "loss_cls", "loss_inst", "lr", "images_per_s"].map((t) => `epoch/${t}`);
const published = ["Train Acc", "Instance Acc", "WebVision top1 Acc", "WebVision top5 Acc"];

test("steps and epochs have their losses, rates, shares and accuracies, with the values of the log", (t) => {
  const found = scalars(shell.at("whole"));
  const count = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
  const stepsOf = (tag: string): number[] | undefined => found.get(tag)?.map(([step]) => step);
  for (const tag of stepTags) t.deepEqual(stepsOf(tag), count(1, 3 * STEPS + 1), tag);
  for (const tag of [...published, ...epochTags]) t.deepEqual(stepsOf(tag), [0, 1, 2], tag);
  for (const tag of cleanTags) t.deepEqual(stepsOf(tag), count(2 * STEPS + 1, 3 * STEPS + 1), tag);
  for (const tag of ["step/loss_proto", "step/acc_proto"]) t.deepEqual(stepsOf(tag), count(STEPS + 1, 3 * STEPS + 1));
  for (const tag of ["Prototype Acc", "epoch/loss_proto"]) t.deepEqual(stepsOf(tag), [1, 2], tag);
  for (const tag of ["step/data top1", "step/data top5"]) t.deepEqual(stepsOf(tag), [10, 20, 30], tag);

  const lines = shell.metrics("whole");
  const logged = (event: string, key: string): (number | string | undefined)[] =>
    lines.filter((l) => l.event === event && key in l).map((l) => Math.fround(l[key] as number));
  const values = (tag: string): number[] | undefined => found.get(tag)?.map(([, v]) => v);
  for (const name of ["loss", "loss_cls", "loss_inst", "loss_proto", "acc_cls", "acc_proto", "lr", "images_per_s"])
    t.deepEqual(values(`step/${name}`), logged("train", name), name);
  t.deepEqual(values("WebVision top1 Acc"), logged("evaluate", "top1"));
  t.deepEqual(values("step/data top5"), logged("evaluate", "top5"));
  t.deepEqual(values("Train Acc"), logged("epoch", "acc_cls_avg"));
  t.deepEqual(values("epoch/loss"), logged("epoch", "loss_avg"));
  const clean = lines.find((l) => l.event === "epoch" && l.phase === "clean") as Record<string, number>;
  const means = cleanTags.map((tag) => (values(tag) as number[]).reduce((a, b) => a + b, 0) / STEPS);
  const shares = [clean.corrected as number, clean.dropped as number].map((n) => n / (clean.labels as number));
  const expected = [1 - (shares[0] as number) - (shares[1] as number), ...shares];
  means.forEach((m, i) => {
    t.true(Math.abs(m - (expected[i] as number)) < 1e-6, `${cleanTags[i]}: ${m}, ${expected[i]}`);
  });
  t.true(shares.every((s) => s > 0));
});

test("the HParams plugin has the experiment, the run's settings and its end; the text plugin has the settings", (t) => {
  const records = hparams(shell.at("whole"));
  const at = "_hparams_";
  t.deepEqual(
    records.map(([tag]) => tag),
    [`${at}/experiment`, `${at}/session_start_info`, `${at}/session_end_info`],
  );
  const [experiment, start, end] = records.map(([, data]) => data) as [
    { readonly experiment: { readonly hparam_infos: { name: string; type: number }[]; metric_infos: unknown[] } },
    { readonly session_start_info: { readonly hparams: Record<string, object>; readonly start_time_secs: number } },
    { readonly session_end_info: { readonly status: number; readonly end_time_secs: number } },
  ];
  const values = start.session_start_info.hparams;
  t.deepEqual(values.lr, { number_value: 0.02 });
  t.deepEqual(values.epochs, { number_value: 3 });
  t.deepEqual(values.arch, { string_value: "resnet10" });
  t.deepEqual(values.num_class, { number_value: 4 });
  t.deepEqual(values.data, { string_value: "data" });
  const type = (v: object): number => ("string_value" in v ? 1 : "bool_value" in v ? 2 : 3);
  t.deepEqual(
    Object.fromEntries(experiment.experiment.hparam_infos.map((i) => [i.name, i.type])),
    Object.fromEntries(Object.entries(values).map(([name, v]) => [name, type(v)])),
  );
  const metrics = experiment.experiment.metric_infos as { readonly name: { readonly tag: string } }[];
  const found = scalars(shell.at("whole"));
  for (const { name } of metrics) t.true(found.has(name.tag), `a metric that is logged: ${name.tag}`);
  t.true(metrics.some(({ name }) => name.tag === "WebVision top1 Acc"));
  t.is(end.session_end_info.status, 1, "success");
  t.true(end.session_end_info.end_time_secs >= start.session_start_info.start_time_secs);
  for (const e of allEvents(shell.at("whole")))
    for (const v of e.summary?.value ?? [])
      if (v.metadata) t.deepEqual([v.metadata.data_class, v.tensor !== undefined], [2, true], `${v.tag} is a tensor`);

  const texts = allEvents(shell.at("whole")).flatMap((e) =>
    (e.summary?.value ?? []).filter((v) => v.metadata?.plugin_data.plugin_name === "text"),
  );
  t.deepEqual(
    texts.map((v) => [v.tag, v.tensor?.dtype, v.tensor?.tensor_shape]),
    [["settings", 7, {}]],
  );
  const text = Buffer.from(texts[0]?.tensor?.string_val?.[0] as string, "base64").toString();
  t.true(text.startsWith("| setting | value |\n| --- | --- |\n"));
  for (const row of ["| lr | 0.02 |", "| arch | resnet10 |", "| epochs | 3 |"]) t.true(text.includes(`${row}\n`), text);
});

test("a run that was killed and restarted several times has one curve, that of a run that was not", (t) => {
  const go = (...more: readonly string[]): string =>
    train("data", "cut", "--checkpoint-every", "4", "--keep", "99", ...more);
  const lose = (name: string): void => rmSync(shell.at("cut", `checkpoint_${name}.safetensors`));
  go("--steps", "7");
  lose("0000_000007"); // as if the process had been killed behind step 7: it goes on after step 4
  t.regex(go("--resume", "auto", "--steps", "12"), /note: 21 values of TensorBoard after step 4 are removed/);
  const files = eventFiles(shell.at("cut"));
  t.is(files.length, 2);
  const last = files[1] as string;
  truncateSync(last, readFileSync(last).length - 5); // in the middle of an event
  lose("0001_000006"); // epoch 1 of ten steps: step 16
  lose("0001_000004");
  go("--resume", "auto", "--steps", "12"); // repeats from the end of epoch 0
  go("--resume", "auto");
  const [whole, cut] = [scalars(shell.at("whole")), scalars(shell.at("cut"))];
  t.deepEqual([...cut.keys()].toSorted(), [...whole.keys()].toSorted());
  for (const [tag, points] of whole) {
    if (tag.endsWith("images_per_s"))
      t.deepEqual(
        cut.get(tag)?.map(([s]) => s),
        points.map(([s]) => s),
        tag,
      );
    else t.deepEqual(cut.get(tag), points, tag);
  }
  t.deepEqual(
    hparams(shell.at("cut")).map(([tag]) => tag.slice(10)),
    ["experiment", "session_start_info", "session_end_info"],
  );
  for (const file of eventFiles(shell.at("cut"))) {
    const [first, second] = readEvents(file);
    t.deepEqual([first?.file_version, first?.source_metadata?.writer], ["brain.Event:2", "moproc"]);
    t.is(second?.session_log?.status, 1, "readers that saw the removed values forget them");
  }
});

test("event files of other programs in the folder stay as they are", (t) => {
  const mine = eventFiles(shell.at("whole"))[0] as string;
  train("data", "shared", "--steps", "3");
  rmSync(shell.at("shared", "checkpoint_0000_000003.safetensors"));
  const other = shell.at("shared", "events.out.tfevents.0000000001.somebody.1.0");
  copyFileSync(mine, other);
  // the first event without its writer, as other programs write it
  const bytes = readFileSync(mine);
  const at = bytes.indexOf("moproc");
  bytes.write("others", at);
  writeFileSync(other, bytes);
  train("data", "shared", "--steps", "3", "--overwrite");
  t.deepEqual(readFileSync(other), bytes);
  t.is(eventFiles(shell.at("shared")).length, 2, "the one of the run that began again is gone");
});

test("tags are named after the data, unless it is WebVision's; bytes that are no text do no harm", (t) => {
  train("blüten", "flowers", "--steps", "10");
  const tags = [...scalars(shell.at("flowers")).keys()];
  for (const tag of ["blüten top1 Acc", "blüten top5 Acc", "step/blüten top1"]) t.true(tags.includes(tag), tags.join());
  t.false(tags.some((tag) => tag.includes("WebVision")));
  t.deepEqual(
    shell
      .metrics("flowers")
      .filter((l) => l.event === "evaluate")
      .map((l) => l.set),
    ["blüten"],
  );
});

test("a run that ends because it diverges is a failure; a run that stops is neither", (t) => {
  const r = shell.moproc(
    ...["train", ...model, "--data", "data", "--exp-dir", "bad", "--lr", "1e30", "--max-skips", "2", "--quiet"],
  );
  t.not(r.status, 0);
  const end = (dir: string): unknown =>
    hparams(shell.at(dir)).find(([tag]) => tag.endsWith("session_end_info"))?.[1].session_end_info;
  t.is((end("bad") as { readonly status: number }).status, 2);
  t.is(end("flowers"), undefined);
});
