// --recipe auto on digits written by hand, 40 % of whose labels are wrong: better than plain cross-entropy, which
// learns the wrong labels by heart, and never collapsed.

import test from "ava";
import { Shell } from "../support/cli.js";
import { writeDigits } from "../support/digits.js";

const shell = new Shell("digits");
test.after.always(() => shell.remove());

const flags = "--recipe auto --epochs 120 --cos --crop-min 0.5 -a resnet10 --width 0.25 -b 64 --image-size 32 --quiet";

for (const seed of ["1", "2"])
  test.serial(`digits with wrong labels, seed ${seed}`, (t) => {
    const data = `digits${seed}`;
    writeDigits(shell.at(data), 0.4, Number(seed));
    const train = (exp: string, ...more: readonly string[]): number => {
      const all = [...flags.split(" "), "--data", data, "--exp-dir", exp, "--seed", seed, ...more];
      const out = shell.done("train", ...all);
      t.notRegex(out, /warning/);
      return shell.metrics(exp).findLast((m) => m.event === "evaluate")?.top1 as number;
    };
    const plain = train(`plain${seed}`, "--task", "classifier");
    const mopro = train(`mopro${seed}`);
    t.true(mopro >= plain + 5, `${mopro}, ${plain}`);
    t.true(mopro >= 92, `${mopro}`);
  });
