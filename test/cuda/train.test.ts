// The training binary for GPUs, from a folder of images to a checkpoint, on the emulated driver: losses beside the CPU's, and
// a run that was stopped within an epoch goes on with the same bits.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { emulated, haveEmulator } from "../support/emulated.js";

const run = haveEmulator ? test.serial : test.serial.skip; // the native tests are not built
const scratch = mkdtempSync(join(root, "build", "test", "cuda_train-"));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));

const model = "-a resnet10 --width 0.125 -b 8 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 16".split(" ");
const gpu = "--target cuda --arch emulator --precision bf16".split(" ");

function moproc(...args: readonly string[]): string {
  emulated("bf16");
  const r = spawnSync(process.execPath, [join(root, "build", "js", "compiler", "cli", "main.js"), ...args], { cwd: scratch, encoding: "utf8" });
  if (r.status !== 0) throw new Error(`moproc ${args.join(" ")}: ${r.stderr}${r.stdout}`);
  return r.stdout;
}

interface Line {
  readonly event: string;
  readonly loss?: number;
}

/** Losses of the steps of a run. */
function train(exp: string, ...flags: readonly string[]): number[] {
  moproc("train", ...model, "--data", "data", "--exp-dir", exp, "--lr", "0.01", "-p", "1", "--seed", "3", "--epochs", "1", "--quiet", ...flags);
  const lines = readFileSync(join(scratch, exp, "metrics.jsonl"), "utf8").trim().split("\n").map((l) => JSON.parse(l) as Line);
  return lines.flatMap((l) => (l.event === "train" && l.loss !== undefined ? [l.loss] : []));
}

const digest = (exp: string): string => createHash("sha256").update(readFileSync(join(scratch, exp, "checkpoint_0000.safetensors"))).digest("hex");

run("moproc train --target cuda: an epoch of images, evaluation, and a resumed run of equal bits", (t) => {
  moproc("data", "sample", "--out", "data", "--classes", "4", "--images", "24", "--val", "6", "--size", "40");
  const cpu = train("cpu");
  const whole = train("whole", ...gpu);
  t.is(whole.length, 3);
  whole.forEach((loss, i) => t.true(Math.abs(loss / (cpu[i] as number) - 1) < 0.1, `step ${i}: ${loss}, on the CPU ${cpu[i]}`));
  train("cut", ...gpu, "--steps", "1");
  t.is(train("cut", ...gpu, "--resume", "auto").length, 3);
  t.is(digest("cut"), digest("whole"));
});
