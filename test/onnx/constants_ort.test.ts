// Operators on constants whose output's shape depends on the values of their inputs, compared with ONNX Runtime, and
// rules that compute constants.

import test from "ava";
import { generated } from "../../compiler/onnx/generated.js";
import { tensorOf } from "../../compiler/onnx/model.js";
import { array } from "../support/foreign.js";
import { type Case, type Given, imported, input, known, opsOf, sameAsOrt } from "../support/ort_cases.js";
import { close, coversAll } from "../support/rule_tests.js";

const fixed = (g: Given): Given => ({ ...g, constant: true });
const one = (v: number, type: Given["type"] = "i64"): Given => known([v], [], type);

sameAsOrt("Range", "element types and signs of the step, and nothing", () => [
  ...(["f32", "f64", "i64", "i32", "i16"] as const).map(
    (type): Case => ({ opset: 11, inputs: [one(-3, type), one(8, type), one(2, type)] }),
  ),
  { opset: 11, inputs: [one(1, "f32"), one(0, "f32"), known([-0.3], [], "f32")] },
  { opset: 11, inputs: [one(1), one(0), one(2)] },
]);
test("Range: f16 and bf16", (t) => {
  for (const type of ["f16", "bf16"] as const) {
    const [y] = imported("Range", { opset: 27, inputs: [one(1, type), one(3, type), known([0.25], [], type)] });
    close(t, y as never, array([8], [1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 2.75]));
  }
});
sameAsOrt("ConstantOfShape", "element types, numbers and nothing", () => [
  { opset: 9, inputs: [known([2, 3])], outputs: ["f32"] },
  {
    opset: 9,
    inputs: [known([3])],
    attrs: { value: tensorOf("", "u8", [1], Uint8Array.of(7)) },
    outputs: ["u8"],
  },
  { opset: 9, inputs: [known([], [0])], outputs: ["f32"] },
  { opset: 9, inputs: [known([2, 0])], outputs: ["f32"] },
]);
sameAsOrt("NonZero", "matrices, images, a number, bool", () => [
  { opset: 13, inputs: [fixed(input("i64", [3, 4], 1))], outputs: ["i64"] },
  { opset: 13, inputs: [fixed(input("bool", [2, 1, 3, 2]))], outputs: ["i64"] },
  { opset: 13, inputs: [known([0, 2.5, 0, -1], [4], "f32")], outputs: ["i64"] },
]);
sameAsOrt("Unique", "elements and slices, in order or as they come", () =>
  [0, 1].flatMap((sorted): Case[] => [
    { opset: 11, inputs: [fixed(input("i64", [3, 5], 3))], attrs: { sorted }, outputs: ["i64", "i64", "i64", "i64"] },
    {
      opset: 11,
      inputs: [known([2, 1, 2, 3, 3, 3, 2, 1, 2, 0, 1, 0], [2, 3, 2], "f32")],
      attrs: { sorted, axis: 1 },
      outputs: ["f32", "i64", "i64", "i64"],
    },
    {
      opset: 11,
      inputs: [known([2, 1, 2, 1, 0, 1, 2, 1], [4, 2], "f64")],
      attrs: { sorted, axis: -2 },
      outputs: ["f64", "i64", "i64", "i64"],
    },
  ]),
);
const boxes = (size: number): Given => fixed(input("f32", [2, 9, 4], size, 3));
sameAsOrt("NonMaxSuppression", "both forms of boxes, thresholds, several classes", () =>
  [0, 1].flatMap((center_point_box) =>
    [0.1, 0.4].map(
      (threshold): Case => ({
        opset: 11,
        inputs: [
          { ...boxes(4), values: boxes(4).values.map(Math.abs) },
          fixed(input("f32", [2, 2, 9], 1, 5)),
          one(3),
          known([threshold], [1], "f32"),
          known([-0.5], [1], "f32"),
        ],
        attrs: { center_point_box },
        outputs: ["i64"],
      }),
    ),
  ),
);
for (const op of ["HannWindow", "HammingWindow", "BlackmanWindow"])
  sameAsOrt(op, "periodic and symmetric, two element types", () =>
    [0, 1].flatMap((periodic): Case[] => [
      { opset: 17, inputs: [one(9)], attrs: { periodic }, outputs: ["f32"] },
      { opset: 17, inputs: [one(12)], attrs: { periodic, output_datatype: 11 }, outputs: ["f64"] },
    ]),
  );
sameAsOrt("MelWeightMatrix", "bands of several widths", () => [
  { opset: 17, inputs: [one(8), one(64), one(8000), one(0, "f32"), one(4000, "f32")], outputs: ["f32"] },
  { opset: 17, inputs: [one(20), one(32), one(8192), one(100, "f32"), one(3000, "f32")], outputs: ["f32"] },
]);
sameAsOrt("Split", "a constant in uneven parts", () => [
  { opset: 13, inputs: [known([1, 2, 3, 4, 5, 6], [3, 2]), known([1, 2])], outputs: ["i64", "i64"] },
]);
const computed: Readonly<Record<string, Case>> = {
  Where: { opset: 16, inputs: [known([1, 0], [2], "bool"), known([5, 6]), known([7])], outputs: ["i64"] },
  Equal: { opset: 13, inputs: [known([5, 6]), known([6])], outputs: ["bool"] },
  Max: { opset: 13, inputs: [known([5, 6]), known([7, 1])] },
  ReduceProd: { opset: 13, inputs: [known([5, 6, 7])], attrs: { keepdims: 0 } },
  Floor: { opset: 13, inputs: [known([2.7, -1.5], [2], "f32")] },
  ScatterElements: { opset: 13, inputs: [known([5, 6, 7]), known([-1]), known([9])] },
  TopK: { opset: 11, inputs: [known([5, 8, 7]), known([2])], outputs: ["i64", "i64"] },
  CumSum: { opset: 14, inputs: [known([5, 8, 7]), known([0], [])] },
  GatherND: { opset: 13, inputs: [known([5, 8, 7, 9], [2, 2]), known([1, 0])] },
};
for (const [op, c] of Object.entries(computed)) {
  sameAsOrt(op, "on constants", () => [c]);
  test(`${op}: nothing is left to compute`, (t) => t.is(opsOf(op, c), 0));
}
coversAll({ ...generated, ...computed, Split: true });
