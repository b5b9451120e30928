// BatchNormalization as part of convolutions in models of other programs: the same results in ONNX Runtime, and what is
// left alone.

import test from "ava";
import { foldNorms } from "../../compiler/onnx/fold_norms.js";
import type { Tensor } from "../../compiler/onnx/model.js";
import { f32, foreignModel, node, type Parts } from "../support/foreign.js";
import { apart, run } from "../support/quantized.js";
import { randomArray } from "../support/random.js";

const table = (n: number, seed: number, low: number, high: number): Tensor =>
  f32([n], [...randomArray([n], seed, low, high).data]);

const constants = {
  w: f32([4, 1, 3, 3], [...randomArray([36], 1, -1, 1).data]),
  b: table(4, 2, -1, 1),
  scale: table(4, 3, -2, 2),
  shift: table(4, 4, -3, 3),
  mean: table(4, 5, -2, 2),
  variance: table(4, 6, 0.01, 2),
};
const statistics = ["scale", "shift", "mean", "variance"];
const conv = node("Conv", ["x", "w", "b"], ["c"], { group: 2, pads: [1, 1, 1, 1] });
const norm = node("BatchNormalization", ["c", ...statistics], ["n"], { epsilon: "0.05" });
const model = (p: Partial<Parts> = {}) =>
  foreignModel({
    nodes: [conv, norm, node("Relu", ["n"], ["y"])],
    inputs: { x: ["N", 2, 5, 5] },
    constants,
    ...p,
  });
const x = randomArray([3, 2, 5, 5], 7, -2, 2);

test("with and without a bias, and with weights that another convolution reads as well", async (t) => {
  const bare = node("Conv", ["x", "w"], ["c"], { group: 2, pads: [1, 1, 1, 1] });
  const other = node("Conv", ["x", "w"], ["d"], { group: 2, pads: [1, 1, 1, 1] });
  for (const nodes of [
    [conv, norm, node("Relu", ["n"], ["y"])],
    [bare, norm, node("Relu", ["n"], ["y"])],
    [bare, norm, other, node("Add", ["n", "d"], ["y"])],
  ]) {
    const m = model({ nodes });
    const { model: folded, folded: count } = foldNorms(m);
    t.is(count, 1);
    t.false(folded.graph.nodes.some((n) => n.op === "BatchNormalization"));
    t.true(apart(await run(folded, x), await run(m, x)) < 1e-6);
  }
});

test("left alone: a convolution that others read or return, statistics that are inputs, another operator", (t) => {
  const count = (p: Partial<Parts>): number => foldNorms(model(p)).folded;
  t.is(count({ nodes: [conv, norm, node("Add", ["n", "c"], ["y"])] }), 0);
  t.is(count({ outputs: ["y", "c"] }), 0);
  t.is(count({ listed: true, irVersion: 3 }), 0);
  t.is(count({ nodes: [node("Relu", ["x"], ["c"]), norm, node("Relu", ["n"], ["y"])] }), 0);
  const training = { ...norm, attributes: { ...norm.attributes, training_mode: { kind: "int", value: 1 } as const } };
  t.is(count({ nodes: [conv, training, node("Relu", ["n"], ["y"])] }), 0);
});
