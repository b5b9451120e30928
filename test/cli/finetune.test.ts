// moproc finetune on ImageNet's folder layout: which images are used, what is trained, and which epoch is kept as the
// best.

import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import test from "ava";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("finetune");
test.after.always(() => shell.remove());

const classes = 4;
const model =
  `-a resnet10 --width 0.125 -b 16 --image-size 32 --num-class ${classes} --low-dim 8 --moco_queue 64`.split(" ");
const mopro = "mopro/checkpoint_0003.safetensors";
const finetune = (exp: string, ...flags: readonly string[]): string =>
  shell.done(
    "finetune",
    "-b",
    "16",
    "--data",
    "imagenet",
    "--model-path",
    mopro,
    "--exp-dir",
    exp,
    "--quiet",
    ...flags,
  );

/** Images of a list, copied to a folder a class. */
function asFolders(list: string, from: string, split: string): void {
  for (const line of shell.text("data", "info", list).trim().split("\n")) {
    const [image, label] = line.split(" ") as [string, string];
    const synset = `n0000000${Number(label) + 1}`; // as WebVision's synsets.txt names it
    const folder = shell.at("imagenet", split, synset);
    mkdirSync(folder, { recursive: true });
    copyFileSync(shell.at("data", from, image), `${folder}/${synset}_${image.replaceAll("/", "_")}`);
  }
}

test.before(() => {
  shell.done(
    "data",
    "sample",
    "--out",
    "data",
    "--classes",
    `${classes}`,
    "--images",
    "480",
    "--val",
    "64",
    "--size",
    "40",
    "--noise",
    "0.1",
    "--ood",
    "0",
  );
  asFolders("train_filelist_google.txt", ".", "train");
  asFolders("val_filelist.txt", "val_images_256", "val");
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
});

const subset = (exp: string): string[] => shell.text(exp, "subset.txt").trimEnd().split("\n");
const weights = (file: string): string => {
  const f = SafetensorsFile.open(shell.at(file));
  const sha = createHash("sha256");
  for (const name of [...f.tensors.keys()].filter((n) => !n.endsWith("num_batches_tracked")))
    sha.update(Float32Array.from(f.floats(name)));
  f.close();
  return sha.digest("hex");
};
const top1 = (exp: string): number[] =>
  shell
    .metrics(exp)
    .filter((m) => m.event === "evaluate")
    .map((m) => m.top1 as number);

test.serial("one subset from the seed, whatever the groups; --list takes it back, by path and by name alone", (t) => {
  const out = finetune("a", "--low-resource", "0.3", "--seed", "5", "--epochs", "1");
  const all = 480 - shell.text("data", "info", "train_filelist_flickr.txt").trim().split("\n").length;
  t.is(subset("a").length, Math.floor(0.3 * all));
  t.is(
    shell.text("a", "subset.sha256"),
    `${createHash("sha256").update(shell.text("a", "subset.txt")).digest("hex")}  subset.txt\n`,
  );
  t.regex(out, new RegExp(`${subset("a").length} of ${all} training images, digest of the list [0-9a-f]{16}`));
  finetune("b", "--low_resource", "0.3", "--seed", "5", "--epochs", "1", "--bn-groups", "2");
  t.deepEqual(subset("b"), subset("a"));
  finetune("c", "--low-resource", "0.3", "--seed", "6", "--epochs", "1");
  t.notDeepEqual(subset("c"), subset("a"));

  finetune("listed", "--list", "a/subset.txt", "--seed", "5", "--epochs", "1");
  t.is(weights("listed/checkpoint_0000.safetensors"), weights("a/checkpoint_0000.safetensors"));
  writeFileSync(
    shell.at("names.txt"), // as an editor on Windows writes it
    `\ufeff${subset("a")
      .map((n) => `${n.split("/").at(-1)}\r\n`)
      .join("")}`,
  );
  finetune("named", "--list", "names.txt", "--seed", "5", "--epochs", "1");
  t.is(weights("named/checkpoint_0000.safetensors"), weights("a/checkpoint_0000.safetensors"));
});

test.serial("published schedule and tags; the best epoch is kept, across a stop too", (t) => {
  const flags = ["--low-resource", "0.3", "--epochs", "6", "--schedule", "2", "4", "--lr", "0.05", "--keep-every", "1"];
  finetune("whole", ...flags, "--seed", "1");
  const rates = shell
    .metrics("whole")
    .filter((m) => m.event === "epoch")
    .map((m) => Number((m.lr as number).toPrecision(6)));
  t.deepEqual(rates, [0.05, 0.05, 0.01, 0.01, 0.002, 0.002]);
  const best = top1("whole").indexOf(Math.max(...top1("whole")));
  t.is(weights("whole/model_best.safetensors"), weights(`whole/checkpoint_000${best}.safetensors`));
  t.not(weights("whole/checkpoint_0000.safetensors"), weights("whole/checkpoint_0005.safetensors"));

  const steps = shell.metrics("whole").find((m) => m.event === "train")?.steps as number;
  finetune("cut", ...flags, "--seed", "1", "--steps", `${2 * steps + 3}`);
  finetune("cut", ...flags, "--resume", "auto"); // the seed, and with it the subset, is the checkpoint's
  for (const file of ["checkpoint_0005", "model_best"])
    t.is(weights(`cut/${file}.safetensors`), weights(`whole/${file}.safetensors`), file);
  const events = readdirSync(shell.at("whole")).find((f) => f.startsWith("events.")) as string;
  for (const tag of ["Top1 Acc", "Top5 Acc"]) t.true(readFileSync(shell.at("whole", events)).includes(tag), tag);
});

test.serial("--compat released: each group draws its own subset and takes its places of one order", (t) => {
  const out = finetune(
    "released",
    "--low-resource",
    "0.3",
    "--epochs",
    "1",
    "--bn-groups",
    "2",
    "--compat",
    "released",
  );
  t.regex(out, /each of 2 groups draws its own \d+ of \d+ training images/);
  const n = subset("released").length / 2;
  const [one, two] = [subset("released").slice(0, n), subset("released").slice(n)];
  t.notDeepEqual(one, two);
  finetune("mine", "--low-resource", "0.3", "--epochs", "1");
  t.deepEqual(one, subset("mine"));
});

test.serial("refused: folders, lists and checkpoints that do not fit", (t) => {
  const no = (message: RegExp, ...flags: readonly string[]): void => {
    const r = shell.moproc("finetune", "-b", "16", "--exp-dir", "no", ...flags);
    t.is(r.status, 2, r.err);
    t.regex(r.err, message);
  };
  const from = ["--data", "imagenet", "--model-path", mopro];
  mkdirSync(shell.at("voc"));
  no(/--model-path FILE is needed/, "--data", "imagenet");
  no(
    /voc: is not a data folder: there is neither info\/ \(WebVision\), nor train\.csv/,
    "--data",
    "voc",
    ...from.slice(2),
  );
  no(/is less than one image/, ...from, "--low-resource", "0.0001");
  no(/--low-resource 2: must be between 1e-09 and 1/, ...from, "--low-resource", "2");
  writeFileSync(shell.at("unknown.txt"), `${subset("a")[0]}\nn00_none.JPEG\n`);
  no(/unknown\.txt:2: n00_none\.JPEG: no such image/, ...from, "--list", "unknown.txt");
  writeFileSync(shell.at("twice.txt"), `${subset("a")[0]}\n${subset("a")[0]}\n`);
  no(/twice\.txt:2: .*is named twice/, ...from, "--list", "twice.txt");
  no(/fewer than a batch of 16/, ...from, "--low-resource", "0.01");
  mkdirSync(shell.at("imagenet", "val", "n09"));
  no(/imagenet\/val\/n09: the run has no class of this name; it has 4, the first is n00000001/, ...from);
});
