// A run has an id: its checkpoints and the records of its log carry it, and a page shows one run.

import { readFileSync } from "node:fs";
import test from "ava";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("run_id");
test.after.always(() => shell.remove());

const model = "-a resnet10 --width 0.125 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 16 -b 8".split(" ");
const train = (exp: string, ...more: readonly string[]): string =>
  shell.done("train", "--artefact", "tiny", "--synthetic", "--exp-dir", exp, "--quiet", ...more);

test.before(() => void shell.done("compile", "--task", "classifier", ...model, "-o", "tiny"));

function idOf(file: string): string {
  const opened = SafetensorsFile.open(shell.at(file));
  opened.close();
  return opened.metadata.get("run") as string;
}
const idsOf = (exp: string): string[] => [...new Set(shell.metrics(exp).map((l) => String(l.run)))];

test.serial(
  "a run that is stopped and goes on has one id, in every record and checkpoint; another run has another",
  (t) => {
    train("one", "--steps", "13");
    const [id, ...others] = idsOf("one");
    t.regex(id as string, /^[0-9a-f]{12}$/);
    t.deepEqual(others, []);
    train("one", "--resume", "auto", "--steps", "9");
    t.deepEqual(idsOf("one"), [id]);
    for (const name of ["checkpoint_0000", "checkpoint_0001", "last"])
      t.deepEqual([idOf(`one/${name}.safetensors`)], idsOf("one"));
    train("two", "--steps", "3");
    t.not(idsOf("two")[0], id);
    // The same run, continued elsewhere.
    train("three", "--resume", "one/checkpoint_0000.safetensors", "--steps", "1");
    t.deepEqual(idsOf("three"), [id as string]);
  },
);

test.serial("a log with two runs: the page shows the last one, and says that it leaves records out", (t) => {
  train("a", "--steps", "20", "--lr", "0.011");
  train("b", "--steps", "10", "--lr", "0.022", "--json-log", "a/metrics.jsonl");
  t.is(idsOf("a").length, 2);
  const first = shell.metrics("a").filter((l) => l.run === idsOf("a")[0]).length;
  const r = shell.moproc("report", "a");
  t.is(r.status, 0, r.err);
  t.regex(
    r.out + r.err,
    new RegExp(`${first} records of other runs are left out; the page shows run ${idsOf("a")[1]}`),
  );
  const page = readFileSync(shell.at("a", "report.html"), "utf8");
  t.true(page.includes("0.022") && !page.includes("0.011"));
});

test.serial("--overwrite leaves nothing of another run that could be taken for this one's", (t) => {
  train("o", "--steps", "20");
  const old = idsOf("o")[0];
  train("o", "--steps", "10", "--overwrite", "--seed", "3");
  t.is(idsOf("o").length, 1);
  t.not(idsOf("o")[0], old);
  t.deepEqual([idOf("o/last.safetensors")], idsOf("o"));
});
