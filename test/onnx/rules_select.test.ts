// Rules of operators that read, write and order elements at computed positions, or make them from positions, compared
// with ONNX Runtime.

import test from "ava";
import type { ElementType } from "../../compiler/onnx/model.js";
import { generate } from "../../compiler/onnx/operators/generate.js";
import { indexing } from "../../compiler/onnx/operators/indexing.js";
import { ngrams } from "../../compiler/onnx/operators/ngrams.js";
import { array } from "../support/foreign.js";
import { type Case, compiledAlike, imported, input, known, open, sameAsOrt } from "../support/ort_cases.js";
import { close, coversAll } from "../support/rule_tests.js";

const types: readonly ElementType[] = ["f32", "f64", "f16", "i64", "i32", "u8", "bool"];
const each = <T>(f: (type: ElementType) => T): T[] => types.map(f);
const places = (values: readonly number[], shape: readonly number[], type: ElementType = "i64") =>
  open(known(values, shape, type));

sameAsOrt("Gather", "numbers, vectors and matrices of positions, all element types", () => [
  ...each(
    (type): Case => ({ opset: 13, inputs: [input(type, [3, 4, 2, 2]), places([3, -4, 0], [3])], attrs: { axis: 1 } }),
  ),
  { opset: 11, inputs: [input("f32", [3, 5]), places([2, -1, 0, 1], [2, 2], "i32")], attrs: { axis: -1 } },
  { opset: 1, inputs: [input("f32", [3, 5]), places([2], [])] },
]);
sameAsOrt("GatherElements", "all element types, two axes", () => [
  ...each((type): Case => ({ opset: 13, inputs: [input(type, [3, 4]), places([2, -1, 0, 1], [2, 2])] })),
  { opset: 13, inputs: [input("f32", [2, 3, 4]), places([3, 0, -4, 1, 2, 2], [2, 1, 3])], attrs: { axis: -1 } },
]);
sameAsOrt("GatherND", "tuples of all lengths, with and without batches", () => [
  ...each((type): Case => ({ opset: 13, inputs: [input(type, [3, 4, 2]), places([2, -1, 0, 3], [2, 2])] })),
  { opset: 12, inputs: [input("f32", [2, 3, 4, 5]), places([2, -1, 0, 1], [2, 2, 1])], attrs: { batch_dims: 1 } },
  { opset: 12, inputs: [input("f32", [2, 2, 3]), places([2, 0, 1, -3], [2, 2, 1])], attrs: { batch_dims: 2 } },
  { opset: 12, inputs: [input("f32", [2, 3]), places([1, -1], [2])] },
  { opset: 12, inputs: [input("i64", [3, 2]), places([1], [1])] },
]);
sameAsOrt("Scatter", "the old name", () => [
  {
    opset: 9,
    inputs: [input("f32", [3, 3]), places([1, 0, 2, 0], [2, 2]), input("f32", [2, 2], 9, 7)],
    attrs: { axis: 1 },
  },
]);
sameAsOrt("ScatterElements", "all element types; all combinations, also of equal positions", () => [
  ...each(
    (type): Case => ({
      opset: 13,
      inputs: [input(type, [3, 4]), places([2, -1, 0, 1], [2, 2]), input(type, [2, 2], 9, 5)],
    }),
  ),
  ...["add", "mul", "min", "max"].flatMap((reduction) =>
    (["f32", "i64"] as const).map(
      (type): Case => ({
        opset: 18,
        inputs: [input(type, [2, 5]), places([1, 1, -4, 1, 0, 0], [2, 3]), input(type, [2, 3], 9, 5)],
        attrs: { axis: 1, reduction },
      }),
    ),
  ),
]);
sameAsOrt("ScatterND", "rows and elements, all combinations, also of equal positions", () => [
  ...each(
    (type): Case => ({
      opset: 13,
      inputs: [input(type, [4, 3, 2]), places([3, -3], [2, 1]), input(type, [2, 3, 2], 9, 5)],
    }),
  ),
  ...["add", "mul", "min", "max"].flatMap((reduction) =>
    (["f32", "i64"] as const).map(
      (type): Case => ({
        opset: 18,
        inputs: [input(type, [4, 3]), places([1, 1, 1, -2, 3, 0], [3, 2]), input(type, [3], 9, 5)],
        attrs: { reduction },
      }),
    ),
  ),
]);
sameAsOrt("OneHot", "indices of both signs and outside, new axes, element types of indices and values", () => [
  { opset: 11, inputs: [places([1, -2, 3, 7], [2, 2]), known([4], [1]), input("f32", [2])], outputs: ["f32"] },
  {
    opset: 11,
    inputs: [places([1, 0, -1], [3], "f32"), known([3], [], "f32"), input("f32", [2])],
    attrs: { axis: 0 },
    outputs: ["f32"],
  },
  {
    opset: 9,
    inputs: [places([1, 0], [1, 2]), known([3], []), known([0, 1])],
    attrs: { axis: 1 },
    outputs: ["i64"],
  },
]);
sameAsOrt("Compress", "an axis, and all elements", () => [
  { opset: 11, inputs: [input("f32", [3, 4]), known([0, 1, 1], [3], "bool")], attrs: { axis: -1 } },
  { opset: 11, inputs: [input("i64", [3, 4]), known([0, 1, 0, 0, 1, 1, 0], [7], "bool")] },
]);
sameAsOrt("ReverseSequence", "both orders of the axes", () => [
  { opset: 10, inputs: [input("f32", [4, 3]), places([4, 1, 2], [3])] },
  { opset: 10, inputs: [input("f32", [3, 4, 2]), places([2, 4, 3], [3])], attrs: { time_axis: 1, batch_axis: 0 } },
]);
sameAsOrt("TopK", "largest and smallest, equal elements, old versions", () => [
  { opset: 1, inputs: [input("f32", [3, 5])], attrs: { k: 2 }, outputs: ["f32", "i64"] },
  { opset: 10, inputs: [input("f32", [3, 5, 2]), known([3])], attrs: { axis: 1 }, outputs: ["f32", "i64"] },
  ...(["f32", "f64", "i64", "i32"] as const).map(
    (type): Case => ({
      opset: 11,
      inputs: [input(type, [4, 7], 2), known([4])],
      attrs: { axis: 0, largest: 0 },
      outputs: [type, "i64"],
    }),
  ),
]);
sameAsOrt("CumSum", "all directions", () =>
  [0, 1].flatMap((exclusive) =>
    [0, 1].map(
      (reverse): Case => ({
        opset: 14,
        inputs: [input("f32", [3, 4, 2]), known([-2], [])],
        attrs: { exclusive, reverse },
        absolute: 1e-5, // a sum of 4 numbers of f32 below 9
      }),
    ),
  ),
);
test("CumProd: all directions", (t) => {
  const x = known([2, 3, 4, 5, 6, 7], [2, 3], "f32");
  const want: Readonly<Record<string, readonly number[]>> = {
    "0,0": [2, 6, 24, 5, 30, 210],
    "0,1": [24, 12, 4, 210, 42, 7],
    "1,0": [1, 2, 6, 1, 5, 30],
    "1,1": [12, 4, 1, 42, 7, 1],
  };
  for (const [key, values] of Object.entries(want)) {
    const [exclusive, reverse] = key.split(",").map(Number) as [number, number];
    const [y] = imported("CumProd", { opset: 26, inputs: [open(x), known([-1], [])], attrs: { exclusive, reverse } });
    close(t, y as never, array([2, 3], values));
  }
});
sameAsOrt("EyeLike", "diagonals and element types", () => [
  { opset: 9, inputs: [input("f32", [3, 4])], attrs: { k: 1 } },
  { opset: 9, inputs: [input("i32", [4, 3])], attrs: { k: -2, dtype: 11 }, outputs: ["f64"] },
]);
sameAsOrt("Trilu", "upper and lower, diagonals that are known or not, all element types", () => [
  ...types
    .filter((type) => /f32|f64|i64|bool/.test(type))
    .map((type): Case => ({ opset: 14, inputs: [input(type, [2, 4, 5])] })),
  { opset: 14, inputs: [input("f32", [2, 5, 4]), known([1], [])], attrs: { upper: 0 } },
  { opset: 14, inputs: [input("f32", [2, 5, 4]), places([-2], [])], attrs: { upper: 0 } },
  { opset: 14, inputs: [input("f32", [3, 3]), known([-9], [])] },
]);

const pool = {
  ngram_counts: [0, 4],
  ngram_indexes: [0, 6, 2, 3, 4, 5, 1],
  pool_int64s: [2, 3, 5, 4, 5, 6, 7, 8, 6, 7],
};
sameAsOrt("TfIdfVectorizer", "one and two items, skips, all modes", () =>
  ["TF", "IDF", "TFIDF"].flatMap((mode) =>
    (
      [
        [1, 1, 0],
        [2, 2, 0],
        [1, 2, 3],
      ] as const
    ).map(
      ([min_gram_length, max_gram_length, max_skip_count]): Case => ({
        opset: 9,
        inputs: [places([1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8], [2, 6], mode === "TF" ? "i64" : "i32")],
        attrs: {
          ...{ ...pool, mode, min_gram_length, max_gram_length, max_skip_count },
          ...(mode === "TF" ? {} : { weights: ["0.5", "2.0", "3.0", "1.5", "0.25", "4.0", "0.75"] }),
        },
        outputs: ["f32"],
      }),
    ),
  ),
);

const nothing: Readonly<Record<string, readonly Case[]>> = {
  Gather: [{ opset: 13, inputs: [input("f32", [2, 4]), known([], [0])] }],
  GatherElements: [{ opset: 13, inputs: [input("f32", [2, 4]), known([], [0, 4])] }],
  ScatterElements: [{ opset: 13, inputs: [input("f32", [2, 4]), known([], [0, 4]), input("f32", [0, 4])] }],
  ScatterND: [{ opset: 13, inputs: [input("f32", [2, 4]), known([], [0, 1]), input("f32", [0, 4])] }],
  Compress: [{ opset: 11, inputs: [input("f32", [2, 3]), known([0, 0], [2], "bool")], attrs: { axis: 0 } }],
  TopK: [{ opset: 11, inputs: [input("f32", [2, 3]), known([0])], outputs: ["f32", "i64"] }],
  CumSum: [{ opset: 14, inputs: [input("f32", [2, 0]), known([1], [])] }],
  OneHot: [{ opset: 11, inputs: [places([], [0]), known([3], []), known([0, 1])], outputs: ["i64"] }],
};
for (const [op, cases] of Object.entries(nothing)) sameAsOrt(op, "no elements", () => cases);

const { CumProd: _, ...compared } = { ...generate, ...indexing, ...ngrams }; // ONNX Runtime does not have CumProd
compiledAlike("rules_select");
coversAll(compared);
