// moproc retrain: frozen state does not change by a bit, the classifier learns from the cleaned list, and a stopped run
// continues.

import { copyFileSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import test from "ava";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { Shell } from "../support/cli.js";
import { scalars } from "../support/tensorboard.js";

const shell = new Shell("retrain");
test.after.always(() => shell.remove());

const classes = 4;
const model =
  `-a resnet10 --width 0.125 -b 16 --image-size 32 --num-class ${classes} --low-dim 8 --moco_queue 64`.split(" ");
const mopro = "mopro/checkpoint_0003.safetensors";
const retrain = (exp: string, ...flags: readonly string[]): string =>
  shell.done(
    "retrain",
    "-b",
    "16",
    "--data",
    "data",
    "--annotation",
    "clean.json",
    "--exp-dir",
    exp,
    "--quiet",
    ...flags,
  );

test.before(() => {
  shell.done(
    "data",
    "sample",
    "--out",
    "data",
    "--classes",
    `${classes}`,
    "--images",
    "640",
    "--val",
    "80",
    "--size",
    "40",
    "--noise",
    "0.2",
    "--ood",
    "0",
  );
  shell.done(
    "train",
    ...model,
    "--data",
    "data",
    "--exp-dir",
    "mopro",
    "--epochs",
    "4",
    "--lr",
    "0.05",
    "--start_clean_epoch",
    "9",
    "--quiet",
  );
  shell.done("clean", "-b", "16", "--data", "data", "--resume", mopro, "--annotation", "clean.json", "--no-html");
});

/** Tensors of a checkpoint under torchvision's names. */
function tensors(file: string): ReadonlyMap<string, Float32Array> {
  const f = SafetensorsFile.open(shell.at(file));
  const names = [...f.tensors.keys()].filter(
    (n) => /^(encoder_q\.)?(conv1|bn1|layer|fc\.|classifier)/.test(n) && !n.endsWith("num_batches_tracked"),
  );
  const all = names.map(
    (n) => [n.replace("encoder_q.", "").replace("classifier.", "fc."), Float32Array.from(f.floats(n))] as const,
  );
  f.close();
  return new Map(all);
}
const changed = (a: ReadonlyMap<string, Float32Array>, b: ReadonlyMap<string, Float32Array>): string[] =>
  [...a]
    .filter(([n, x]) => !Buffer.from(x.buffer).equals(Buffer.from((b.get(n) as Float32Array).buffer)))
    .map(([n]) => n);
const top1 = (exp: string, set = "WebVision"): number[] =>
  shell
    .metrics(exp)
    .filter((m) => m.event === "evaluate" && m.set === set)
    .map((m) => m.top1 as number);

test.serial("the trunk stays as it is, the classifier learns; published defaults; the result is exported", (t) => {
  const out = retrain("crt", "--resume", mopro);
  const [before, after] = [tensors(mopro), tensors("crt/checkpoint_0014.safetensors")];
  t.deepEqual(changed(before, after).sort(), ["fc.bias", "fc.weight"]);
  t.is(top1("crt").length, 15);
  t.regex(out, /its classifier too/);
  const rates = shell
    .metrics("crt")
    .filter((m) => m.event === "epoch")
    .map((m) => m.lr as number);
  t.deepEqual(
    rates.map((r) => Number(r.toPrecision(6))),
    [...Array(5).fill(0.01), ...Array(5).fill(0.001), ...Array(5).fill(0.0001)],
  );
  const losses = shell
    .metrics("crt")
    .filter((m) => m.event === "epoch")
    .map((m) => m.loss_avg as number);
  t.true((losses.at(-1) as number) < (losses[0] as number));
  t.regex(
    shell.done("export", "--resume", "crt/checkpoint_0014.safetensors", "-o", "crt.onnx", "--verify"),
    /relative, tolerance/,
  );
});

test.serial(
  "a classifier that is drawn anew learns as well; --finetune trains all layers; --compat released runs an epoch more",
  (t) => {
    t.regex(retrain("reset", "--resume", mopro, "--init-classifier", "reset"), /drawn anew/);
    const best = Math.max(...top1("reset"));
    t.true(best > 100 / classes + 5, `top-1 ${best}`);
    retrain("all", "--resume", mopro, "--finetune", "--epochs", "1");
    t.true(changed(tensors(mopro), tensors("all/checkpoint_0000.safetensors")).length > 40);
    retrain("released", "--resume", mopro, "--epochs", "1", "--compat", "released");
    t.is(top1("released").length, 2);
  },
);

test.serial(
  "the classifier that a checkpoint brings is evaluated as training evaluated it, on ImageNet's layout too",
  (t) => {
    const list = shell
      .text("data", "info", "val_filelist.txt")
      .trim()
      .split("\n")
      .map((l) => l.split(" ") as [string, string]);
    for (const [image, label] of list) {
      const folder = shell.at("imagenet", "val", `n0000000${Number(label) + 1}`); // WebVision's synset
      mkdirSync(folder, { recursive: true });
      copyFileSync(shell.at("data", "val_images_256", image), `${folder}/${image}`);
    }
    const out = retrain("none", "--resume", mopro, "--evaluate", "--imagenet", "imagenet");
    const trained = shell
      .metrics("mopro")
      .filter((m) => m.event === "evaluate")
      .at(-1) as Record<string, number>;
    const shown = (trained.top1 as number).toFixed(2);
    t.true(out.includes(`validation: top-1 ${shown} `), out);
    t.true(out.includes(`validation (ImageNet): top-1 ${shown} `), out);
  },
);

test.serial("two validation sets in folders of one name are two curves", (t) => {
  cpSync(shell.at("imagenet"), shell.at("elsewhere", "data"), { recursive: true });
  retrain("twice", "--resume", mopro, "--imagenet", "elsewhere/data", "--epochs", "1");
  const steps = [...scalars(shell.at("twice"))].filter(([tag]) => tag.startsWith("step/data"));
  t.deepEqual(
    steps.map(([tag, values]) => [tag, values.length]),
    ["data top1", "data top5", "data of --imagenet top1", "data of --imagenet top5"].map((n) => [`step/${n}`, 1]),
  );
});

test.serial("a run that was stopped goes on with the same bits", (t) => {
  retrain("whole", "--resume", mopro, "--epochs", "2");
  const auto = ["--resume", "auto", "--pretrained", mopro, "--epochs", "2"];
  t.regex(retrain("cut", ...auto, "--steps", "30"), /no checkpoint in cut yet/);
  retrain("cut", ...auto);
  t.deepEqual(changed(tensors("whole/checkpoint_0001.safetensors"), tensors("cut/checkpoint_0001.safetensors")), []);
  t.regex(retrain("cut", "--resume", "cut/checkpoint_0001.safetensors", "--epochs", "3"), /epoch 2, step 0/);
});

test.serial("refused: lists and checkpoints that do not fit, by entry and tensor", (t) => {
  const no = (message: RegExp, ...flags: readonly string[]): void => {
    const r = shell.moproc("retrain", "-b", "16", "--data", "data", "--exp-dir", "no", ...flags);
    t.is(r.status, 2, r.err);
    t.regex(r.err, message);
  };
  const list = JSON.parse(shell.text("clean.json")) as { readonly images: string[]; readonly labels: number[] };
  const write = (name: string, images: readonly unknown[], labels: readonly unknown[]): void =>
    writeFileSync(shell.at(name), JSON.stringify({ images, labels }));
  write("range.json", list.images, list.labels.with(3, classes));
  no(/range\.json: entry 3 \(.*\): the label is not in 0\.\.3/, "--annotation", "range.json", "--resume", mopro);
  write("missing.json", list.images.with(5, "google/none.jpg").with(7, "google/no other.jpg"), list.labels);
  no(
    /missing\.json: 2 of \d+ images are not in data; the first: google\/none\.jpg/,
    "--annotation",
    "missing.json",
    "--resume",
    mopro,
  );
  write("short.json", list.images, list.labels.slice(1));
  no(/images, but \d+ labels/, "--annotation", "short.json", "--resume", mopro);
  no(/--resume FILE is needed/, "--annotation", "clean.json");
  no(/--resume auto needs --pretrained/, "--annotation", "clean.json", "--resume", "auto");
  no(/none\.tar: no such file/, "--annotation", "clean.json", "--resume", "none.tar");
  no(/-a resnet18: .*resnet10/, "--annotation", "clean.json", "--resume", mopro, "-a", "resnet18");
  shell.done("compile", ...model, "--width", "0.25", "--task", "retrain", "-o", "wide");
  no(
    /tensor layer1\.0\.conv1\.weight is f32\[8,64,3,3\], the artefact needs f32\[16,64,3,3\]/,
    "--annotation",
    "clean.json",
    "--resume",
    mopro,
    "--artefact",
    "wide",
  );
  no(
    /--init-classifier frob: must be keep or reset/,
    "--annotation",
    "clean.json",
    "--resume",
    mopro,
    "--init-classifier",
    "frob",
  );
});

test.serial(
  "--cache-features: features are computed once and reused, and the classifier that is trained on them is as good",
  (t) => {
    const out = retrain("cached", "--resume", mopro, "--cache-features", "--epochs", "4");
    t.regex(out, /features of the training images/);
    const [before, after] = [tensors(mopro), tensors("cached/checkpoint_0003.safetensors")];
    t.deepEqual(changed(before, after).sort(), ["fc.bias", "fc.weight"]);
    // The classifier as it was trained, evaluated on the images themselves.
    const last = shell
      .metrics("cached")
      .filter((m) => m.event === "evaluate")
      .at(-1);
    retrain("check", "--resume", "cached/checkpoint_0003.safetensors", "--evaluate", "--json-log", "check.jsonl");
    const again = JSON.parse(shell.text("check.jsonl").trim().split("\n").at(-1) as string) as Record<string, number>;
    for (const key of ["images", "correct1", "correct5", "balanced1", "balanced5"])
      t.is(again[key], last?.[key] as number, key);
    t.true((last?.top1 as number) > 100 / classes + 5);

    retrain("cut features", "--resume", mopro, "--cache-features", "--epochs", "4", "--steps", "45");
    const resumed = retrain(
      "cut features",
      "--resume",
      "auto",
      "--pretrained",
      mopro,
      "--cache-features",
      "--epochs",
      "4",
    );
    t.regex(resumed, /cut features\/features\/train: features of \d+ of \d+ images are there/);
    t.deepEqual(changed(tensors("cut features/checkpoint_0003.safetensors"), after), []);
    const both = shell.moproc(
      "retrain",
      "-b",
      "16",
      "--data",
      "data",
      "--annotation",
      "clean.json",
      "--resume",
      mopro,
      "--cache-features",
      "--finetune",
    );
    t.is(both.status, 2);
    t.regex(both.err, /features change when all layers are trained/);
  },
);
