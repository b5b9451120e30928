// Models of 8 bits: what becomes whole numbers, what stays f32, and that ONNX Runtime, whose kernels of whole numbers
// then run, gives what the f32 model gives, and what our own reading of the quantised model gives.

import test from "ava";
import * as ort from "onnxruntime-node";
import { NdArray } from "../../compiler/ir/nd.js";
import { opsets } from "../../compiler/onnx/export.js";
import type { Model } from "../../compiler/onnx/model.js";
import { encodeModel } from "../../compiler/onnx/proto.js";
import { prepared } from "../../compiler/onnx/quantize.js";
import { type Input, inputs, outputsOf } from "../../models/deploy.js";
import { calibrated } from "../../tools/cli/export_calibrate.js";
import { f32, foreignModel, i64, node, type Parts } from "../support/foreign.js";
import { networks } from "../support/foreign_networks.js";
import { apart, evaluated, initializer, listing, numbers, quantizedFor, run } from "../support/quantized.js";
import { randomArray } from "../support/random.js";
import { randomNetwork, sizesOf } from "../support/random_network.js";

/** Seven bits of weights and eight of values, over a dozen layers; measured 0.01 to 0.05. */
const NEAR = 0.1;

const image = (input: Input): NdArray =>
  input === "uint8"
    ? NdArray.fill([3, 32, 32, 3], (i) => (i * 7919 + (i >> 5) * 31) % 256)
    : randomArray([3, 3, 32, 32], 9, -2, 2);

for (let opset = opsets.least; opset <= opsets.most; opset++)
  test(`resnet10, opset ${opset}: all outputs, floats and bytes`, async (t) => {
    const isEnd = opset === opsets.least || opset === opsets.most;
    for (const head of isEnd ? (["both", "features"] as const) : (["both"] as const))
      for (const input of isEnd ? inputs : (["uint8"] as const)) {
        const full = randomNetwork("resnet10", head, input, false, opset);
        const x = image(input);
        const { model, parts } = await quantizedFor(full, x);
        t.deepEqual([model.graph.inputs, model.graph.outputs], [full.graph.inputs, full.graph.outputs]);
        const [got, want] = [await run(model, x), await run(full, x)];
        for (const name of outputsOf(head)) {
          const d = apart(got, want, name);
          t.true(d < NEAR && d > 1e-4, `${head}, ${input}: ${name} ${d}`);
        }
        const products = full.graph.nodes.filter((n) => n.op === "Conv" || n.op === "Gemm");
        t.is(parts.tensors, products.length);
        t.is(model.graph.initializers.filter((i) => i.type === "i8" && i.dims.length > 1).length, products.length);
        t.false(model.graph.initializers.some((i) => i.type === "f32" && i.dims.length > 1));
        const size = (m: Model): number => encodeModel(m).length;
        t.true(size(model) < 0.35 * size(full), `${size(model)} of ${size(full)} bytes`);
      }
  });

test("our own reading of the model gives the same values as ONNX Runtime's kernels", async (t) => {
  for (const input of inputs) {
    const x = image(input);
    const { model } = await quantizedFor(randomNetwork("resnet10", "both", input, false, 17), x);
    const [got, own] = [await run(model, x), evaluated(model, x)];
    // Measured 1e-7, and 5e-3 if sums in another order round one value to the other neighbour.
    for (const name of ["logits", "embedding"])
      t.true(apart(got, own, name) < 0.01, `${input} ${name} ${apart(got, own, name)}`);
  }
});

test("a vision transformer: its products are whole numbers, its softmax and norms are not", async (t) => {
  for (const opset of [13, 21]) {
    const x = image("uint8");
    const full = randomNetwork("vit_s_16", "both", "uint8", false, opset);
    const { model, parts } = await quantizedFor(full, x);
    const [got, want] = [await run(model, x), await run(full, x)];
    for (const name of ["logits", "embedding"]) t.true(apart(got, want, name) < NEAR, `${name}`);
    t.is(parts.left.Softmax, 12);
    t.is(parts.left.Gemm ?? 0, 0);
    t.is(parts.left.MatMul ?? 0, 0);
  }
});

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

test("products that stay f32 say why: computed weights, a computed bias, a constant operand", async (t) => {
  const m = layer({
    nodes: [
      node("Transpose", ["w"], ["wt"], { perm: [1, 0] }),
      node("MatMul", ["x", "wt"], ["a"]),
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
  t.deepEqual(parts.left, { Transpose: 1, MatMul: 2, Gemm: 1 });
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

for (const name of ["residual", "squeezing", "mobile", "transformer"] as const)
  test(`a network of another program, ${name}: ONNX Runtime and our own reading agree`, async (t) => {
    const m = networks[name]();
    const [input] = m.graph.inputs;
    const batch = typeof input?.shape?.[0] === "number" ? 1 : 2;
    const x = randomArray([batch, 3, 32, 32], 12, -2, 2);
    const { model, parts } = await quantizedFor(m, x);
    const output = m.graph.outputs[0]?.name as string;
    const [got, want] = [await run(model, x), await run(m, x)];
    t.true(apart(got, want, output) < NEAR, `${apart(got, want, output)}`);
    t.true(apart(got, evaluated(model, x), output) < 0.01, `${apart(got, evaluated(model, x), output)}`);
    t.is(parts.folded, { residual: 3, squeezing: 0, mobile: 5, transformer: 0 }[name]);
    t.is(parts.left.BatchNormalization ?? 0, 0);
    t.deepEqual(parts.refused, []);
  });

test("the same model and ranges give the same bytes", async (t) => {
  const x = image("float");
  const bytes = async (): Promise<string> =>
    Buffer.from(
      encodeModel((await quantizedFor(randomNetwork("resnet10", "both", "float", false, 17), x)).model),
    ).toString("base64");
  t.is(await bytes(), await bytes());
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
