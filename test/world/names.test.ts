// Names of files and classes that are not UTF-8, as archives from Windows and old servers leave them, go through the
// whole workflow, and every JSON file is one that Python's json reads.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, renameSync } from "node:fs";
import test from "ava";
import { Shell } from "../support/cli.js";

const shell = new Shell("names");
test.after.always(() => shell.remove());

const model = "-a resnet10 --width 0.125 --image-size 32 --low-dim 8 --moco_queue 16 -b 8".split(" ");
const latin = (text: string): Buffer => Buffer.from(text, "latin1");
const path = (...parts: readonly (string | Buffer)[]): Buffer =>
  Buffer.concat(parts.flatMap((p, i) => [...(i > 0 ? [Buffer.from("/")] : []), Buffer.from(p)]));

test.before(() => {
  shell.done(
    "data",
    "sample",
    "--layout",
    "imagenet",
    "--out",
    "data",
    ..."--classes 4 --images 64 --val 16 --size 40".split(" "),
  );
  for (const split of ["train", "val"]) {
    const folder = shell.at("data", split);
    const renamed = path(folder, latin("Gr\xfc\xdfe"));
    renameSync(`${folder}/n00000002`, renamed);
    const [first] = readdirSync(renamed, { encoding: "buffer" });
    renameSync(path(renamed, first as Buffer), path(renamed, latin('\xff "1".jpg')));
  }
});

/** What Python's json reads of a file, as JSON in ASCII; each line is a document if `lines`. */
function read(file: string, lines = false): unknown[] {
  const script =
    "import json, sys; t = open(sys.argv[1], encoding='utf-8').read(); " +
    "print(json.dumps([json.loads(l) for l in (t.splitlines() if sys.argv[2] == '1' else [t])]))";
  const r = spawnSync("python3", ["-c", script, shell.at(file), lines ? "1" : "0"], {
    encoding: "utf8",
    maxBuffer: 1e8,
  });
  if (r.status !== 0) throw new Error(`${file}: ${r.stderr}`);
  return JSON.parse(r.stdout) as unknown[];
}

test("training, cleaning, retraining, evaluation and packing keep such names; Python reads every JSON file", (t) => {
  shell.done("train", "--data", "data", "--exp-dir", "run", ...model, "--epochs", "1");
  const checkpoint = "run/checkpoint_0000.safetensors";
  read("run/metrics.jsonl", true);
  read("run/evaluation.json");
  shell.done("clean", "--data", "data", "--resume", checkpoint, "-b", "8", "--pseudo_th", "0");
  const name = 'train/Gr\udcfc\udcdfe/\udcff "1".jpg';
  const [annotation] = read("pseudo_label.json") as [{ images: string[]; classes: string[] }];
  t.true(annotation.images.includes(name));
  t.true(annotation.classes.includes("Gr\udcfc\udcdfe"));
  const report = read("pseudo_label.report.jsonl", true) as { image: string }[];
  t.true(report.some((l) => l.image === name));
  read("pseudo_label.summary.json");
  t.true(readFileSync(shell.at("pseudo_label.csv")).includes(latin("Gr\xfc\xdfe")));
  t.is((shell.text("pseudo_label.html").match(/data:image\/jpeg;base64/g) ?? []).length, report.length);
  const out = shell.done(
    "retrain",
    "--data",
    "data",
    "--annotation",
    "pseudo_label.json",
    "--resume",
    checkpoint,
    ...["--exp-dir", "re", "-b", "8", "--epochs", "1"],
  );
  t.regex(out, /of 16 images/);
  const plain = shell.done("evaluate", "--resume", checkpoint, "--data", "data", "-b", "8");
  const check = shell.moproc("data", "check", "data", "--json", "check.json");
  t.is(check.status, 0, check.out);
  read("check.json");
  shell.done("data", "pack", "data", "--out", "packed", "--short-side", "0");
  const top = (text: string): string | undefined => /top-1 .*?%/.exec(text)?.[0];
  t.is(top(shell.done("evaluate", "--resume", checkpoint, "--data", "packed", "-b", "8")), top(plain));
});
