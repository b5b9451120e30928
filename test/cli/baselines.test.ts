// Baselines on a folder of images: label smoothing, mixup and sample weights reach the step, and options that were not
// compiled in are refused.

import { writeFileSync } from "node:fs";
import test from "ava";
import { Shell } from "../support/cli.js";

const shell = new Shell("baselines");
test.after.always(() => shell.remove());
const model = "-a resnet10 --width 0.125 -b 16 --image-size 32 --num-class 4".split(" ");
const train = (exp: string, ...flags: readonly string[]): number[] => {
  shell.done(
    "train",
    "--task",
    "classifier",
    ...model,
    "--data",
    "data",
    "--exp-dir",
    exp,
    "--epochs",
    "2",
    "--lr",
    "0.02",
    "-p",
    "1",
    "--quiet",
    ...flags,
  );
  return shell.metrics(exp).flatMap((m) => (m.event === "train" ? [m.loss as number] : []));
};
let names: string[] = [];
test.before(() => {
  shell.done(
    "data",
    "sample",
    "--out",
    "data",
    "--classes",
    "4",
    "--images",
    "160",
    "--val",
    "16",
    "--size",
    "40",
    "--ood",
    "0",
  );
  names = ["google", "flickr"]
    .flatMap((s) => shell.text("data", "info", `train_filelist_${s}.txt`).trim().split("\n"))
    .map((l) => l.replace(/ \d+$/, ""));
});

test.serial(
  "label smoothing raises the loss, sample weights of 1 change nothing, of others do; mixup is drawn by the seed",
  (t) => {
    const plain = train("plain");
    t.is(plain.length, 20);
    const smooth = train("smooth", "--label-smoothing", "0.2");
    t.true((smooth.at(-1) as number) > (plain.at(-1) as number));
    // as an editor on Windows writes it
    writeFileSync(shell.at("ones.txt"), `\ufeff${names.map((n) => `${n} 1\r\n`).join("")}`);
    const ones = train("ones", "--sample-weights", "ones.txt");
    ones.forEach((x, i) => t.true(Math.abs(x - (plain[i] as number)) < 1e-4 * x, `step ${i}: ${x} ${plain[i]}`));
    writeFileSync(shell.at("some.txt"), names.map((n, i) => `${n} ${i % 2}\n`).join(""));
    t.notDeepEqual(train("some", "--sample_weights", "some.txt"), ones);
    const mixed = train("mixed", "--mixup", "0.4", "--label-smoothing", "0.1", "--seed", "2");
    t.deepEqual(train("again", "--mixup", "0.4", "--label-smoothing", "0.1", "--seed", "2"), mixed);
    t.notDeepEqual(train("other", "--mixup", "0.4", "--label-smoothing", "0.1", "--seed", "3"), mixed);
  },
);

test.serial("MoPro takes sample weights, too: of 1 they change nothing, of others they do", (t) => {
  const mopro = (exp: string, ...flags: readonly string[]): Record<string, unknown>[] => {
    shell.done(
      "train",
      ...model,
      "--moco_queue",
      "64",
      "--low-dim",
      "8",
      "--data",
      "data",
      "--exp-dir",
      exp,
      "--epochs",
      "2",
      "--start_clean_epoch",
      "1",
      "--lr",
      "0.02",
      "-p",
      "1",
      "--quiet",
      ...flags,
    );
    return shell
      .metrics(exp)
      .filter((m) => m.event === "train")
      .map((m) => ({ loss: m.loss, cls: m.loss_cls, inst: m.loss_inst }));
  };
  const plain = mopro("mopro");
  t.deepEqual(mopro("mopro ones", "--sample-weights", "ones.txt")[0], plain[0]);
  const some = mopro("mopro some", "--sample-weights", "some.txt");
  t.is(some[0]?.inst, plain[0]?.inst); // no label is in it
  t.not(some[0]?.cls, plain[0]?.cls);
});

test.serial("refused: what the artefact's steps do not take, and weights that do not fit the list", (t) => {
  const no = (message: RegExp, ...flags: readonly string[]): void => {
    const r = shell.moproc("train", ...model, "--data", "data", "--exp-dir", "no", "--epochs", "1", ...flags);
    t.is(r.status, 2, r.err);
    t.regex(r.err, message);
  };
  no(/--mixup: these need --task classifier/, "--mixup", "0.2");
  shell.done("compile", "--task", "classifier", ...model, "-o", "bare");
  no(
    /--label-smoothing: this artefact's steps do not take it; compile .* --task classifier --with label-smoothing/,
    "--artefact",
    "bare",
    "--label-smoothing",
    "0.1",
  );
  shell.done("compile", "--task", "classifier", ...model, "--with", "mixup,sample-weights", "-o", "mixing");
  no(/this artefact mixes images: --mixup ALPHA is needed/, "--artefact", "mixing");
  t.regex(
    shell.moproc("compile", "--task", "classifier", "--with", "frob").err,
    /--with frob: known are label-smoothing, mixup, sample-weights/,
  );
  writeFileSync(shell.at("short.txt"), `${names[0]} 1\n`);
  no(/short\.txt: has no weight for /, "--task", "classifier", "--sample-weights", "short.txt");
  writeFileSync(shell.at("bad.txt"), `${names[0]} 1\n${names[1]} -2\n`);
  no(/bad\.txt:2: expected 'PATH WEIGHT'/, "--task", "classifier", "--sample-weights", "bad.txt");
});
