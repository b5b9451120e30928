// moproc lowshot on small folders in VOC's and Places' layouts: the drawn images, the printed table, and stopped runs.

import { spawn } from "node:child_process";
import { appendFileSync, copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import test from "ava";
import { Shell } from "../support/cli.js";

const shell = new Shell("lowshot");
test.after.always(() => shell.remove());

interface Table {
  readonly settings: Readonly<Record<string, string | number>>;
  readonly results: readonly {
    k: number;
    images: number;
    mean: number;
    deviation: number;
    draws: number[];
    classes?: Record<string, number>;
  }[];
}
const table = (file: string): Table => JSON.parse(shell.text(file)) as Table;
const checkpoint = "run/checkpoint_0001.safetensors";
const voc = (...flags: readonly string[]): string =>
  shell.done("lowshot", "-b", "16", "--model_path", checkpoint, "--voc-path", "voc", "--quiet", ...flags);

test.before(() => {
  const sample = (out: string, ...flags: readonly string[]): void =>
    void shell.done("data", "sample", "--out", out, "--size", "40", ...flags);
  sample("data", "--classes", "4", "--images", "240", "--val", "16", "--ood", "0");
  sample("voc", "--layout", "voc", "--images", "120", "--val", "60");
  sample("places", "--layout", "places", "--images", "410", "--val", "205");
  const model = "-a resnet10 --width 0.125 -b 16 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 64".split(" ");
  shell.done("train", ...model, "--data", "data", "--exp-dir", "run", "--epochs", "2", "--quiet");
});

test.serial("VOC: a table and the same as JSON, equal for equal seeds; the image lists decide", (t) => {
  const out = voc("--shots", "1", "4", "--draws", "3");
  t.regex(out, /voc: 120 training images, 60 test images/);
  const [one, four] = table("lowshot.json").results;
  t.deepEqual([one?.k, one?.images, four?.k, four?.images], [1, 20, 4, 80]);
  t.regex(out, new RegExp(` 4 +80 +${four?.mean.toFixed(2)} +${four?.deviation.toFixed(2)} `));
  for (const r of [one, four]) {
    const draws = r?.draws as number[];
    t.is(draws.length, 3);
    const mean = draws.reduce((a, x) => a + x) / 3;
    t.true(Math.abs((r?.mean as number) - mean) < 1e-9);
    t.true(Math.abs((r?.deviation as number) - Math.sqrt(draws.reduce((a, x) => a + (x - mean) ** 2, 0) / 3)) < 1e-9);
    const of_class = Object.values(r?.classes as Record<string, number>);
    t.is(of_class.length, 20);
    t.true(Math.abs(of_class.reduce((a, x) => a + x) / 20 - mean) < 1e-9);
  }
  t.false(existsSync(shell.at("lowshot.json.features")));
  voc("--shots", "1", "4", "--draws", "3", "--output", "again.json", "--threads", "1");
  t.deepEqual(table("again.json").results, table("lowshot.json").results);
  voc("--shots", "1", "4", "--draws", "3", "--output", "other.json", "--seed", "1");
  t.notDeepEqual(table("other.json").results, table("lowshot.json").results);
  voc("--shots", "1", "4", "--draws", "3", "--output", "ignored.json", "--difficult", "ignore");
  t.notDeepEqual(table("ignored.json").results, table("lowshot.json").results);
});

test.serial("Places: accuracy over 205 classes; classes with too few images are counted", (t) => {
  const out = shell.done(
    "lowshot",
    "-b",
    "16",
    "--model-path",
    checkpoint,
    "--dataset",
    "places",
    "--places-path",
    "places",
    "--shots",
    "2",
    "3",
    "--draws",
    "2",
    "--output",
    "places.json",
  );
  t.regex(out, /k = 3: 205 of 205 classes have fewer training images, all of which are taken; the fewest: 2 of 0/);
  const { settings, results } = table("places.json");
  t.is(settings.metric, "top-1 accuracy, percent");
  t.deepEqual(
    results.map((r) => r.images),
    [410, 410],
  );
  t.deepEqual(results[0]?.draws, results[1]?.draws); // all images, each time
  // Tested on the very images it is trained on, most are right.
  const split = (name: string): string => shell.at("places", "trainvalsplit_places205", `${name}_places205.csv`);
  copyFileSync(split("train"), split("val"));
  shell.done(
    "lowshot",
    "-b",
    "16",
    "--model-path",
    checkpoint,
    "--dataset",
    "places",
    "--places-path",
    "places",
    "--shots",
    "2",
    "--draws",
    "1",
    "--cost",
    "1e4",
    "--output",
    "same.json",
  );
  t.true((table("same.json").results[0]?.mean as number) > 50, shell.text("same.json"));
});

test.serial("stopped by SIGTERM while features are computed, it goes on and says the same", async (t) => {
  const flags = [
    "lowshot",
    "-b",
    "16",
    "--model-path",
    checkpoint,
    "--voc-path",
    "voc",
    "--shots",
    "2",
    "--draws",
    "2",
    "--output",
  ];
  shell.done(...flags, "whole.json");
  const kept = shell.at("cut.json.features");
  const run = spawn(process.execPath, [shell.main, ...flags, "cut.json", "--workers", "1"], {
    cwd: shell.dir,
    stdio: "ignore",
  });
  while (!existsSync(kept) || statSync(kept).size < 4096) await new Promise((r) => setTimeout(r, 2));
  run.kill("SIGTERM");
  const status = await new Promise((resolve) => run.on("close", resolve));
  if (status !== 0) {
    t.is(status, 143);
    t.true(existsSync(kept));
    appendFileSync(kept, "part of a row");
  }
  const out = shell.done(...flags, "cut.json");
  if (status !== 0) t.regex(out, /features of \d+ of \d+ images are there/);
  t.deepEqual(table("cut.json").results, table("whole.json").results);
  writeFileSync(kept, '{"format": "moproc-features-1", "network": "another"}\n');
  const other = shell.moproc(...flags, "cut.json");
  t.is(other.status, 2);
  t.regex(other.err, /cut\.json\.features: holds features of another network or list; remove it to begin anew/);
  rmSync(kept);
});

test.serial("a disk that is full, then one that is not: the same numbers; packed folders, too", (t) => {
  const flags = [
    "lowshot",
    "-b",
    "16",
    "--model-path",
    checkpoint,
    "--voc-path",
    "voc",
    "--shots",
    "1",
    "--draws",
    "2",
    "--output",
  ];
  shell.done(...flags, "roomy.json");
  const full = shell.limited(16, ...flags, "full.json");
  t.is(full.status, 2, full.out);
  t.regex(full.err, /full\.json\.features: .*[Ff]ile too large/);
  t.regex(shell.done(...flags, "full.json"), /features of \d+ of \d+ images are there/);
  t.deepEqual(table("full.json").results, table("roomy.json").results);
  shell.done("data", "pack", "voc", "--out", "voc packed", "--short-side", "0", "--per-shard", "50");
  shell.done(...flags.map((f) => (f === "voc" ? "voc packed" : f)), "packed.json");
  t.deepEqual(table("packed.json").results, table("roomy.json").results);
});

test.serial("images that cannot be read are counted and left out", (t) => {
  const [line = ""] = shell.text("voc", "VOCdevkit", "VOC2007", "ImageSets", "Main", "test.txt").split("\n");
  const file = shell.at("voc", "VOCdevkit", "VOC2007", "JPEGImages", `${line}.jpg`);
  const whole = readFileSync(file);
  writeFileSync(file, whole.subarray(0, 100));
  const r = shell.moproc(
    "lowshot",
    "-b",
    "16",
    "--model-path",
    checkpoint,
    "--voc-path",
    "voc",
    "--shots",
    "1",
    "--draws",
    "1",
    "--output",
    "broken.json",
    "--supervise",
    "--max-broken",
    "2",
  );
  writeFileSync(file, whole);
  t.is(r.status, 0, r.err);
  t.regex(r.out, /, 1 cannot be read/);
  t.regex(r.out, /note: --supervise has no effect/);
  t.is(table("broken.json").settings.unreadable, 1);
});

test.serial("refused: folders and checkpoints that do not fit", (t) => {
  const no = (message: RegExp, ...flags: readonly string[]): void => {
    const r = shell.moproc("lowshot", "-b", "16", ...flags);
    t.is(r.status, 2, r.err);
    t.regex(r.err, message);
  };
  const from = ["--model-path", checkpoint];
  no(/--model-path FILE is needed/, "--voc-path", "voc");
  no(/--voc-path DIR is needed/, ...from);
  no(/data\/VOCdevkit.*: no such folder; a VOC folder holds the devkit/, ...from, "--voc-path", "data");
  no(/VOCdevkit: is the VOCdevkit itself/, ...from, "--voc-path", "voc/VOCdevkit");
  no(/--places-path DIR is needed/, ...from, "--dataset", "places");
  no(/--dataset coco: must be voc or places/, ...from, "--dataset", "coco");
  const list = shell.at("voc", "VOCdevkit", "VOC2007", "ImageSets", "Main", "bird_test.txt");
  const text = readFileSync(list, "utf8");
  writeFileSync(list, text.replace("\n", "\n999999 -1\n"));
  no(/bird_test\.txt:2: '999999' is not in the list of aeroplane/, ...from, "--voc-path", "voc");
  writeFileSync(list, text.replace(/.*\n/, ""));
  no(/bird_test\.txt: names 59 images, but the list of aeroplane names 60/, ...from, "--voc-path", "voc");
  writeFileSync(list, text);
  rmSync(list);
  no(/ImageSets\/Main\/bird_test\.txt: .*No such file/, ...from, "--voc-path", "voc");
  writeFileSync(list, text.replaceAll(/ +1$/gm, " -1"));
  no(
    /voc: 1 of 20 classes \(bird\) have no test image, so they have no average precision/,
    ...from,
    "--voc-path",
    "voc",
  );
  writeFileSync(list, text);
  const learned = list.replace("_test", "_trainval");
  const train = readFileSync(learned, "utf8");
  writeFileSync(learned, train.replaceAll(/ +1$/gm, " -1"));
  no(/voc: 1 of 20 classes \(bird\) have no training image, so they cannot be learned/, ...from, "--voc-path", "voc");
  writeFileSync(learned, train);
});

test.serial("Places: labels that count from 1 need --first-label; classes that only one list has are said", (t) => {
  shell.done("data", "sample", "--out", "odd", "--size", "40", "--layout", "places", "--images", "410", "--val", "205");
  const split = (name: string): string => shell.at("odd", "trainvalsplit_places205", `${name}_places205.csv`);
  const [train, val] = ["train", "val"].map((s) => readFileSync(split(s), "utf8")) as [string, string];
  const shifted = (text: string, by: number): string =>
    text.replaceAll(/ (\d+)$/gm, (_, label: string) => ` ${Number(label) + by}`);
  const write = (trainText: string, valText: string): void => {
    writeFileSync(split("train"), trainText);
    writeFileSync(split("val"), valText);
  };
  const flags = ["lowshot", "-b", "16", "--model-path", checkpoint, "--dataset", "places", "--places-path", "odd"];
  const few = ["--shots", "1", "--draws", "1", "--output", "odd.json"];
  const run = (...more: readonly string[]) => shell.moproc(...flags, ...few, ...more);
  const line = (text: string, label: number): number => text.split("\n").findIndex((l) => l.endsWith(` ${label}`)) + 1;

  write(shifted(train, 1), shifted(val, 1));
  const above = run();
  t.is(above.status, 2);
  t.regex(
    above.err,
    new RegExp(
      `train_places205\\.csv:${line(shifted(train, 1), 205)}: label 205 is out of range 0\\.\\.204; ` +
        "if the first class is 1, use --first-label 1",
    ),
  );
  t.is(run("--first-label", "1").status, 0);
  const moved = table("odd.json").results;
  t.is(table("odd.json").settings.first_label, 1);
  write(train, val);
  t.is(run().status, 0);
  t.deepEqual(table("odd.json").results, moved);
  const below = run("--first-label", "1");
  t.is(below.status, 2);
  t.regex(below.err, new RegExp(`train_places205\\.csv:${line(train, 0)}: label 0 is out of range 1\\.\\.205`));

  const without = (text: string, ...labels: readonly number[]): string =>
    text
      .split("\n")
      .filter((l) => !labels.some((c) => l.endsWith(` ${c}`)))
      .join("\n");
  write(train, without(val, 0, 7));
  const untested = run();
  t.is(untested.status, 0, untested.err);
  t.regex(
    untested.out,
    /warning: odd\/.*val_places205\.csv: no label is 0; if the first class is 1, use --first-label 1/,
  );
  t.regex(
    untested.out,
    /warning: places: 2 of 205 classes \(0, 7\) have no test image, so the accuracy does not count/,
  );
  write(without(train, 3, 4, 5, 6), val);
  const unlearned = run();
  t.is(unlearned.status, 2);
  t.regex(unlearned.err, /places: 4 of 205 classes \(3, 4, 5 and 1 more\) have no training image, so they cannot be/);
  t.regex(shell.moproc("data", "check", "odd", "--first-label", "1").err, /label 0 is out of range 1\.\.205/);
});
