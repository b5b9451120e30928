// The commands of docs/examples/finetune-onnx.md, as they are printed.

import test from "ava";
import { Shell } from "../support/cli.js";
import { pageCommands, runLine } from "../support/page_commands.js";

const shell = new Shell("finetune docs");
test.after.always(() => shell.remove());

test("the commands of the page run, and the network learns", (t) => {
  const lines = [...pageCommands("docs", "examples", "finetune-onnx.md").values()].flat();
  t.true(lines.length >= 7);
  const said = lines.map((line) => runLine(shell, line));
  const find = (pattern: RegExp): RegExpExecArray => pattern.exec(said.join("\n")) as RegExpExecArray;
  t.truthy(find(/network\.onnx: \d+ tensors and a new classifier on its feature of 128 are trained/));
  t.truthy(find(/; frozen: 1 tensor$/m));
  t.truthy(find(/int8 beside f32, both in ONNX Runtime, on 60 other images of data/));
  t.true(Number(find(/top-1 ([\d.]+) %/)[1]) > 40);
});
