// moproc predict: any images, any checkpoint of a classifier, the names of the classes from the checkpoint.

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import test from "ava";
import { Shell } from "../support/cli.js";

const shell = new Shell("predict");
test.after.always(() => shell.remove());

const model = "-a resnet10 --width 0.125 -b 8 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 16".split(" ");
const checkpoint = "exp/checkpoint_0001.safetensors";
const predict = (...args: readonly string[]): string =>
  shell.done("predict", "-b", "8", "--resume", checkpoint, ...args);

test.before(() => {
  const sizes = "--classes 4 --images 64 --val 20 --size 40".split(" ");
  shell.done("data", "sample", "--layout", "imagenet", "--out", "data", ...sizes);
  shell.done("train", ...model, "--data", "data", "--exp-dir", "exp", "--epochs", "2", "--lr", "0.05", "--quiet");
});

/** The rows of a CSV file without quotes. */
const rows = (file: string): string[][] =>
  shell
    .text(file)
    .trim()
    .split("\n")
    .map((l) => l.split(","));

test("the share of right predictions is the accuracy that evaluation reports; names come from the checkpoint", (t) => {
  t.regex(predict("data/val", "--csv", "val.csv", "--top", "4"), /^val\.csv: 20 predictions\n$/m);
  const [head, ...lines] = rows("val.csv");
  t.is(
    head?.join(),
    ["path,class,name,probability", ...[2, 3, 4].map((n) => `class_${n},name_${n},probability_${n}`)].join(),
  );
  t.is(lines.length, 20);
  const right = lines.filter(([path, , name]) => path?.startsWith(`data/val/${name}/`)).length;
  const out = shell.done("train", ...model, "--data", "data", "--evaluate", "--resume", checkpoint);
  t.is(/validation: top-1 ([\d.]+)/.exec(out)?.[1], ((100 * right) / 20).toFixed(2));
  for (const line of lines) {
    const p = [3, 6, 9, 12].map((i) => Number(line[i]));
    t.true(Math.abs(p.reduce((a, b) => a + b, 0) - 1) < 1e-5, line.join());
    t.deepEqual(
      p.toSorted((a, b) => b - a),
      p,
    );
    for (const i of [1, 4, 7, 10]) t.is(line[i + 1], `n0000000${Number(line[i]) + 1}`);
  }
  t.deepEqual(
    lines.map(([path]) => path),
    readdirSync(shell.at("data", "val"))
      .sort()
      .flatMap((c) =>
        readdirSync(shell.at("data", "val", c))
          .sort()
          .map((f) => `data/val/${c}/${f}`),
      ),
  );
});

test("files and folders, in the order in which they are given; any batch and any PyTorch file gives the same", (t) => {
  const files = readdirSync(shell.at("data", "val", "n00000002")).map((f) => `data/val/n00000002/${f}`);
  const [a, b] = files as [string, string];
  const printed = predict(b, a, "--top", "2").trim().split("\n");
  t.deepEqual(
    printed.map((l) => l.split("  ")[0]),
    [b, a],
  );
  t.regex(printed[0] as string, / {2}n0000000\d \d+\.\d %, n0000000\d \d+\.\d %$/);
  shell.done("convert", checkpoint, "c.pth.tar");
  const other = shell.done(
    "predict",
    "-b",
    "3",
    "--resume",
    "c.pth.tar",
    "-a",
    "resnet10",
    "--width",
    "0.125",
    "--image-size",
    "32",
    a,
    b,
    "--top",
    "1",
    "--threads",
    "1",
  );
  t.deepEqual(
    other
      .trim()
      .split("\n")
      .filter((l) => l.startsWith("data/")).length,
    2,
  );
  writeFileSync(shell.at("names.txt"), 'ant\nbee\ncat, or "puma"\ndog\n');
  predict(a, b, "--classes", "names.txt", "--csv", "named.csv", "--top", "4");
  t.regex(shell.text("named.csv"), /"cat, or ""puma"""/);
});

test("an image that cannot be read is named and has an empty row; names with commas are quoted", (t) => {
  mkdirSync(shell.at("mine", "deeper"), { recursive: true });
  const [good] = readdirSync(shell.at("data", "val", "n00000001"));
  cpSync(shell.at("data", "val", "n00000001", good as string), shell.at("mine", "deeper", "a, b.JPG"));
  writeFileSync(shell.at("mine", "broken.png"), "no picture");
  writeFileSync(shell.at("mine", "._a.jpg"), "hidden");
  writeFileSync(shell.at("mine", "notes.txt"), "no image");
  const r = shell.moproc("predict", "-b", "8", "--resume", checkpoint, "mine", "--csv", "mine.csv", "--top", "1");
  t.is(r.status, 0, r.err);
  t.regex(r.out, /note: mine: 1 hidden files and folders are not used\n/);
  t.regex(r.out, /mine\.csv: 1 prediction, 1 could not be read\n/);
  t.true(r.err.includes(`warning: ${shell.at("mine", "broken.png")}: `), r.err);
  t.regex(
    shell.text("mine.csv"),
    /^path,class,name,probability\nmine\/broken\.png,,,\n"mine\/deeper\/a, b\.JPG",\d,n0000000\d,0\.\d+\n$/,
  );
});

test("what cannot be predicted is refused before anything is written", (t) => {
  const no = (message: RegExp, ...args: readonly string[]): void => {
    const r = shell.moproc("predict", "-b", "8", ...args);
    t.is(r.status, 2, `${args}: ${r.out}${r.err}`);
    t.regex(r.err, message);
  };
  const from = ["--resume", checkpoint];
  no(/--resume FILE is needed/, "data/val");
  no(/nowhere: no such file/, "--resume", "nowhere", "data/val");
  no(/no image is given; name files or folders/, ...from);
  no(/nothing\.jpg: no such file or folder/, ...from, "nothing.jpg");
  mkdirSync(shell.at("none"));
  no(/none: has no image in it or in its folders/, ...from, "none");
  no(/--classes none\.txt: no such file/, ...from, "data/val", "--classes", "none.txt");
  writeFileSync(shell.at("two.txt"), "a\nb\n");
  no(/--classes two\.txt: has 2 names, the network has 4 classes/, ...from, "data/val", "--classes", "two.txt");
  writeFileSync(shell.at("my.csv"), "mine\n");
  no(/my\.csv: exists already; choose another path, or remove it yourself/, ...from, "data/val", "--csv", "my.csv");
  t.is(readFileSync(shell.at("my.csv"), "utf8"), "mine\n");
  writeFileSync(shell.at("bad.jpg"), "bad");
  no(
    /bad\.jpg: not a JPEG, PNG, WebP or GIF file\n(?:.*\n)*predict: no image could be read/,
    ...from,
    "bad.jpg",
    "--csv",
    "bad.csv",
  );
  t.false(existsSync(shell.at("bad.csv")));
  no(/unknown flag --topp; did you mean --top\?|Did you mean --top\?/, ...from, "data/val", "--topp", "1");
});
