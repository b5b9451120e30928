// The training binary for GPUs on the emulated driver, from a folder of images to a checkpoint: losses close to the
// CPU's, and a run that was stopped within an epoch continues with the same bits.

import test from "ava";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { Shell } from "../support/cli.js";
import { emulated, haveEmulator } from "../support/emulated.js";

const run = haveEmulator ? test.serial : test.serial.skip; // the native tests are not built
const shell = new Shell("cuda_train");
test.after.always(() => shell.remove());

const model = "-a resnet10 --width 0.125 -b 8 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 16".split(" ");
const gpu = "--target cuda --target-arch emulator --precision bf16".split(" ");

/** Losses of the steps of a run. */
function train(exp: string, ...flags: readonly string[]): number[] {
  emulated("bf16"); // this process's driver is its children's
  shell.done(
    "train",
    ...model,
    "--data",
    "data",
    "--exp-dir",
    exp,
    "--lr",
    "0.01",
    "-p",
    "1",
    "--seed",
    "3",
    "--epochs",
    "1",
    "--quiet",
    ...flags,
  );
  return shell.metrics(exp).flatMap((m) => (m.event === "train" ? [m.loss as number] : []));
}

/** What a checkpoint says, with the digest of its tensors; two runs differ in their id alone. */
function contents(exp: string): object {
  const file = SafetensorsFile.open(shell.at(exp, "checkpoint_0000.safetensors"));
  file.close();
  const { run: _, ...rest } = Object.fromEntries(file.metadata);
  return rest;
}

run("moproc train --target cuda: an epoch of images, evaluation, and a resumed run of equal bits", (t) => {
  shell.done("data", "sample", "--out", "data", "--classes", "4", "--images", "24", "--val", "6", "--size", "40");
  const cpu = train("cpu");
  const whole = train("whole", ...gpu);
  t.is(whole.length, 3);
  whole.forEach((loss, i) =>
    t.true(Math.abs(loss / (cpu[i] as number) - 1) < 0.1, `step ${i}: ${loss}, on the CPU ${cpu[i]}`),
  );
  train("cut", ...gpu, "--steps", "1");
  t.is(train("cut", ...gpu, "--resume", "auto").length, 3);
  t.deepEqual(contents("cut"), contents("whole"));
});
