// Models of 8 bits, node by node: what becomes whole numbers, with which scales, what stays f32, and that ONNX Runtime
// gives what the f32 model gives.

import test from "ava";
import * as ort from "onnxruntime-node";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Model } from "../../compiler/onnx/model.js";
import { prepared } from "../../compiler/onnx/quantize.js";
import { calibrated } from "../../tools/cli/export_calibrate.js";
import { f32, foreignModel, i64, node, type Parts } from "../support/foreign.js";
import { apart, evaluated, initializer, listing, numbers, quantizedFor, run } from "../support/quantized.js";
import { randomArray } from "../support/random.js";
import { sizesOf } from "../support/random_network.js";

/** Seven bits of weights and eight of values. */
const NEAR = 0.1;

test("a residual block: a pair per value, none between convolution and Relu, one scale around a pool", async (t) => {
  const m = foreignModel({
    nodes: [
      node("Conv", ["x", "w", "b"], ["c"], { pads: [1, 1, 1, 1] }),
      node("Relu", ["c"], ["r"]),
      node("MaxPool", ["r"], ["p"], { kernel_shape: [1, 1] }),
      node("Conv", ["p", "v"], ["d"], { pads: [1, 1, 1, 1] }),
      node("Add", ["d", "p"], ["s"]),
      node("Relu", ["s"], ["q"]),
      node("GlobalAveragePool", ["q"], ["g"]),
      node("Flatten", ["g"], ["f"]),
      node("Gemm", ["f", "u"], ["y"], { transB: 1 }),
    ],
    inputs: { x: ["N", 2, 4, 4] },
    constants: {
      w: f32([2, 2, 3, 3], [...randomArray([36], 1, -1, 1).data]),
      b: f32([2], [0.1, -0.2]),
      v: f32([2, 2, 3, 3], [...randomArray([36], 2, -1, 1).data]),
      u: f32([3, 2], [1, 2, 3, 4, 5, 6]),
    },
  });
  const x = randomArray([2, 2, 4, 4], 3, -1, 2);
  const { model, parts } = await quantizedFor(m, x);
  t.deepEqual(listing(model), [
    "QuantizeLinear x x/scale x/zero_point -> x/quantized",
    "DequantizeLinear x/quantized x/scale x/zero_point -> x/dequantized",
    "DequantizeLinear w/quantized w/scale w/zero_point -> w/dequantized",
    "DequantizeLinear b/quantized b/scale b/zero_point -> b/dequantized",
    "Conv x/dequantized w/dequantized b/dequantized -> c",
    "Relu c -> r",
    "QuantizeLinear r r/scale r/zero_point -> r/quantized",
    "DequantizeLinear r/quantized r/scale r/zero_point -> r/dequantized",
    "MaxPool r/dequantized -> p",
    "QuantizeLinear p r/scale r/zero_point -> p/quantized",
    "DequantizeLinear p/quantized r/scale r/zero_point -> p/dequantized",
    "DequantizeLinear v/quantized v/scale v/zero_point -> v/dequantized",
    "Conv p/dequantized v/dequantized -> d",
    "QuantizeLinear d d/scale d/zero_point -> d/quantized",
    "DequantizeLinear d/quantized d/scale d/zero_point -> d/dequantized",
    "Add d/dequantized p/dequantized -> s",
    "Relu s -> q",
    "QuantizeLinear q q/scale q/zero_point -> q/quantized",
    "DequantizeLinear q/quantized q/scale q/zero_point -> q/dequantized",
    "GlobalAveragePool q/dequantized -> g",
    "QuantizeLinear g g/scale g/zero_point -> g/quantized",
    "DequantizeLinear g/quantized g/scale g/zero_point -> g/dequantized",
    "Flatten g/dequantized -> f",
    "QuantizeLinear f g/scale g/zero_point -> f/quantized",
    "DequantizeLinear f/quantized g/scale g/zero_point -> f/dequantized",
    "DequantizeLinear u/quantized u/scale u/zero_point -> u/dequantized",
    "Gemm f/dequantized u/dequantized -> y",
  ]);
  t.deepEqual([parts.nodes, parts.left, parts.activations, parts.tensors, parts.numbers], [9, {}, 7, 3, 78]);
  t.deepEqual(numbers(model, "r/zero_point"), [0]);
  t.true(apart(await run(model, x), await run(m, x)) < NEAR);
});

test("a convolution whose result others read besides a Relu is stored itself, and the Relu stays f32", async (t) => {
  const w = f32([2, 2, 1, 1], [1, -2, 3, 0.5]);
  const m = foreignModel({
    nodes: [
      node("Conv", ["x", "w"], ["c"]),
      node("Relu", ["c"], ["r"]),
      node("Conv", ["r", "w"], ["d"]),
      node("Add", ["d", "c"], ["s"]),
      node("Conv", ["s", "w"], ["y"]),
    ],
    inputs: { x: ["N", 2, 4, 4] },
    constants: { w },
  });
  const { model, parts } = await quantizedFor(m, randomArray([2, 2, 4, 4], 3, -1, 2));
  t.deepEqual(parts.left, { Relu: 1 });
  const lines = listing(model);
  for (const line of ["Relu c/dequantized -> r", "Add d/dequantized c/dequantized -> s"])
    t.true(lines.includes(line), lines.join("\n"));
  t.is(lines.filter((l) => l.startsWith("QuantizeLinear")).length, 5);
});

/** y = x w + b, with changes. */
const layer = (p: Partial<Parts> = {}): Model =>
  foreignModel({
    nodes: [node("Gemm", ["x", "w", "b"], ["y"])],
    inputs: { x: ["N", 2] },
    constants: { w: f32([2, 3], [127, 0, -1, -63.5, 0, 0.25]), b: f32([3], [1, 2, 3]) },
    ...p,
  });

test("numbers by hand: scales of channels, a zero point, a bias in the sums' scale, a channel of zeros", async (t) => {
  // x is from -0.5 to 2.05: a scale of 0.01, and 50 for 0
  const x = new NdArray([2, 2], Float64Array.of(-0.5, 2.05, 1, 0));
  const { model, parts } = await quantizedFor(layer(), x);
  t.deepEqual(numbers(model, "x/scale"), [Math.fround(0.01)]);
  t.deepEqual(numbers(model, "x/zero_point"), [50]);
  const [scales, q] = [numbers(model, "w/scale"), numbers(model, "w/quantized")];
  t.deepEqual(q, [127, 0, -127, -64, 0, 32]);
  // the weights of the second channel are 0, so its bias alone decides: 2 is 2^30 steps
  t.deepEqual(scales, [1, Math.fround(2 / (Math.fround(0.01) * 2 ** 30)), Math.fround(1 / 127)]);
  t.deepEqual([parts.empty, parts.widened], [1, 1]);
  const [b, sums] = [numbers(model, "b/quantized"), numbers(model, "b/scale")];
  t.deepEqual(
    sums,
    scales.map((s) => Math.fround(s * Math.fround(0.01))),
  );
  t.is(b[0], 100);
  t.is(initializer(model, "b/quantized").type, "i32");
  b.forEach((v, i) => void t.true(Math.abs(v * (sums[i] as number) - (i + 1)) <= (sums[i] as number) / 2 + 1e-7));
  const got = (await run(model, x)).get("y") as NdArray;
  const byHand = [-0.5 * 127 - 2.05 * 64 + 1, 2, 0.5 + (2.05 * 32) / 127 + 3, 128, 2, 2];
  got.data.forEach((v, i) => void t.true(Math.abs(v - (byHand[i] as number)) < 0.02, `${v} ${byHand[i]}`));
});

test("a value that is always 0 or always the same, and weights of zeros without a bias", async (t) => {
  const zeros = f32([2, 2], [0, 0, 0, 0]);
  const m = layer({
    nodes: [node("MatMul", ["x", "w"], ["m"]), node("MatMul", ["m", "w"], ["y"])],
    constants: { w: zeros },
  });
  const x = new NdArray([1, 2], Float64Array.of(7, 7));
  const { model, parts } = await quantizedFor(m, x);
  t.deepEqual([numbers(model, "x/scale"), numbers(model, "x/zero_point")], [[Math.fround(7 / 255)], [0]]);
  t.deepEqual([numbers(model, "m/scale"), numbers(model, "m/zero_point")], [[1], [0]]);
  t.deepEqual(numbers(model, "w/scale"), [1, 1]);
  t.is(parts.empty, 2);
  t.deepEqual([...((await run(model, x)).get("y") as NdArray).data], [0, 0]);
});

test("Gemm: factors, transposed operands, a bias of one number; they are part of the whole numbers", async (t) => {
  const x = randomArray([3, 4], 5, -1, 1);
  for (const [dims, attrs, bias] of [
    [[3, 5], { transA: 1, alpha: "0.5", beta: "3.0" }, f32([5], [1, 2, 3, 4, 5])],
    [[5, 3], { transA: 1, transB: 1, alpha: "-2.0" }, f32([1, 5], [1, 2, 3, 4, 5])],
    [[4, 5], { beta: "0.5" }, f32([], [3])],
  ] as const) {
    const w = f32(dims, [...randomArray(dims, 6, -1, 1).data]);
    const m = layer({
      nodes: [node("Gemm", ["x", "w", "b"], ["y"], attrs)],
      inputs: { x: [3, 4] },
      constants: { w, b: bias },
    });
    const { model } = await quantizedFor(m, x);
    t.deepEqual(initializer(model, "w/scale").dims, [5]);
    t.true(apart(await run(model, x), await run(m, x)) < 0.02, JSON.stringify(attrs));
    t.true(apart(await run(model, x), evaluated(model, x)) < 1e-5, JSON.stringify(attrs));
  }
});

test("a transposed convolution with groups has one scale for the same channel of all groups", async (t) => {
  const x = randomArray([2, 4, 5, 5], 7, -1, 1);
  const w = f32(
    [4, 3, 2, 2],
    [...randomArray([48], 8, -1, 1).data].map((v, i) => v * 10 ** (Math.floor(i / 4) % 3)),
  );
  const m = layer({
    nodes: [node("ConvTranspose", ["x", "w", "b"], ["y"], { group: 2, strides: [2, 2] })],
    inputs: { x: ["N", 4, 5, 5] },
    constants: { w, b: f32([6], [1, 2, 3, 4, 5, 6]) },
  });
  const { model } = await quantizedFor(m, x);
  t.deepEqual(initializer(model, "w/scale").dims, [3]);
  t.deepEqual(initializer(model, "b/scale").dims, [6]);
  const [got, want] = [await run(model, x), await run(m, x)];
  for (let c = 0; c < 6; c++) {
    const channel = (r: ReadonlyMap<string, NdArray>): ReadonlyMap<string, NdArray> => {
      const { data, shape } = r.get("y") as NdArray;
      const area = (shape[2] as number) * (shape[3] as number);
      return new Map([["y", new NdArray([area], data.slice(c * area, (c + 1) * area))]]);
    };
    t.true(apart(channel(got), channel(want)) < 0.03, `channel ${c}`);
  }
});

test("weights that several nodes read are there once per axis; those of other readers stay f32 as well", async (t) => {
  const m = layer({
    nodes: [
      node("MatMul", ["x", "w"], ["a"]),
      node("MatMul", ["a", "w"], ["c"]),
      node("Gemm", ["c", "w"], ["d"], { transB: 1 }),
      node("Mul", ["d", "w"], ["y"]),
    ],
    inputs: { x: [3, 3] },
    constants: { w: f32([3, 3], [1, 20, 300, 4, 50, 600, 7, 80, 900]) },
  });
  const square = randomArray([3, 3], 9, -1, 1);
  const { model } = await quantizedFor(m, square);
  const weights = model.graph.initializers.filter((i) => i.dims.length === 2);
  t.deepEqual(
    weights.map((i) => `${i.name} ${i.type}`),
    ["w f32", "w/quantized i8", "w/quantized_1 i8"],
  );
  t.true(apart(await run(model, square), await run(m, square)) < NEAR);
});

test("weights that nodes only move are the weights of what reads them", async (t) => {
  const x = randomArray([3, 4], 15, -1, 1);
  const m = layer({
    nodes: [
      node("Reshape", ["w", "shape"], ["wr"]),
      node("Identity", ["wr"], ["wi"]),
      node("Transpose", ["wi"], ["wt"], { perm: [1, 0] }),
      node("MatMul", ["x", "wt"], ["y"]),
    ],
    inputs: { x: ["N", 4] },
    constants: { w: f32([20], [...randomArray([20], 16, -1, 1).data]), shape: i64([5, 4]) },
  });
  const { model, parts } = await quantizedFor(m, x);
  t.deepEqual([parts.left, parts.refused, parts.tensors], [{}, [], 1]);
  t.deepEqual(
    model.graph.nodes.map((n) => n.op),
    ["QuantizeLinear", "DequantizeLinear", "DequantizeLinear", "MatMul"],
  );
  t.deepEqual(initializer(model, "wt/scale").dims, [5]);
  t.false(model.graph.initializers.some((i) => i.name === "w"));
  t.true(apart(await run(model, x), await run(m, x)) < 0.02);
});

test("products that stay f32 say why: computed weights, a computed bias, a constant operand", async (t) => {
  const m = layer({
    nodes: [
      node("Exp", ["w"], ["we"]),
      node("MatMul", ["x", "we"], ["a"]),
      node("Gemm", ["a", "w", "a"], ["c"]),
      node("MatMul", ["w", "c"], ["d"]),
      node("MatMul", ["d", "w"], ["y"]),
    ],
    inputs: { x: [2, 2] },
    constants: { w: f32([2, 2], [1, 2, 3, 4]) },
  });
  const x = randomArray([2, 2], 10, -1, 1);
  const { model, parts } = await quantizedFor(m, x);
  t.deepEqual(parts.refused, [
    "MatMul a: its weights are computed by nodes",
    "Gemm c: its bias is no constant",
    "MatMul d: its first operand is a constant",
  ]);
  t.deepEqual(parts.left, { Exp: 1, MatMul: 2, Gemm: 1 });
  t.is(parts.nodes, 1);
  t.true(apart(await run(model, x), await run(m, x)) < 0.03);
});

test("integers are not quantised: shapes that a model computes", async (t) => {
  const m = layer({
    nodes: [
      node("Gemm", ["x", "w", "b"], ["g"]),
      node("Shape", ["g"], ["n"]),
      node("Add", ["n", "n"], ["nn"]),
      node("Concat", ["nn", "n"], ["nnn"], { axis: 0 }),
      node("Slice", ["nnn", "from", "to"], ["s"]),
      node("Reshape", ["g", "s"], ["r"]),
      node("Gemm", ["r", "v"], ["y"]),
    ],
    constants: {
      w: f32([2, 3], [1, 2, 3, 4, 5, 6]),
      b: f32([3], [1, 2, 3]),
      from: i64([2]),
      to: i64([4]),
      v: f32([3, 1], [1, 2, 3]),
    },
  });
  const x = randomArray([2, 2], 11, -1, 1);
  const { model, parts } = await quantizedFor(m, x);
  t.deepEqual(parts.left, { Shape: 1, Add: 1, Concat: 1, Slice: 1 });
  t.is(parts.nodes, 3);
  t.true(apart(await run(model, x), await run(m, x)) < 0.03);
});

test("a product of integers, which only running the model shows, stays as it is", async (t) => {
  const m = layer({
    nodes: [
      node("Flatten", ["image"], ["f"]),
      node("Gemm", ["f", "w"], ["g"]),
      node("Cast", ["g"], ["i"], { to: 6 }),
      node("Transpose", ["i"], ["it"]),
      node("MatMul", ["i", "it"], ["p"]),
      node("Cast", ["p"], ["y"], { to: 1 }),
    ],
    inputs: { image: ["N", 3, 2, 2] },
    constants: { w: f32([12, 2], [...randomArray([24], 14, -1, 1).data]) },
    outputs: ["y"],
  });
  const network = { ...sizesOf("resnet10"), image_size: 2 };
  const planes = Uint8Array.from({ length: 5 * 12 }, (_, i) => (i * 7919) % 256);
  const pictures = { count: 5, size: 2, planes, labels: [] };
  const { parts } = await calibrated(ort, m, { network, input: "float" }, pictures, "mse");
  t.deepEqual(parts.refused, ["MatMul p: its values are not f32"]);
  t.deepEqual([parts.nodes, parts.left], [1, { Flatten: 1, Cast: 2, Transpose: 1, MatMul: 1 }]);
});

test("refused, with the reason", async (t) => {
  const no = (p: Partial<Parts>, message: RegExp): void => void t.throws(() => prepared(layer(p)), { message });
  no({ opset: 12 }, /operator set 12 has no scales per channel: 13 and later/);
  no({ nodes: [node("Relu", ["x"], ["y"])] }, /no node can compute with whole numbers$/);
  const computed = [node("Exp", ["w"], ["e"]), node("MatMul", ["x", "e"], ["y"])];
  no({ nodes: computed }, /no node can compute with whole numbers: its weights are computed by nodes/);
  const quantized = [node("DequantizeLinear", ["w", "b"], ["y"])];
  no({ nodes: quantized }, /node y: the model has quantised values already/);
  const nan = layer({ constants: { w: f32([2, 3], [1, Number.NaN, 3, 4, 5, 6]), b: f32([3], [1, 2, 3]) } });
  const x = randomArray([2, 2], 13, -1, 1);
  await t.throwsAsync(quantizedFor(nan, x), { message: /tensor w: element 1 is NaN/ });
  const log = layer({ nodes: [node("Log", ["x"], ["l"]), node("Gemm", ["l", "w", "b"], ["y"])] });
  await t.throwsAsync(quantizedFor(log, new NdArray([1, 2], Float64Array.of(1, 0))), {
    message: /the value l has the element -Infinity on the images/,
  });
});
