// The model of another program with new values and a new head, run by ONNX Runtime and compared with numbers that are
// computed here.

import test from "ava";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Model, Tensor } from "../../compiler/onnx/model.js";
import { type Returned, retrained } from "../../compiler/onnx/retrained.js";
import { f32, foreignModel, node } from "../support/foreign.js";
import { OrtModel } from "../support/ort.js";

/** y = relu(x w), then a classifier that is replaced; x [N, tokens, 2] or [N, 2]. */
const model = (
  shape: readonly (number | string)[],
  more: { opset?: number; irVersion?: number; listed?: boolean } = {},
) =>
  foreignModel({
    nodes: [
      node("MatMul", ["x", "w"], ["product"]),
      node("Relu", ["product"], ["feature"]),
      node("MatMul", ["feature", "fc.weight"], ["logits"]),
    ],
    inputs: { x: shape },
    constants: { w: f32([2, 2], [1, 0, 0, 1]), "fc.weight": f32([2, 3], [9, 9, 9, 9, 9, 9]) },
    outputs: ["logits"],
    ...more,
  });

const layer = (name: string, weight: readonly number[], bias: readonly number[]) => ({
  weight: { ...f32([bias.length, weight.length / bias.length], weight), name: `${name}.weight` },
  bias: { ...f32([bias.length], bias), name: `${name}.bias` },
});
const values = new Map<string, Tensor>([["w", { ...f32([2, 2], [1, 2, -3, 4]), name: "w" }]]);
const head = layer("fc", [1, 2, 3, 4], [0.5, -0.5]);

async function run(m: Model, x: NdArray): Promise<readonly (readonly number[])[]> {
  const ort = await OrtModel.load(m);
  const got = await ort.run(new Map([["x", x]]));
  return m.graph.outputs.map((v) => [...(got.get(v.name) as NdArray).data]);
}

/** max(x w, 0) of the new w for one row. */
const hidden = ([a, b]: readonly [number, number]): [number, number] => [
  Math.max(a - 3 * b, 0),
  Math.max(2 * a + 4 * b, 0),
];
const logits = ([a, b]: readonly [number, number]): number[] => [a + 2 * b + 0.5, 3 * a + 4 * b - 0.5];

test("new weights, a new classifier, unit vectors and the feature", async (t) => {
  const projection = [layer("fc1", [1, 0, 0, -1], [0, 0]), layer("fc2", [3, 0, 0, 1], [0, 2])] as const;
  const returned: Returned = {
    feature: "feature",
    rank: 2,
    size: 2,
    logits: head,
    embedding: projection,
    features: true,
  };
  const m = retrained(model(["N", 2]), values, returned, { task: "mopro" });
  t.deepEqual(
    m.graph.outputs.map((v) => [v.name, v.shape]),
    [
      ["logits", ["N", 2]],
      ["embedding", ["N", 2]],
      ["features", ["N", 2]],
    ],
  );
  t.is(m.metadata.get("task"), "mopro");
  t.deepEqual(m.graph.initializers.map((i) => i.name).filter((n) => n === "fc.weight").length, 1);
  const h = hidden([5, 1]);
  const [score, unit, feature] = await run(m, new NdArray([1, 2], Float64Array.of(5, 1)));
  t.deepEqual(feature, h);
  t.deepEqual(score, logits(h));
  const raw = [3 * h[0], Math.max(-h[1], 0) + 2];
  const length = Math.hypot(...raw);
  unit?.forEach((v, i) => void t.true(Math.abs(v - (raw[i] as number) / length) < 1e-6));
});

for (const opset of [13, 17, 18, 20])
  test(`a feature of tokens is averaged in operator set ${opset}`, async (t) => {
    const returned: Returned = { feature: "feature", rank: 3, size: 2, logits: head };
    const m = retrained(model(["N", 2, 2], { opset }), values, returned, {});
    const rows = [hidden([1, 0]), hidden([4, 1])] as const;
    const mean = [0, 1].map((i) => ((rows[0][i] as number) + (rows[1][i] as number)) / 2) as [number, number];
    t.deepEqual(await run(m, new NdArray([1, 2, 2], Float64Array.of(1, 0, 4, 1))), [logits(mean)]);
  });

test("a kept classifier is the model's own; nothing but the weights changes", async (t) => {
  const returned: Returned = { feature: "feature", rank: 2, size: 2, logits: { kept: "logits", rank: 2, classes: 3 } };
  const m = retrained(model(["N", 2]), values, returned, {});
  t.deepEqual(m.graph.nodes, model(["N", 2]).graph.nodes);
  const [a, b] = hidden([5, 1]);
  t.deepEqual(await run(m, new NdArray([1, 2], Float64Array.of(5, 1))), [[9 * (a + b), 9 * (a + b), 9 * (a + b)]]);
});

test("initializers are inputs, too, where the file format demands it", async (t) => {
  const returned: Returned = { feature: "feature", rank: 2, size: 2, logits: head };
  const old = retrained(model(["N", 2], { opset: 9, irVersion: 3, listed: true }), values, returned, {});
  const inputs = old.graph.inputs.map((v) => v.name);
  t.deepEqual(inputs.toSorted(), ["fc.bias", "fc.weight", "w", "x"]);
  t.deepEqual(await run(old, new NdArray([1, 2], Float64Array.of(5, 1))), [logits(hidden([5, 1]))]);
  t.throws(() => retrained(model(["N", 2], { opset: 6 }), values, returned, {}), { message: /operator set 6/ });
});

test("a name of the model that would be added is refused", (t) => {
  const returned: Returned = { feature: "product", rank: 2, size: 2, logits: layer("w", [1, 2, 3, 4], [0, 0]) };
  const renamed = { ...returned, logits: { ...head, weight: { ...head.weight, name: "w" } } };
  t.throws(() => retrained(model(["N", 2]), values, renamed, {}), { message: /has a tensor w already/ });
});
