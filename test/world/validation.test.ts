// What is evaluated should not be trained on: an annotation or a list that names validation images, and a folder that
// has changed since a run held images out of it.

import { cpSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import test from "ava";
import { Shell } from "../support/cli.js";

const shell = new Shell("validation");
test.after.always(() => shell.remove());

const net = "-a resnet10 --width 0.125 --image-size 32 -b 8".split(" ");
const checkpoint = "exp/last.safetensors";
const heldOut = (): string[] => shell.text("exp", "val_split.txt").trim().split("\n");

test.before(() => {
  const sizes = "--classes 4 --images 64 --val 16 --size 40".split(" ");
  shell.done("data", "sample", "--layout", "imagenet", "--out", "split", ...sizes);
  cpSync(shell.at("split", "train"), shell.at("photos"), { recursive: true });
  const run = ["--data", "photos", "--exp-dir", "exp", "--epochs", "1", "--val-split", "0.25"];
  shell.done("train", "--task", "classifier", ...net, ...run);
});

/** Images of a folder with the numbers of their classes, by the names of their folders. */
function annotate(file: string, images: readonly string[]): string {
  const labels = images.map((f) => Number(/n0000000(\d)/.exec(f)?.[1]) - 1);
  writeFileSync(shell.at(file), JSON.stringify({ images, labels }));
  return file;
}

const imagesIn = (...path: readonly string[]): string[] =>
  readdirSync(shell.at(...path), { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".JPEG"));

const retrain = (data: string, annotation: string, exp: string): ReturnType<Shell["moproc"]> =>
  shell.moproc(
    ...["retrain", "--data", data, "--annotation", annotation, "--resume", checkpoint, "--exp-dir", exp],
    ...["-b", "8", "--epochs", "1"],
  );

test("retrain warns once of validation images that the annotation names, however they are written", (t) => {
  const training = imagesIn("split", "train").map((f) => `train/${f}`);
  const val = imagesIn("split", "val").map((f, i) => (i % 2 === 0 ? `val/${f}` : `./val//${f}`));
  const mixed = retrain("split", annotate("mixed.json", [...training, ...val.slice(0, 5)]), "mixed");
  t.is(mixed.status, 0, mixed.err);
  const warnings = mixed.out.split("\n").filter((l) => l.startsWith("warning: "));
  t.deepEqual(warnings, [
    "warning: 5 images of mixed.json are validation images of split: what is trained on is also evaluated",
  ]);
  const alone = retrain("split", annotate("alone.json", training), "alone");
  t.is(alone.status, 0, alone.err);
  t.notRegex(alone.out, /validation images of split/);
});

test("finetune --list leaves out images that are held out, and says how many", (t) => {
  const all = imagesIn("photos");
  const held = heldOut();
  writeFileSync(shell.at("all.txt"), `${all.join("\n")}\n`);
  const finetune = (list: string, exp: string): ReturnType<Shell["moproc"]> =>
    shell.moproc(
      ...["finetune", "--data", "photos", "--model-path", checkpoint, "--list", list, "--exp-dir", exp],
      ...["-b", "8", "--epochs", "1", "--val-split", "0.25"],
    );
  const r = finetune("all.txt", "tuned");
  t.is(r.status, 0, r.err);
  t.regex(r.out, new RegExp(`note: ${held.length} images of all\\.txt are held out for validation`));
  const used = shell.text("tuned", "subset.txt").trim().split("\n");
  t.deepEqual(used.toSorted(), all.filter((f) => !held.includes(f)).toSorted());
  writeFileSync(shell.at("held.txt"), `${held.join("\n")}\n`);
  const none = finetune("held.txt", "none");
  t.is(none.status, 2);
  t.regex(none.err, /held\.txt: all of its images are held out for validation/);
});

test("evaluate takes the images that a run held out, from a folder that has changed since", (t) => {
  const held = heldOut();
  const [gone, ...rest] = held as [string, ...string[]];
  cpSync(shell.at("photos"), shell.at("changed"), { recursive: true });
  rmSync(shell.at("changed", gone));
  for (const [i, f] of imagesIn("split", "val").entries())
    cpSync(shell.at("split", "val", f), shell.at("changed", f.replace(/[^/]*$/, `new${i}.JPEG`)));
  const evaluate = (data: string, ...more: readonly string[]): string =>
    shell.done("evaluate", "--resume", checkpoint, "--data", data, "-b", "8", ...more);
  const out = evaluate("changed");
  t.regex(out, new RegExp(`note: changed is not as it was .*; ${rest.length} of the ${held.length} are there`));
  t.regex(out, new RegExp(`of ${rest.length} images`));
  t.regex(evaluate("changed", "--val-split", "0"), /of 79 images/);
  // Less than half of them: another folder, which is evaluated whole.
  cpSync(shell.at("changed"), shell.at("other"), { recursive: true });
  for (const f of held.slice(0, 1 + held.length / 2)) rmSync(shell.at("other", f), { force: true });
  t.regex(evaluate("other"), /warning: other has no validation images, and is not the folder, or not as it was/);
  // A list that somebody has changed, or none: nobody knows which images.
  for (const lost of ["val_split.txt", "val_split.sha256"]) {
    cpSync(shell.at("exp"), shell.at(`without ${lost}`), { recursive: true });
    rmSync(shell.at(`without ${lost}`, lost));
    const whole = shell.done(
      "evaluate",
      "--resume",
      `without ${lost}/last.safetensors`,
      "--data",
      "changed",
      "-b",
      "8",
    );
    t.regex(whole, /warning: changed has no validation images/, lost);
    t.regex(whole, /of 79 images/, lost);
  }
});
