// Models in half precision: which tensors and values become f16, what is refused, and that ONNX Runtime, which checks
// the types of every node, runs them in all operator sets with results near those of the f32 model.

import test from "ava";
import { NdArray } from "../../compiler/ir/nd.js";
import { opsets } from "../../compiler/onnx/export.js";
import { halved } from "../../compiler/onnx/half.js";
import { elementsOf, type Model, numbersOf } from "../../compiler/onnx/model.js";
import { type Input, inputs, outputsOf } from "../../models/deploy.js";
import { tolerances } from "../../tools/cli/export_flags.js";
import { f32, foreignModel, i64, node, type Parts } from "../support/foreign.js";
import { OrtModel } from "../support/ort.js";
import { randomArray } from "../support/random.js";
import { randomNetwork as network } from "../support/random_network.js";

const image = (input: Input): NdArray =>
  input === "uint8"
    ? NdArray.fill([3, 32, 32, 3], (i) => (i * 7919 + (i >> 5) * 31) % 256)
    : randomArray([3, 3, 32, 32], 9, -2, 2);

type Results = ReadonlyMap<string, NdArray>;
const run = async (m: Model, feed: Results): Promise<Results> => (await OrtModel.load(m)).run(feed);

/** The largest difference over the largest value of the output. */
function apart(a: Results, b: Results, name: string): number {
  const [x, y] = [a.get(name) as NdArray, b.get(name) as NdArray];
  const largest = Math.max(...y.data.map(Math.abs));
  return Math.max(...x.data.map((v, i) => Math.abs(v - (y.data[i] as number)))) / largest;
}

for (let opset = opsets.least; opset <= opsets.most; opset++)
  test(`resnet10, opset ${opset}: heads, floats and bytes, BatchNorm kept and folded`, async (t) => {
    for (const head of ["both", "features"] as const)
      for (const input of inputs)
        for (const keep of [false, true]) {
          const full = network("resnet10", head, input, keep, opset);
          const { model, changed } = halved(full);
          const what = `${head}, ${input}, ${keep}`;
          t.deepEqual([model.graph.inputs, model.graph.outputs], [full.graph.inputs, full.graph.outputs], what);
          const feed = new Map([["image", image(input)]]);
          const [got, want] = [await run(model, feed), await run(full, feed)];
          for (const name of outputsOf(head)) {
            const d = apart(got, want, name);
            t.true(d < tolerances.f16 && d > 1e-6, `${what}: ${name} ${d}`);
          }
          t.is(changed.zeros, 0);
          const weights = model.graph.initializers.filter((w) => /^(conv|layer|fc|classifier).*weight$/.test(w.name));
          const matrices = weights.filter((w) => w.dims.length > 1);
          t.true(matrices.length >= 13 && matrices.every((w) => w.type === "f16"), what);
        }
  });

test("a vision transformer: its LayerNorm stays f32, its result is near", async (t) => {
  for (const opset of [13, 21]) {
    const full = network("vit_s_16", "both", "uint8", false, opset);
    const { model } = halved(full);
    const feed = new Map([["image", image("uint8")]]);
    const [got, want] = [await run(model, feed), await run(full, feed)];
    for (const name of ["logits", "embedding"]) t.true(apart(got, want, name) < tolerances.f16, name);
    const eps = model.graph.nodes.find((n) => n.name === "blocks.0.norm1/constant")?.attributes.value;
    t.is(eps?.kind === "tensor" ? eps.value.type : undefined, "f32");
  }
});

test("bytes are normalised in f32, and the sum below the embedding is f32", (t) => {
  const { model } = halved(network("resnet10", "both", "uint8", true, 17));
  const { nodes } = model.graph;
  const cast = nodes.find((n) => n.op === "Cast" && n.inputs[0] === "normalize.mul");
  t.deepEqual(cast?.attributes.to, { kind: "int", value: 10 });
  t.is(nodes.find((n) => n.op === "Conv")?.inputs[0], cast?.outputs[0]);
  const values = new Map(model.graph.values.map((v) => [v.name, v.type]));
  t.deepEqual(
    ["normalize.sub", "normalize.mul", "conv1.conv", "layer4.0.relu_1", "fc1.relu"].map((v) => values.get(v)),
    ["f32", "f32", "f16", "f16", "f16"],
  );
  t.is(model.graph.initializers.find((w) => w.name === "f32_1e-12")?.type, "f32");
});

/** y = relu(x w + b), with changes. */
const layer = (p: Partial<Parts> = {}): Model =>
  foreignModel({
    nodes: [node("MatMul", ["x", "w"], ["p"]), node("Add", ["p", "b"], ["s"]), node("Relu", ["s"], ["y"])],
    inputs: { x: ["N", 2] },
    constants: { w: f32([2, 2], [1, 2 ** -25, -3e-8, 1 + 2 ** -11]), b: f32([2], [1e-9, 0]) },
    ...p,
  });

test("numbers are rounded, ties to even; those that become 0 are counted; casts stand at the ends", (t) => {
  const { model, changed } = halved(layer());
  const [w, b] = model.graph.initializers.map((i) => ({ type: i.type, numbers: numbersOf(i) }));
  t.deepEqual(w, { type: "f16", numbers: [1, 0, -(2 ** -24), 1] });
  t.deepEqual(b, { type: "f16", numbers: [0, 0] });
  t.deepEqual(changed, { tensors: 2, numbers: 6, zeros: 2, casts: 2, half: 3, full: 0 });
  t.deepEqual(
    model.graph.nodes.map((n) => [n.op, ...n.inputs, ...n.outputs].join(" ")),
    ["Cast x x/f16", "MatMul x/f16 w p", "Add p b s", "Relu s y/f16", "Cast y/f16 y"],
  );
});

test("a constant that both types read is there twice; an output that is read inside has one cast", async (t) => {
  const m = layer({
    nodes: [
      node("MatMul", ["x", "w"], ["p"]),
      node("Constant", [], ["c"], { value: f32([2], [0.1, 3]) }),
      node("Add", ["p", "c"], ["y"]),
      node("Exp", ["y"], ["e"]),
      node("Mul", ["e", "c"], ["z"]),
      node("Shape", ["y"], ["n"]),
      node("Reshape", ["y", "n"], ["q"]),
    ],
    constants: { w: f32([2, 2], [1, 2, 3, 4]) },
    outputs: ["y", "z", "q"],
  });
  const { model, changed } = halved(m);
  const constants = model.graph.nodes.filter((n) => n.op === "Constant");
  t.deepEqual(
    constants.map((n) => n.outputs[0]),
    ["c", "c/f16"],
  );
  t.is(changed.casts, 3);
  const feed = new Map([["x", new NdArray([1, 2], Float64Array.of(0.5, -0.25))]]);
  const [got, want] = [await run(model, feed), await run(m, feed)];
  for (const name of ["y", "z", "q"]) t.true(apart(got, want, name) < 2e-3, name);
});

test("squares and sums of values whose result f16 does not hold are f32", async (t) => {
  const m = layer({
    nodes: [
      node("MatMul", ["x", "w"], ["p"]),
      node("Mul", ["p", "p"], ["q"]),
      node("ReduceSum", ["q"], ["s"], { keepdims: 0 }),
      node("Sqrt", ["s"], ["y"]),
    ],
    constants: { w: f32([2, 2], [1, 0, 0, 1]) },
  });
  const { model, changed } = halved(m);
  t.deepEqual([changed.half, changed.full], [1, 3]);
  const got = await run(model, new Map([["x", new NdArray([1, 2], Float64Array.of(300, 400))]]));
  t.is(got.get("y")?.data[0], 500);
});

test("a network of another program: its tensors of integers stay, ONNX Runtime agrees", async (t) => {
  const m = layer({
    nodes: [
      node("Conv", ["x", "k"], ["c"], { pads: [1, 1, 1, 1] }),
      node("Clip", ["c", "low", "high"], ["r"]),
      node("Resize", ["r", "", "scales"], ["u"], { mode: "nearest" }),
      node("MaxPool", ["u"], ["m"], { kernel_shape: [2, 2] }),
      node("GlobalAveragePool", ["m"], ["g"]),
      node("Reshape", ["g", "shape"], ["f"]),
      node("Gemm", ["f", "w", "b"], ["s"], { transB: 1 }),
      node("Softmax", ["s"], ["y"]),
    ],
    inputs: { x: ["N", 2, 6, 6] },
    constants: {
      k: { ...f32([3, 2, 3, 3], [...randomArray([54], 3, -1, 1).data]) },
      low: f32([], [0]),
      high: f32([], [6]),
      scales: f32([4], [1, 1, 2, 2]),
      shape: i64([-1, 3]),
      w: f32([4, 3], [...randomArray([12], 4, -1, 1).data]),
      b: f32([4], [0.1, 0.2, 0.3, 0.4]),
    },
  });
  const { model } = halved(m);
  const types = Object.fromEntries(model.graph.initializers.map((i) => [i.name, i.type]));
  t.deepEqual(types, { k: "f16", low: "f16", high: "f16", scales: "f32", shape: "i64", w: "f16", b: "f16" });
  const feed = new Map([["x", randomArray([2, 2, 6, 6], 5, -2, 2)]]);
  t.true(apart(await run(model, feed), await run(m, feed), "y") < 2e-3);
});

test("refused, with the reason", (t) => {
  const no = (p: Partial<Parts>, message: RegExp): void => void t.throws(() => halved(layer(p)), { message });
  const w = (x: number): Partial<Parts> => ({ constants: { w: f32([2, 2], [1, x, 0, 0]), b: f32([2], [0, 0]) } });
  no(w(65505), /tensor w has the value 65505\.0, but f16 ends at 65504/);
  no(w(-1e9), /tensor w has the value -1\.00000e\+9/);
  t.deepEqual(numbersOf(halved(layer(w(65504))).model.graph.initializers[0] as never), [1, 65504, 0, 0]);
  t.is(elementsOf(halved(layer(w(-Infinity))).model.graph.initializers[0] as never)[1], 0xfc00);
  no({ nodes: [node("Det", ["x"], ["y"])] }, /node y: the operator Det has no f16 rule/);
  no({ nodes: [node("Relu", ["x"], ["y"], {}, "their.own")] }, /the operator their\.own::Relu has no f16 rule/);
  no({ nodes: [node("Cast", ["x"], ["y"], { to: 11 })] }, /node y casts to another float type/);
  no({ opset: 12 }, /operator set 12 in f16: 13 and later/);
  no({ irVersion: 3, listed: true }, /input w has a default value/);
});
