// What several ranks read must be the same, and what an earlier run left in a folder is not taken for this run's.

import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
import { Shell } from "../support/cli.js";
import { freePort, launchedRank } from "../support/launched.js";

const shell = new Shell("agreement");
test.after.always(() => shell.remove());

const network = "-a resnet10 --width 0.125 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 16 -b 8".split(" ");
const flags = "--threads 1 --workers 1 --epochs 1 --lr 0.01 --quiet".split(" ");
const train = (data: string, exp: string, ...more: readonly string[]): string[] => [
  ...["train", "--artefact", "two", "--data", data, "--exp-dir", exp, ...flags, ...more],
];
const evaluate = (checkpoint: string, data: string): string[] => [
  ...["evaluate", "--artefact", "two", "--resume", checkpoint, "--data", data, "--threads", "1", "--workers", "1"],
];

test.before(() => {
  shell.done("compile", "--task", "classifier", ...network, "--bn-groups", "2", "--ranks", "1,2", "-o", "two");
  const sizes = "--classes 4 --images 64 --val 16 --size 40".split(" ");
  shell.done("data", "sample", "--layout", "imagenet", "--out", "data", ...sizes);
  cpSync(shell.at("data"), shell.at("less"), { recursive: true });
  const folder = shell.at("less", "val", readdirSync(shell.at("less", "val"))[0] as string);
  rmSync(`${folder}/${readdirSync(folder)[0]}`);
  shell.done(...train("data", "run"));
  shell.done(...train("data", "other", "--seed", "2"));
});

/** Two ranks with a command each: both end with 2 and a message like `says`. */
async function disagree(
  t: ExecutionContext,
  first: readonly string[],
  second: readonly string[],
  says: RegExp,
): Promise<void> {
  const port = freePort();
  const node = [process.execPath, shell.main];
  const ranks = [first, second].map((args, rank) => launchedRank(rank, port, [...node, ...args], shell.dir));
  for (const { ended } of ranks) {
    const { status, err } = await ended;
    t.is(status, 2, err);
    t.regex(err, says);
  }
}

test.serial("ranks whose validation images differ do not train", async (t) => {
  const says = /disagree about the validation list 1: rank 0 has [0-9a-f]{16}, rank 1 has [0-9a-f]{16}/;
  await disagree(t, train("data", "no"), train("less", "no"), says);
  t.false(existsSync(shell.at("no", "metrics.jsonl")));
});

test.serial(
  "ranks that evaluate other images, or another checkpoint, than rank 0 end before the first image",
  async (t) => {
    const [run, other] = ["run/last.safetensors", "other/last.safetensors"];
    await disagree(
      t,
      evaluate(run, "data"),
      evaluate(run, "less"),
      /disagree about the list of the images: rank 0 has/,
    );
    await disagree(t, evaluate(run, "data"), evaluate(other, "data"), /disagree about the checkpoint: rank 0 has/);
  },
);

test.serial("the results per class of an earlier run are removed when a run begins; a user's own file is not", (t) => {
  shell.done(...train("data", "results"));
  t.true(existsSync(shell.at("results", "evaluation.json")));
  mkdirSync(shell.at("begun"));
  copyFileSync(shell.at("results", "evaluation.json"), shell.at("begun", "evaluation.json"));
  shell.done(...train("data", "begun", "--steps", "2"));
  t.false(existsSync(shell.at("begun", "evaluation.json")));
  mkdirSync(shell.at("mine"));
  writeFileSync(shell.at("mine", "evaluation.json"), '{"mine": 1}\n');
  const r = shell.moproc(...train("data", "mine", "--steps", "2"));
  t.is(readFileSync(shell.at("mine", "evaluation.json"), "utf8"), '{"mine": 1}\n', r.err);
});

test.serial("a log whose checkpoints are gone is not continued by another run", (t) => {
  cpSync(shell.at("run"), shell.at("gone"), { recursive: true });
  for (const f of readdirSync(shell.at("gone"))) if (f.endsWith(".safetensors")) rmSync(shell.at("gone", f));
  const log = shell.text("gone", "metrics.jsonl");
  const r = shell.moproc(...train("data", "gone"));
  t.is(r.status, 2);
  t.regex(r.err, /gone: holds the log of a run whose checkpoints are gone; .*--overwrite removes what is left/);
  t.is(shell.moproc(...train("data", "gone", "--resume", "auto")).status, 2);
  t.is(shell.text("gone", "metrics.jsonl"), log);
  shell.done(...train("data", "gone", "--overwrite", "--seed", "3"));
  const ids = new Set(shell.metrics("gone").map((m) => m.run));
  t.deepEqual([...ids].length, 1);
  t.false(log.includes(String([...ids][0])));
  // A run that died before its first checkpoint left nothing that is worth a question.
  mkdirSync(shell.at("early"));
  const start = log.slice(0, log.indexOf("\n") + 1);
  writeFileSync(shell.at("early", "metrics.jsonl"), start);
  shell.done(...train("data", "early", "--steps", "2"));
});

test.serial("--resume auto where every checkpoint is damaged replaces nothing", (t) => {
  shell.done(...train("data", "damaged"));
  const best = (): Buffer => readFileSync(shell.at("damaged", "model_best.safetensors"));
  const whole = best();
  const files = readdirSync(shell.at("damaged")).filter((f) => f.startsWith("checkpoint_"));
  for (const f of files) {
    const bytes = readFileSync(shell.at("damaged", f));
    bytes[bytes.length - 9] = (bytes[bytes.length - 9] as number) ^ 1;
    writeFileSync(shell.at("damaged", f), bytes);
  }
  const r = shell.moproc(...train("data", "damaged", "--resume", "auto"));
  t.is(r.status, 2);
  t.regex(r.err, /the file is damaged; no checkpoint in damaged can be read; --resume FILE begins with another/);
  t.deepEqual(best(), whole);
});

test.serial("a lost model_best is said, and made again by a later epoch", (t) => {
  const more = ["--resume", "auto", "--epochs", "2"];
  shell.done(...train("data", "lost"));
  rmSync(shell.at("lost", "model_best.safetensors"));
  const flags = train("data", "lost").filter((f, i, all) => f !== "--epochs" && all[i - 1] !== "--epochs");
  t.regex(shell.done(...flags, ...more), /model_best\.safetensors is gone; the best of the epochs from now on/);
  t.true(existsSync(shell.at("lost", "model_best.safetensors")));
});
