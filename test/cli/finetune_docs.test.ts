// The commands of docs/examples/finetune-onnx.md, as they are printed.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("finetune docs");
test.after.always(() => shell.remove());

test("the commands of the page run, and the network learns", (t) => {
  const page = readFileSync(join(root, "docs", "examples", "finetune-onnx.md"), "utf8");
  const lines = [...page.matchAll(/```sh\n(.*?)```/gs)].flatMap(([, block]) => (block as string).trim().split("\n"));
  t.true(lines.length >= 7);
  const said = lines.map((line) => {
    t.regex(line, /^npx moproc /);
    const r = shell.start("bash", "-c", line.replace(/^npx moproc/, '"$0" "$1"'), process.execPath, shell.main);
    t.is(r.status, 0, `${line}\n${r.err}`);
    return r.out + r.err;
  });
  const find = (pattern: RegExp): RegExpExecArray => pattern.exec(said.join("\n")) as RegExpExecArray;
  t.truthy(find(/network\.onnx: \d+ tensors and a new classifier on its feature of 128 are trained/));
  t.truthy(find(/; frozen: 1 tensor$/m));
  t.truthy(find(/int8 beside f32, both in ONNX Runtime, on 60 other images of data/));
  t.true(Number(find(/top-1 ([\d.]+) %/)[1]) > 40);
});
