// Whole networks in 8 bits: ONNX Runtime, whose kernels of whole numbers then run, gives what the f32 model gives, and
// what our own reading of the quantised model gives.

import test from "ava";
import { NdArray } from "../../compiler/ir/nd.js";
import { opsets } from "../../compiler/onnx/export.js";
import type { Model } from "../../compiler/onnx/model.js";
import { encodeModel } from "../../compiler/onnx/proto.js";
import { type Input, inputs, outputsOf } from "../../models/deploy.js";
import { networks } from "../support/foreign_networks.js";
import { apart, evaluated, quantizedFor, run } from "../support/quantized.js";
import { randomArray } from "../support/random.js";
import { randomNetwork } from "../support/random_network.js";

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
