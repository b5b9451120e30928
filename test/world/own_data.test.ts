// Own data without ceremony: a folder of class folders is enough, the number of classes follows from it, images are
// held out for validation, and a checkpoint says which network it holds.

import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import test from "ava";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("own_data");
test.after.always(() => shell.remove());

/** A tiny network, without the number of classes. */
const net = "-a resnet10 --width 0.125 --image-size 32 --low-dim 8 --moco_queue 16".split(" ");
const model = [...net, "-b", "8"];
const train = (...args: readonly string[]): ReturnType<Shell["moproc"]> =>
  shell.moproc("train", "--task", "classifier", ...args, "--epochs", "1", "--lr", "0.01");
const classes = ["n00000001", "n00000002", "n00000003", "n00000004"];

/** The metadata of a checkpoint. */
function metadata(file: string): ReadonlyMap<string, string> {
  const opened = SafetensorsFile.open(shell.at(file));
  opened.close();
  return opened.metadata;
}

/** What a run prints on both streams. */
const printed = ({ out, err }: { readonly out: string; readonly err: string }): string => out + err;

test.before(() => {
  const sizes = "--classes 4 --images 64 --val 16 --size 40".split(" ");
  shell.done("data", "sample", "--layout", "imagenet", "--out", "split", ...sizes);
  cpSync(shell.at("split", "train"), shell.at("photos"), { recursive: true });
});

test.serial("a folder of class folders trains as it is; without validation images a line says so", (t) => {
  const r = train("--data", "photos", "--exp-dir", "plain", ...model);
  t.is(r.status, 0, printed(r));
  t.regex(r.err, /note: photos has 4 classes \(--num-class gives the network another number\)/);
  t.regex(r.out, /note: photos has no validation images, so nothing is evaluated; --val-split 0\.1 holds out a tenth/);
  t.notRegex(r.out, /validation:/);
  t.is(metadata("plain/checkpoint_0000.safetensors").get("num_class"), "4");
});

/** The names in EXP/val_split.txt. */
const heldOut = (exp: string): string[] => shell.text(exp, "val_split.txt").trim().split("\n");

test.serial("--val-split holds out a share of every class, by seed, whatever else is in the folder", (t) => {
  const held = (exp: string, data: string, ...more: readonly string[]): string[] => {
    const r = train("--data", data, "--exp-dir", exp, ...model, "--val-split", "0.25", "--steps", "1", ...more);
    t.is(r.status, 0, printed(r));
    return heldOut(exp);
  };
  const first = held("split1", "photos");
  const perClass = classes.map((c) => readdirSync(shell.at("photos", c)).length);
  t.is(
    perClass.reduce((a, b) => a + b),
    64,
  );
  for (const [i, c] of classes.entries())
    t.is(first.filter((n) => n.startsWith(`${c}/`)).length, Math.round(0.25 * (perClass[i] as number)), c);
  t.deepEqual(held("split2", "photos"), first);
  t.notDeepEqual(held("split3", "photos", "--seed", "1"), first);
  // Two ranks hold out the same images, and evaluate each of them once.
  const ranks = train(
    "--data",
    "photos",
    "--exp-dir",
    "split4",
    ...model,
    "--val-split",
    "0.25",
    "--nproc-per-node",
    "2",
  );
  t.is(ranks.status, 0, printed(ranks));
  t.deepEqual(heldOut("split4"), first);
  t.regex(ranks.out, new RegExp(`validation: top-1 [\\d.]+ {2}top-5 100\\.00 {2}of ${first.length} images`));
  // The trained images and the held-out ones are all images, without an overlap.
  t.regex(ranks.out, new RegExp(`note: ${first.length} of the 64 images of photos are held out`));
  t.regex(ranks.out, new RegExp(`${Math.floor((64 - first.length) / 8)} steps of 8 images`));
  // Another class beside them changes nothing about the others.
  cpSync(shell.at("photos"), shell.at("more"), { recursive: true });
  cpSync(shell.at("photos", "n00000001"), shell.at("more", "n00000009"), { recursive: true });
  t.deepEqual(
    held("split5", "more").filter((n) => !n.startsWith("n00000009/")),
    first,
  );
});

test.serial("evaluate, clean and retrain leave out or use the images that the checkpoint's run held out", (t) => {
  const r = shell.moproc(
    ...["train", "--data", "photos", "--exp-dir", "mopro", ...model, "--val-split", "0.25", "--epochs", "2"],
  );
  t.is(r.status, 0, printed(r));
  const checkpoint = "mopro/checkpoint_0001.safetensors";
  const held = heldOut("mopro");
  const top1 = /validation: top-1 ([\d.]+)/.exec(r.out.split("epoch 1 ")[1] as string)?.[1] as string;
  const own = shell.done("evaluate", "--resume", checkpoint, "--data", "photos", "-b", "8", "--csv", "classes.csv");
  t.regex(own, new RegExp(`top-1 ${top1} %  top-5 100\\.00 %  \\(\\d+ and ${held.length} of ${held.length} images`));
  const rows = shell.text("classes.csv").trim().split("\n").slice(1);
  t.deepEqual(
    rows.map((l) => l.split(",").slice(0, 3).join()),
    classes.map((c, i) => `${i},${c},${held.filter((n) => n.startsWith(`${c}/`)).length}`),
  );
  t.regex(own, /lowest top-1: n0000000\d \d+\.\d % of \d+, /);
  const all = shell.done("evaluate", "--resume", checkpoint, "--data", "photos", "-b", "8", "--val-split", "0");
  t.regex(all, /note: photos has no validation images: all of its images are evaluated/);
  t.regex(all, /of 64 images/);
  // Another folder of class folders: all of it, not the share that the run held out of its own.
  const foreign = shell.done("evaluate", "--resume", checkpoint, "--data", "split/val", "-b", "8");
  t.regex(foreign, /warning: split\/val has no validation images, and is not the folder, or not as it was, from which/);
  t.regex(foreign, /of 16 images/);
  const part = shell.done("evaluate", "--resume", checkpoint, "--data", "split/val", "-b", "8", "--val-split", "0.25");
  t.regex(part, /of 4 images/);
  const other = shell.done("evaluate", "--resume", checkpoint, "--data", "split", "-b", "8", "--nproc-per-node", "2");
  t.regex(other, /of 16 images/);
  const exists = shell.moproc("evaluate", "--resume", checkpoint, "--data", "split", "--csv", "classes.csv");
  t.is(exists.status, 2);
  t.regex(exists.err, /classes\.csv: exists already/);

  shell.done("clean", "--data", "photos", "--resume", checkpoint, "-b", "8", "--pseudo_th", "0", "--no-html");
  const annotation = JSON.parse(shell.text("pseudo_label.json")) as Readonly<Record<string, readonly string[]>>;
  t.deepEqual(annotation.classes, classes);
  t.is(annotation.images?.length, 64 - held.length);
  t.deepEqual(
    annotation.images?.filter((n) => held.includes(n)),
    [],
  );
  // An annotation of all images: those that are held out are not trained on.
  shell.done(
    "clean",
    "--data",
    "photos",
    "--resume",
    checkpoint,
    "-b",
    "8",
    "--pseudo_th",
    "0",
    "--no-html",
    ...["--val-split", "0", "--annotation", "all.json"],
  );
  const again = shell.moproc(
    "retrain",
    "--data",
    "photos",
    "--annotation",
    "all.json",
    "--resume",
    checkpoint,
    ...["--exp-dir", "retrained", "-b", "8", "--epochs", "1", "--seed", "7"],
  );
  t.is(again.status, 0, printed(again));
  t.regex(again.out, new RegExp(`note: ${held.length} images of all\\.json are held out for validation`));
  t.deepEqual(heldOut("retrained"), held);
  t.regex(again.out, new RegExp(`of ${held.length} images`));
});

test.serial("a split that is asked for when a run goes on is the one that its checkpoint names", (t) => {
  const go = (exp: string, ...more: readonly string[]): ReturnType<Shell["moproc"]> =>
    shell.moproc("train", "--task", "classifier", "--data", "photos", "--exp-dir", exp, ...model, ...more);
  t.is(go("late", "--epochs", "1", "--seed", "5").status, 0);
  const later = ["--epochs", "2", "--resume", "auto", "--val-split", "0.25"];
  const refused = go("late", ...later);
  t.is(refused.status, 2);
  t.regex(refused.err, /was made with other settings: training list [0-9a-f]+ -> [0-9a-f]+\. Give the same flags/);
  t.false(existsSync(shell.at("late", "val_split.txt"))); // what is refused writes nothing
  const r = go("late", ...later, "--accept-changes");
  t.is(r.status, 0, printed(r));
  const held = heldOut("late");
  const seed = metadata("late/checkpoint_0001.safetensors").get("val_split_seed") as string;
  t.is(go("asked", "--epochs", "1", "--val-split", "0.25", "--seed", seed).status, 0);
  t.deepEqual(heldOut("asked"), held);
  const own = shell.done("evaluate", "--resume", "late/checkpoint_0001.safetensors", "--data", "photos", "-b", "8");
  t.regex(own, new RegExp(`of ${held.length} images`));
});

test.serial("evaluate needs no training images: a folder with val.csv or with WebVision's val list alone", (t) => {
  const checkpoint = "mopro/checkpoint_0001.safetensors";
  mkdirSync(shell.at("only"));
  const images = classes.flatMap((c) => readdirSync(shell.at("split", "val", c)).map((f) => [`val/${c}/${f}`, c]));
  cpSync(shell.at("split", "val"), shell.at("only", "val"), { recursive: true });
  writeFileSync(shell.at("only", "val.csv"), `path,label\n${images.map((i) => i.join()).join("\n")}\n`);
  const top = (text: string): string | undefined => /top-1 .*of \d+ images/.exec(text)?.[0];
  const plain = top(shell.done("evaluate", "--resume", checkpoint, "--data", "split", "-b", "8"));
  t.is(top(shell.done("evaluate", "--resume", checkpoint, "--data", "only", "-b", "8")), plain);
  mkdirSync(shell.at("web", "info"), { recursive: true });
  cpSync(shell.at("split", "val"), shell.at("web", "val_images_256"), { recursive: true });
  writeFileSync(shell.at("web", "info", "synsets.txt"), classes.map((c) => `${c}\n`).join(""));
  const list = images.map(([path, c]) => `${path?.slice(4)} ${classes.indexOf(c as string)}\n`).join("");
  writeFileSync(shell.at("web", "info", "val_filelist.txt"), list);
  t.is(top(shell.done("evaluate", "--resume", checkpoint, "--data", "web", "-b", "8")), plain);
});

test.serial("an annotation's labels are mapped by name; a class that the run lacks is named", (t) => {
  const names = readdirSync(shell.at("photos", "n00000002"))
    .slice(0, 8)
    .map((n) => `n00000002/${n}`);
  const write = (classNames: readonly string[], label: number): void =>
    writeFileSync(
      shell.at("named.json"),
      JSON.stringify({ images: names, labels: names.map(() => label), classes: classNames }),
    );
  const retrain = (exp: string): ReturnType<Shell["moproc"]> =>
    shell.moproc(
      "retrain",
      "--data",
      "photos",
      "--annotation",
      "named.json",
      "-b",
      "8",
      "--epochs",
      "1",
      ...["--resume", "mopro/checkpoint_0001.safetensors", "--exp-dir", exp, "--val-split", "0"],
    );
  write(["n00000004", "n00000002"], 1);
  const one = retrain("named1");
  t.is(one.status, 0, printed(one));
  write(classes, 1);
  const two = retrain("named2");
  t.is(two.status, 0, printed(two));
  const loss = (out: string): string | undefined => /loss ([\d.]+)/.exec(out)?.[1];
  t.is(loss(one.out), loss(two.out)); // both say n00000002
  write(["n00000004", "gnu"], 1);
  const unknown = retrain("named3");
  t.is(unknown.status, 2);
  t.regex(unknown.err, /entry 0 \(n00000002\/.*\): the label is class 'gnu', which the run does not have/);
});

test.serial(
  "a checkpoint's network, sizes, batch and queue are the defaults of train --resume, --evaluate included",
  (t) => {
    const checkpoint = "mopro/checkpoint_0001.safetensors";
    const evaluated = shell.moproc("train", "--data", "split", "--evaluate", "--resume", checkpoint);
    t.is(evaluated.status, 0, printed(evaluated));
    t.regex(evaluated.out, /of 16 images/);
    const on = shell.moproc("train", "--data", "photos", "--exp-dir", "mopro", "--resume", "auto", "--epochs", "3");
    t.is(on.status, 0, printed(on));
    t.regex(on.out, /resnet10.* 6 steps of 8 images per epoch/);
    t.is(heldOut("mopro").length, 16);
    const wrong = shell.moproc(
      "train",
      "--data",
      "photos",
      "--exp-dir",
      "x",
      "--resume",
      checkpoint,
      "--num-class",
      "7",
    );
    t.is(wrong.status, 2);
    t.regex(wrong.err, /--num-class 7: mopro\/checkpoint_0001\.safetensors says 4/);
    const task = shell.moproc(
      "train",
      "--data",
      "split",
      "--evaluate",
      "--resume",
      "plain/checkpoint_0000.safetensors",
    );
    t.is(task.status, 0, printed(task));
  },
);

test.serial("finetune and retrain make a new head for other classes; the same number keeps the classifier", (t) => {
  mkdirSync(shell.at("two"));
  for (const [from, to] of [
    ["n00000001", "cat"],
    ["n00000003", "dog"],
  ] as const)
    cpSync(shell.at("photos", from), shell.at("two", to), { recursive: true });
  const tune = (exp: string, ...more: readonly string[]): ReturnType<Shell["moproc"]> => tuneOn("two", exp, ...more);
  const tuneOn = (data: string, exp: string, ...more: readonly string[]): ReturnType<Shell["moproc"]> =>
    shell.moproc(
      "finetune",
      "--data",
      data,
      "--model-path",
      "mopro/checkpoint_0001.safetensors",
      "--exp-dir",
      exp,
      ...["-b", "8", "--epochs", "1", "--low-resource", "1", ...more],
    );
  const own = tune("two1");
  t.is(own.status, 0, printed(own));
  t.regex(own.err, /has 4 classes, two has 2: a new classifier of 2 classes is trained; --num-class 4 keeps/);
  t.is(metadata("two1/checkpoint_0000.safetensors").get("num_class"), "2");
  // lists of other classes, too
  mkdirSync(shell.at("two lists"));
  writeFileSync(shell.at("two lists", "classes.txt"), "cat\ndog\n");
  const rows = ["cat", "dog"].flatMap((c) => readdirSync(shell.at("two", c)).map((f) => `../two/${c}/${f},${c}\n`));
  writeFileSync(shell.at("two lists", "train.csv"), `path,label\n${rows.join("")}`);
  const lists = tuneOn("two lists", "two0");
  t.is(lists.status, 0, printed(lists));
  t.regex(lists.err, /has 4 classes, two lists has 2: a new classifier of 2 classes is trained/);
  const three = tune("two2", "--num-class", "3");
  t.is(three.status, 0, printed(three));
  t.regex(three.err, /has 4 classes, --num-class says 3: a new classifier of 3 classes is trained\n/);
  t.regex(three.out, /note: the network has 3 classes, the data names 2/);
  const keep = tune("two3", "--init-classifier", "keep");
  t.is(keep.status, 2);
  t.regex(keep.err, /--init-classifier keep: .* has 4 classes, but two has 2; use --num-class 4/);
  const fewer = tune("two4", "--num-class", "4", "--init-classifier", "keep");
  t.is(fewer.status, 2); // "cat" is none of the checkpoint's classes
  t.regex(fewer.err, /two\/cat: the run has no class of this name/);
  const same = shell.moproc(
    "finetune",
    "--data",
    "split",
    "--model-path",
    "mopro/checkpoint_0001.safetensors",
    ...["--exp-dir", "same", "-b", "8", "--epochs", "1", "--low-resource", "1"],
  );
  t.is(same.status, 0, printed(same));
  t.regex(same.out, /its classifier too/);
});

test.serial(
  "more classes than the network has, and lists with a wrong line, are refused before anything is compiled",
  (t) => {
    const cold = (...args: readonly string[]): string => {
      const r = shell.moproc(...args, "--width", "0.171875"); // nobody has compiled this one
      t.is(r.status, 2, printed(r));
      t.notRegex(r.err, /compiled/);
      return r.err;
    };
    const base = ["train", "--exp-dir", "cold", ...net.filter((a) => a !== "--width" && a !== "0.125"), "-b", "8"];
    t.regex(cold(...base, "--data", "photos", "--num-class", "3"), /photos: has 4 classes, but --num-class says 3/);
    t.regex(cold(...base, "--data", "nowhere"), /nowhere: .*the data folder must exist/);
    mkdirSync(shell.at("lists"));
    writeFileSync(shell.at("lists", "train.csv"), "path,label\na.jpg,0\nb.jpg,one\n");
    t.regex(
      cold(...base, "--data", "lists"),
      /train\.csv:3: label 'one' is not a number, and there is no classes\.txt/,
    );
    writeFileSync(shell.at("lists", "train.csv"), "path,label\na.jpg,0\nb.jpg,7\n");
    t.regex(
      cold(...base, "--data", "lists", "--num-class", "7"),
      /train\.csv:3: label '7' is class 7, but the network has 7/,
    );
    t.regex(cold(...base, "--data", "photos", "--resume", "gone.safetensors"), /gone\.safetensors: /);
    t.regex(cold(...base, "--data", "split/val/n00000001"), /is not a data folder: there is neither info\//);
    t.regex(
      cold(...base, "--data", "photos", "--target", "cuda"),
      /--target cuda: there is no GPU here that can be used/,
    );
  },
);

test.serial("a class may be called train or val, and the class folders may be packed or linked", (t) => {
  cpSync(shell.at("photos"), shell.at("vehicles"), { recursive: true });
  renameSync(shell.at("vehicles", "n00000001"), shell.at("vehicles", "train"));
  renameSync(shell.at("vehicles", "n00000002"), shell.at("vehicles", "val"));
  const check = shell.moproc("data", "check", "vehicles");
  t.regex(check.out, /layout folders/);
  t.regex(check.out, /64/);
  const plain = train("--data", "vehicles", "--exp-dir", "vehicles1", ...model, "--val-split", "0.25");
  t.is(plain.status, 0, printed(plain));
  shell.done("data", "pack", "vehicles", "--out", "packed");
  const packed = train("--data", "packed", "--exp-dir", "vehicles2", ...model, "--val-split", "0.25");
  t.is(packed.status, 0, printed(packed));
  t.deepEqual(heldOut("vehicles2"), heldOut("vehicles1"));
  const loss = (out: string): string | undefined => /loss ([\d.]+)/.exec(out)?.[1];
  t.is(loss(packed.out), loss(plain.out));
});

test.serial(
  "validation images of the folder and --val-split contradict; a folder of another name is mentioned",
  (t) => {
    const both = train("--data", "split", "--exp-dir", "both", ...model, "--val-split", "0.1");
    t.is(both.status, 2);
    t.regex(both.err, /--val-split 0\.1: split has validation images of its own; --val-split 0 evaluates those/);
    cpSync(shell.at("split"), shell.at("kaggle"), { recursive: true });
    renameSync(shell.at("kaggle", "val"), shell.at("kaggle", "validation"));
    const other = train("--data", "kaggle", "--exp-dir", "kaggle1", ...model, "--steps", "1");
    t.is(other.status, 0, printed(other));
    t.regex(other.out, /warning: kaggle\/validation is not read: validation images belong in kaggle\/val/);
    rmSync(shell.at("kaggle"), { recursive: true });
  },
);
