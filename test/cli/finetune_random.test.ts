// The commands of docs/examples/finetune-random.md for SqueezeNet of the ONNX project, as they are printed; and what
// is said of a network whose weights are equal numbers. finetune_random.long.test.ts runs those for ResNet-50.

import test from "ava";
import { Shell } from "../support/cli.js";
import { pageCommands, runLine } from "../support/page_commands.js";

const shell = new Shell("finetune random");
test.after.always(() => shell.remove());

const page = pageCommands("docs", "examples", "finetune-random.md");
const section = (title: string): readonly string[] => page.get(title) as readonly string[];

test.serial("SqueezeNet with random weights learns", (t) => {
  for (const line of section("The networks and some data")) runLine(shell, line, ["tar", "mkdir"]);
  const said = section("SqueezeNet").map((line) => runLine(shell, line));
  t.is(said.length, 2);
  t.regex(said[0] as string, /50 tensors and a new classifier on its feature of 512 are trained, at 64 pixels/);
  t.regex(said[0] as string, /model\.onnx: 1 Dropout node without effect, unless --dropout says/);
  t.notRegex(said[0] as string, /equal/);
  const learned = Number(/top-1 ([\d.]+) %/.exec(said[1] as string)?.[1]);
  t.true(learned >= 70, `top-1 ${learned}, chance is 25`); // 98 when the page was written
});

test.serial("weights of equal numbers are named", (t) => {
  const args = "networks/light/squeezenet/model.onnx --task classifier --data objects --image-size 64 -b 16".split(" ");
  const r = shell.moproc("train", ...args, "--epochs", "1", "--steps", "1", "--exp-dir", "equal", "--quiet");
  t.is(r.status, 0, r.err);
  t.regex(r.err, /25 weights of equal numbers, such as conv1_w_0: their channels are equal and learn the same/);
});
