// Models as files: large tensors are stored in a file beside the model, and a model must not be able to read other
// files.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test from "ava";
import { print } from "../../compiler/ir/print.js";
import { readModel, writeModel } from "../../compiler/onnx/files.js";
import { importStep } from "../../compiler/onnx/import.js";
import { encodeModel, type Model, type Tensor } from "../../compiler/onnx/proto.js";
import { root } from "../../compiler/util/root.js";
import { stepModel } from "../support/ort_step.js";
import { program } from "../support/tiny_mopro.js";
import { initialStates } from "../support/training.js";

mkdirSync(join(root, "build", "test"), { recursive: true });
const scratch = mkdtempSync(join(root, "build", "test", "onnx-files-"));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));

const g = program("warmup");
const model = stepModel(g, initialStates(g, 3));

test("large tensors go into a file beside the model, and come back", (t) => {
  const file = join(scratch, "large.onnx");
  t.deepEqual(writeModel(file, model, 100_000), [file, `${file}.data`]);
  t.true(statSync(file).size < 1_000_000 && statSync(`${file}.data`).size > 1_000_000);
  const back = readModel(file);
  t.deepEqual(encodeModel(back), encodeModel(model));
  t.is(print(importStep(back).graph), print(g));
  t.deepEqual(
    readdirSync(scratch).filter((f) => f.includes("tmp")),
    [],
  );
  t.throws(() => writeModel(join(scratch, "no", "such"), model), { message: /cannot write .*such/ });
  t.false(existsSync(join(scratch, "no")));
});

test("files are named", (t) => {
  const file = join(scratch, "some.onnx");
  t.throws(() => readModel(file), { message: /some\.onnx: no such file/ });
  t.throws(() => readModel(scratch), { message: /onnx-files-.*: is not a regular file/ });
  writeFileSync(file, encodeModel(model).subarray(0, 100));
  t.throws(() => readModel(file), { message: /some\.onnx: not an ONNX model, or cut off: at byte/ });
});

test("tensors in other files stay beside the model", (t) => {
  const big: Tensor = { name: "w", type: "f32", dims: [300, 1], data: new Uint8Array(1200) };
  const withTensor = (t: Tensor): Model => ({ ...model, graph: { ...model.graph, initializers: [t] } });
  const file = join(scratch, "beside.onnx");
  writeModel(file, withTensor(big), 10);
  t.deepEqual(readModel(file).graph.initializers, [big]);
  const elsewhere = (location: string, offset = 0, length = 1200): void =>
    writeFileSync(file, encodeModel(withTensor({ ...big, data: { location, offset, length } })));
  for (const [location, message] of [
    ["../beside.onnx.data", /not the name of a file beside/],
    ["/etc/passwd", /not the name of a file beside/],
    ["..", /not the name of a file/],
    ["a\0b", /not the name of a file/],
    ["nothing.data", /nothing\.data, which is not a file/],
  ] as const) {
    elsewhere(location);
    t.throws(() => readModel(file), { message });
  }
  elsewhere("beside.onnx.data", 2 ** 40);
  t.throws(() => readModel(file), { message: /beside\.onnx: initializer w is at bytes 1099511627776 to/ });
  elsewhere("beside.onnx.data", 0, 1000);
  t.throws(() => readModel(file), { message: /takes 1200 bytes, there are 1000/ });
  elsewhere("beside.onnx.data");
  truncateSync(join(scratch, "beside.onnx.data"), 1100);
  t.throws(() => readModel(file), { message: /which has 1100/ });
});
