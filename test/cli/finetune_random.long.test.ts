// The commands of docs/examples/finetune-random.md for ResNet-50 of the ONNX project, as they are printed.

import test from "ava";
import { Shell } from "../support/cli.js";
import { pageCommands, runLine } from "../support/page_commands.js";

const shell = new Shell("finetune random long");
test.after.always(() => shell.remove());

test("ResNet-50 with random weights learns", (t) => {
  t.timeout(1_800_000);
  const page = pageCommands("docs", "examples", "finetune-random.md");
  const section = (title: string): readonly string[] => page.get(title) as readonly string[];
  for (const line of section("The networks and some data")) runLine(shell, line, ["tar", "mkdir"]);
  const said = section("ResNet-50").map((line) => runLine(shell, line));
  t.is(said.length, 2);
  t.regex(said[0] as string, /159 tensors and a new classifier on its feature of 2048 are trained, at \d+ pixels/);
  t.log([...(said[0] as string).matchAll(/validation: top-1 ([\d.]+)/g)].map(([, top1]) => top1).join(" "));
  const learned = Number(/top-1 ([\d.]+) %/.exec(said[1] as string)?.[1]);
  t.true(learned >= 60, `top-1 ${learned}, chance is 25`); // 89 when the page was written
});
