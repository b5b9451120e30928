// A model of another exporter from the file to its results: compiled by the command line, run by the artefact's binary
// and by the addon, with the model's weights.

import { writeFileSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
import { load } from "node-cuda-rt";
import type { NdArray } from "../../compiler/ir/nd.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import { encodeModel } from "../../compiler/onnx/proto.js";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { writeSafetensors } from "../../compiler/util/safetensors_writer.js";
import { type Ran, Shell } from "../support/cli.js";
import { f32, foreignModel, i64, node, results, some } from "../support/foreign.js";

const shell = new Shell("onnx foreign");
test.after.always(() => shell.remove());
const compile = (...args: readonly string[]): Ran => shell.moproc("compile", ...args);

const numbers = (shape: readonly number[]): readonly number[] => [...some(shape).data].map((v) => v / 8);
const weights = {
  w: f32([4, 3, 3, 3], numbers([4, 3, 3, 3])),
  v: f32([2, 2, 2, 2], numbers([2, 2, 2, 2])),
  bias: f32([4], [1, -1, 0, 2]),
  slope: f32([2, 1, 1], [0.5, 2]),
  fc: f32([18, 5], numbers([18, 5])),
  rows: i64([0, -1]),
};
/** Uneven padding, groups' slices, averages with a table of counts, images that become rows: what moves elements. */
const nodes = [
  node("Conv", ["image", "w", "bias"], ["a"], { pads: [0, 1, 1, 0], strides: [1, 1] }),
  node("Split", ["a"], ["b", "c"], { axis: 1 }),
  node("PRelu", ["b", "slope"], ["d"]),
  node("Conv", ["d", "v"], ["e"], { strides: [2, 2] }),
  node("MaxPool", ["c"], ["f"], { kernel_shape: [2, 2], strides: [2, 2], auto_pad: "VALID" }),
  node("Add", ["e", "f"], ["g"]),
  node("AveragePool", ["g"], ["h"], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
  node("Reshape", ["h", "rows"], ["flat"]),
  node("MatMul", ["flat", "fc"], ["logits"]),
  node("LogSoftmax", ["logits"], ["y"], { axis: -1 }),
];
const model = foreignModel({ nodes, inputs: { image: ["batch", 3, 7, 7] }, constants: weights });
writeFileSync(shell.at("net.onnx"), encodeModel(model));
const image = some([2, 3, 7, 7]);
const want = results(importForeign(model, new Map([["batch", 2]])), [image])[0] as NdArray;

function close(t: ExecutionContext, got: Float32Array): void {
  t.is(got.length, want.data.length);
  for (const [i, w] of want.data.entries())
    t.true(Math.abs((got[i] as number) - w) <= 1e-5 + 1e-5 * Math.abs(w), `element ${i} is ${got[i]}, not ${w}`);
}

test.serial("a network compiles and runs with its weights", async (t) => {
  const made = compile("net.onnx", "--dim", "batch=2", "-o", "built");
  t.is(made.status, 0, made.err);
  t.regex(made.out, /built: main \d+/);
  t.regex(made.out, /built\/init\.safetensors; run begins with it/);
  t.is(made.err, "");
  t.regex(compile("net.onnx", "--dim", "batch=2", "-o", "built").out, /unchanged/);
  const bytes = new Uint8Array(Float32Array.from(image.data).buffer);
  const tensor = { name: "image", dtype: "F32", shape: image.shape, bytes } as const;
  writeSafetensors(shell.at("in.safetensors"), [tensor], { format: "moproc-test" });
  const files = ["--inputs", "in.safetensors", "--outputs", "out.safetensors"];
  const ran = shell.start(shell.at("built", "run"), "main", ...files);
  t.is(ran.status, 0, ran.err);
  const out = SafetensorsFile.open(shell.at("out.safetensors"));
  close(t, out.floats("y"));
  out.close();

  const artefact = load(shell.at("built"));
  artefact.load_state(shell.at("built", "init.safetensors"));
  close(t, (await artefact.run("main", { image: Float32Array.from(image.data) })).y as Float32Array);
});

test("what is refused names the file and the remedy", (t) => {
  for (const [args, message] of [
    [["net.onnx"], /net\.onnx: input image leaves the extent batch open; give it with --dim batch=N/],
    [["net.onnx", "--dim", "batch"], /--dim.*NAME=N|a name, = and a whole number/],
    [["net.onnx", "--dim", "batch=0"], /a name, = and a whole number from 1/],
    [["net.onnx", "--dim", "batch=1", "--dim", "width=2"], /--dim width: no input/],
    [["net.onnx", "net.onnx"], /net\.onnx: moproc did not export it; such a model is compiled alone/],
    [["-a", "resnet10", "--dim", "batch=2"], /--dim: only a \.onnx file leaves extents open/],
  ] as const) {
    const r = compile(...args, "-o", "refused");
    t.not(r.status, 0);
    t.regex(r.err, message);
  }
});
