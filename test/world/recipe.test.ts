// --recipe auto: what it chooses of the values that are compiled in, and the hint if the published values do not fit.

import test from "ava";
import { fittingQueue } from "../../tools/cli/recipe.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("recipe");
test.after.always(() => shell.remove());

const net = "-a resnet10 --width 0.125 --image-size 32 --low-dim 8 -b 8 --threads 1 --workers 1".split(" ");
const train = (exp: string, ...more: readonly string[]): string =>
  shell.done("train", ...net, "--data", "data", "--exp-dir", exp, "--epochs", "20", "--steps", "1", ...more);

test.before(() => {
  const sizes = "--classes 4 --images 104 --val 8 --size 40".split(" ");
  shell.done("data", "sample", "--layout", "imagenet", "--out", "data", ...sizes);
});

test("the queue: half of the images in whole batches, 8192 for large sets, a batch for the smallest", (t) => {
  t.is(fittingQueue(2_440_928, 256), 8192);
  t.is(fittingQueue(16_384, 256), 8192);
  t.is(fittingQueue(16_383, 256), 7936);
  t.is(fittingQueue(1397, 64), 640);
  t.is(fittingQueue(10, 64), 64);
});

test("the queue fits the folder's images, unless it is given or the run goes on with its own", (t) => {
  const queueOf = (out: string): string | undefined => /--recipe auto: --moco_queue \d+, for \d+ .*/.exec(out)?.[0];
  const said = (...more: readonly string[]): string => {
    const r = shell.moproc("train", ...net, "--data", "data", "--epochs", "20", "--steps", "1", ...more);
    t.is(r.status, 0, r.err);
    return r.err + r.out;
  };
  const auto = ["--recipe", "auto"];
  t.is(queueOf(said("--exp-dir", "fit", ...auto)), "--recipe auto: --moco_queue 48, for 104 training images");
  const on = said("--exp-dir", "fit", ...auto, "--resume", "auto");
  t.is(queueOf(on), undefined);
  t.notRegex(on, /queue of/);
  t.is(queueOf(said("--exp-dir", "given", ...auto, "--moco_queue", "48")), undefined);
});

test("published values that do not fit are named one by one, with what --recipe auto would use", (t) => {
  const out = train("published");
  t.regex(out, /note: --proto_m 0\.999: after epoch 0 the prototype of a class of 26 images/);
  t.regex(out, /note: --moco_m 0\.999: after all 260 steps the key encoder still consists to 77 % of the weights/);
  t.regex(out, /note: the queue of 8192 keys holds 78\.8 of each of the 104 images/);
  t.notRegex(out, /no label is corrected/);
  t.regex(out, /note: for a run of 260 steps --recipe auto would use --lr /);
  t.notRegex(train("fits", "--recipe", "auto"), /would use|still consists|the queue of/);
});
