// A run has an id: its checkpoints and the records of its log carry it, and a page shows one run.

import { readFileSync, writeFileSync } from "node:fs";
import test from "ava";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { readLog } from "../../tools/report/run_log.js";
import { trainData } from "../../tools/report/train.js";
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

test("records without an id belong to a run that was continued, and not to one that began", (t) => {
  const step = (samples: number, run?: string) => ({
    ...{ event: "train", phase: "warmup", epoch: 0, step: samples / 8, steps: 10, samples, loss: samples },
    ...{ images_per_s: 1, ...(run && { run }) },
  });
  const start = (from: number, run: string) => ({
    ...{ event: "start", run, from_samples: from, from_epoch: 0, from_run_step: from / 8, steps: 10 },
  });
  const old = [step(8), step(16), step(24)]; // the last one was computed again
  const file = shell.at("old.jsonl");
  const shown = (...records: readonly object[]): readonly [samples: readonly number[], notes: readonly string[]] => {
    writeFileSync(file, records.map((r) => `${JSON.stringify(r)}\n`).join(""));
    const notes: string[] = [];
    const data = trainData(
      "run",
      readLog(file, (n) => void notes.push(n)),
    );
    return [data.stepLoss.flatMap((c) => c.points.map(([x]) => x)), notes];
  };
  const [continued, said] = shown(...old, start(16, "aa"), step(32, "aa"));
  t.deepEqual(continued, [8, 16, 32]);
  t.deepEqual(said, [
    `${file}: 3 records without a run's id are taken for the beginning of run aa, which was continued`,
  ]);
  // A run that began, was stopped, and was continued: its first start counts, not its last.
  const [begun, left] = shown(...old, start(0, "bb"), step(8, "bb"), start(8, "bb"), step(40, "bb"));
  t.deepEqual(begun, [8, 40]);
  t.deepEqual(left, [`${file}: 3 records of other runs are left out; the page shows run bb`]);
  const [both, notes] = shown(...old, start(0, "bb"), step(48, "bb"), start(16, "aa"), step(32, "aa"));
  t.deepEqual(both, [8, 16, 32]);
  t.is(notes.length, 2);
  t.regex(notes.join("\n"), /: 2 records of other runs are left out/);
});
