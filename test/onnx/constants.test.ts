// Nodes on constants are evaluated when a model is imported, in the type of their elements.

import test from "ava";
import type { NdArray } from "../../compiler/ir/nd.js";
import { evaluated } from "../../compiler/onnx/constants.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import { generated } from "../../compiler/onnx/generated.js";
import { tensorOf } from "../../compiler/onnx/model.js";
import { array, f32, foreignModel, i64, node, type Parts, results, some } from "../support/foreign.js";
import { close, shaped } from "../support/rule_tests.js";

const images = some([2, 3, 2, 2]);

/** What a graph of constants computes: an output is a constant of the program or a state. */
const constants = (nodes: Parts["nodes"], type: "f32" | "i64", given: Parts["constants"] = {}, opset = 17): NdArray =>
  results(importForeign(foreignModel({ nodes, constants: given, outputType: type, opset })), [])[0] as NdArray;
const folded: Readonly<Record<string, readonly [NdArray, () => NdArray]>> = {
  Constant: [array([2], [3, 4]), () => constants([node("Constant", [], ["y"], { value_ints: [3, 4] })], "i64")],
  ConstantOfShape: [
    array([2, 1], [0.5, 0.5]),
    () => constants([node("ConstantOfShape", ["a"], ["y"], { value: f32([1], [0.5]) })], "f32", { a: i64([2, 1]) }),
  ],
  Identity: [array([1], [7]), () => constants([node("Identity", ["a"], ["y"])], "i64", { a: i64([7]) })],
  Cast: [
    array([2], [-2, 2]),
    () => constants([node("Cast", ["a"], ["y"], { to: 7 })], "i64", { a: f32([2], [-2.7, 2.7]) }),
  ],
  Range: [
    array([3], [5, 3, 1]),
    () =>
      constants([node("Range", ["a", "b", "c"], ["y"])], "i64", { a: i64([5], []), b: i64([0], []), c: i64([-2], []) }),
  ],
  Gather: [
    array([1, 2], [6, 4]),
    () =>
      constants([node("Gather", ["a", "b"], ["y"], { axis: 0 })], "i64", {
        a: i64([4, 5, 6]),
        b: i64([-1, 0], [1, 2]),
      }),
  ],
  Add: [
    array([2], [5, 7]),
    () => constants([node("Add", ["a", "b"], ["y"])], "i64", { a: i64([4, 6]), b: i64([1], []) }),
  ],
  Sub: [
    array([1], [2]),
    () => constants([node("Sub", ["a", "b"], ["y"])], "i64", { a: i64([2n ** 62n + 3n]), b: i64([2n ** 62n + 1n]) }),
  ],
  Mul: [
    array([1], [Math.fround(Math.fround(0.1) * Math.fround(0.1))]), // rounded as f32
    () => constants([node("Mul", ["a", "a"], ["y"])], "f32", { a: f32([1], [0.1]) }),
  ],
  Div: [
    array([2], [-3, 3]),
    () => constants([node("Div", ["a", "b"], ["y"])], "i64", { a: i64([-7, 7]), b: i64([2]) }),
  ],
  Neg: [
    array([3], [-4, 0, 2 ** 40]),
    () => constants([node("Neg", ["a"], ["y"])], "i64", { a: i64([4, 0, -(2n ** 40n)]) }),
  ],
  Concat: [
    array([2, 3], [1, 2, 5, 3, 4, 6]),
    () =>
      constants([node("Concat", ["a", "b"], ["y"], { axis: 1 })], "i64", {
        a: i64([1, 2, 3, 4], [2, 2]),
        b: i64([5, 6], [2, 1]),
      }),
  ],
  Slice: [
    array([2, 1], [3, 6]),
    () =>
      constants([node("Slice", ["a", "s", "e", "x", "t"], ["y"])], "i64", {
        a: i64([1, 2, 3, 4, 5, 6], [2, 3]),
        s: i64([-1]),
        e: i64([-9]),
        x: i64([1]),
        t: i64([-3]),
      }),
  ],
  Reshape: [
    array([3, 2], [1, 2, 3, 4, 5, 6]),
    () => constants([node("Reshape", ["a", "s"], ["y"])], "i64", { a: i64([1, 2, 3, 4, 5, 6]), s: i64([-1, 2]) }),
  ],
  Flatten: [
    array([1, 4], [1, 2, 3, 4]),
    () => constants([node("Flatten", ["a"], ["y"], { axis: 0 })], "i64", { a: i64([1, 2, 3, 4], [2, 2]) }),
  ],
  Squeeze: [array([2], [1, 2]), () => constants([node("Squeeze", ["a"], ["y"])], "i64", { a: i64([1, 2], [1, 2]) })],
  Unsqueeze: [
    array([2, 1], [1, 2]),
    () => constants([node("Unsqueeze", ["a"], ["y"], { axes: [1] })], "i64", { a: i64([1, 2]) }, 11),
  ],
  Transpose: [
    array([3, 2], [1, 4, 2, 5, 3, 6]),
    () => constants([node("Transpose", ["a"], ["y"])], "i64", { a: i64([1, 2, 3, 4, 5, 6], [2, 3]) }),
  ],
  Tile: [
    array([2, 4], [1, 2, 1, 2, 1, 2, 1, 2]),
    () => constants([node("Tile", ["a", "r"], ["y"])], "i64", { a: i64([1, 2], [1, 2]), r: i64([2, 2]) }),
  ],
  Expand: [
    array([2, 2], [1, 1, 2, 2]),
    () => constants([node("Expand", ["a", "s"], ["y"])], "i64", { a: i64([1, 2], [2, 1]), s: i64([2, 2]) }),
  ],
  Shape: [
    array([2], [4, 5]),
    () => constants([node("Shape", ["a"], ["y"], { start: 1 })], "i64", { a: i64(Array(60).fill(0), [3, 4, 5]) }),
  ],
  Size: [
    array([], [60]),
    () => constants([node("Size", ["a"], ["y"])], "i64", { a: i64(Array(60).fill(0), [3, 4, 5]) }),
  ],
};
for (const [op, [want, run]] of Object.entries(folded)) test(`${op} on constants`, (t) => close(t, run(), want, 0, 0));
test("every operator that is evaluated is covered here, in constants_ort.test.ts or in bit_cast.test.ts", (t) => {
  t.deepEqual(
    [...new Set([...Object.keys(folded), ...Object.keys(generated), "Split", "BitCast"])].toSorted(),
    [...evaluated].toSorted(),
  );
});
test("a range of f32 is rounded after each operation", (t) => {
  const [start, step] = [2 / 7, 0.1].map(Math.fround) as [number, number];
  const given = { a: f32([], [start]), b: f32([], [start + 0.35]), c: f32([], [step]) };
  const y = constants([node("Range", ["a", "b", "c"], ["y"])], "f32", given);
  t.deepEqual(
    [...y.data],
    [0, 1, 2, 3].map((i) => Math.fround(start + Math.fround(i * step))),
  );
});
test("integers of 32 bits wrap around", (t) => {
  const a = tensorOf("", "i32", [1], Int32Array.of(2 ** 31 - 1));
  const y = constants([node("Mul", ["a", "a"], ["b"]), node("Cast", ["b"], ["y"], { to: 7 })], "i64", { a });
  t.is(y.at(0), 1);
});
test("a shape that the model computes from its input's", (t) => {
  const nodes = [
    node("Shape", ["x"], ["s"]),
    node("Gather", ["s", "zero"], ["n"]),
    node("Unsqueeze", ["n", "first"], ["n1"]),
    node("Concat", ["n1", "rest"], ["to"], { axis: 0 }),
    node("Reshape", ["x", "to"], ["y"]),
  ];
  const parts = {
    nodes,
    inputs: { x: ["batch", 3, 2, 2] },
    constants: { zero: i64([0], []), first: i64([0]), rest: i64([-1]) },
  };
  const f = importForeign(foreignModel(parts), new Map([["batch", 2]]));
  close(t, results(f, [images])[0] as NdArray, shaped(images, [2, 12]));
  t.deepEqual(f.graph.state, []);
});
