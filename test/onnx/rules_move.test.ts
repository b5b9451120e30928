// Rules of operators that only move elements, in the old and the new forms: values that are easy to say, and
// comparisons with ONNX Runtime.

import type { ElementType } from "../../compiler/onnx/model.js";
import { move } from "../../compiler/onnx/operators/move.js";
import { pads } from "../../compiler/onnx/operators/pad.js";
import { array, f32, i64, one, some } from "../support/foreign.js";
import { type Case, compiledAlike, input, known, open, sameAsOrt } from "../support/ort_cases.js";
import { check, coversAll, shaped, x23 } from "../support/rule_tests.js";

const images = some([2, 3, 2, 2]);
check("Reshape", "0 and -1, as attribute and as input, from and to images", () => [
  [one("Reshape", 1, images, { shape: [0, -1] }), shaped(images, [2, 12])],
  [one("Reshape", 13, images, {}, [i64([0, -1])]), shaped(images, [2, 12])],
  [one("Reshape", 13, shaped(images, [2, 12]), {}, [i64([2, 3, 2, 2])]), images],
  [one("Reshape", 13, images, {}, [i64([3, 2, 2, 2])]), shaped(images, [3, 2, 2, 2])],
  [one("Reshape", 14, images, { allowzero: 1 }, [i64([4, 6])]), shaped(images, [4, 6])],
]);
check("Flatten", "axes from 0 to the rank", () => [
  [one("Flatten", 1, images), shaped(images, [2, 12])],
  [one("Flatten", 13, images, { axis: 0 }), shaped(images, [1, 24])],
  [one("Flatten", 13, images, { axis: 4 }), shaped(images, [24, 1])],
  [one("Flatten", 13, images, { axis: -2 }), shaped(images, [6, 4])],
]);
check("Squeeze", "named axes and all", () => [
  [one("Squeeze", 11, shaped(images, [2, 1, 12, 1]), { axes: [-1] }), shaped(images, [2, 1, 12])],
  [one("Squeeze", 13, shaped(images, [2, 1, 12, 1]), {}, [i64([1])]), shaped(images, [2, 12, 1])],
  [one("Squeeze", 13, shaped(images, [2, 1, 12, 1])), shaped(images, [2, 12])],
]);
check("Unsqueeze", "axes of the result", () => [
  [one("Unsqueeze", 11, x23, { axes: [0, 3] }), shaped(x23, [1, 2, 3, 1])],
  [one("Unsqueeze", 13, x23, {}, [i64([-1, 1])]), shaped(x23, [2, 1, 3, 1])],
]);
check("Transpose", "an order, and the reverse one", () => [
  [one("Transpose", 1, x23), array([3, 2], [-2, 0.5, -0.5, 1, 0, 3])],
  [
    one("Transpose", 13, array([1, 2, 3], [...x23.data]), { perm: [2, 0, 1] }),
    array([3, 1, 2], [-2, 0.5, -0.5, 1, 0, 3]),
  ],
]);
check("Concat", "the axis that version 1 has by default, and named ones", () => [
  [one("Concat", 3, x23, {}, [f32([2, 1], [7, 8])]), array([2, 4], [-2, -0.5, 0, 7, 0.5, 1, 3, 8])],
  [one("Concat", 13, x23, { axis: -2 }, [f32([1, 3], [7, 8, 9])]), array([3, 3], [...x23.data, 7, 8, 9])],
]);
check("Slice", "bounds of attributes and of inputs, negative and beyond the end", () => [
  [one("Slice", 9, x23, { starts: [1, -2], ends: [9007199254740991, 3] }), array([1, 2], [1, 3])],
  [one("Slice", 9, x23, { starts: [0], ends: [-1], axes: [1] }), array([2, 2], [-2, -0.5, 0.5, 1])],
  [one("Slice", 13, x23, {}, [i64([1]), i64([2n ** 63n - 1n]), i64([-1])]), array([2, 2], [-0.5, 0, 1, 3])],
  [one("Slice", 13, x23, {}, [i64([0]), i64([2]), i64([1]), i64([1])]), array([2, 2], [-2, -0.5, 0.5, 1])],
]);
check("Split", "equal parts, and sizes as attribute and as input", () => [
  [one("Split", 11, x23, { axis: 1 }, [], ["y", "z", "w"]), array([2, 1], [-2, 0.5])],
  [one("Split", 11, x23, { axis: 1, split: [2, 1] }, [], ["y", "z"]), array([2, 2], [-2, -0.5, 0.5, 1])],
  [one("Split", 13, x23, { axis: 1 }, [i64([1, 2])], ["y", "z"]), array([2, 1], [-2, 0.5])],
  [one("Split", 18, x23, { axis: 1, num_outputs: 2 }, [], ["y", "z"]), array([2, 2], [-2, -0.5, 0.5, 1])],
]);
check("Expand", "in both directions", () => [
  [one("Expand", 13, x23, {}, [i64([2, 1, 3])]), array([2, 2, 3], [...x23.data, ...x23.data])],
  [one("Expand", 13, x23, {}, [i64([1, 1])]), x23],
]);
check("Pad", "a constant, as attribute and as input, of some axes", () => [
  [one("Pad", 10, x23, { pads: [0, 1, 0, 0], value: "5.0" }), array([2, 4], [5, -2, -0.5, 0, 5, 0.5, 1, 3])],
  [one("Pad", 13, x23, {}, [i64([1, 0, 0, 0])]), array([3, 3], [0, 0, 0, ...x23.data])],
  [one("Pad", 18, x23, {}, [i64([0, 1]), f32([], [5]), i64([-1])]), array([2, 4], [-2, -0.5, 0, 5, 0.5, 1, 3, 5])],
]);

const types: readonly ElementType[] = ["f32", "f64", "f16", "i64", "i32", "u8", "bool"];
const each = <T>(f: (type: ElementType) => T): T[] => types.map(f);

sameAsOrt("Transpose", "all element types", () =>
  each((type) => ({ opset: 21, inputs: [input(type, [2, 3, 4, 5])], attrs: { perm: [3, 1, 0, 2] } })),
);
sameAsOrt("Transpose", "many axes", () => [
  { opset: 13, inputs: [input("f32", [2, 3, 2, 2, 3, 2, 2, 2])], attrs: { perm: [7, 0, 6, 4, 2, 5, 1, 3] } },
  { opset: 13, inputs: [input("i64", [2, 3, 2, 1, 3, 2, 2])] },
]);
sameAsOrt("Reshape", "all element types", () =>
  each((type) => ({ opset: 21, inputs: [input(type, [2, 3, 4, 5]), known([3, -1, 2])] })),
);
sameAsOrt("Concat", "three parts of all element types, along two axes", () =>
  each((type) => [
    {
      opset: 13,
      inputs: [input(type, [2, 3, 2, 2]), input(type, [2, 1, 2, 2]), input(type, [2, 2, 2, 2])],
      attrs: { axis: 1 },
    },
    { opset: 13, inputs: [input(type, [2, 3]), input(type, [2, 1])], attrs: { axis: -1 } },
  ]).flat(),
);
sameAsOrt("Slice", "steps of both signs, bounds beyond the ends, all element types", () =>
  each((type) => [
    {
      opset: 13,
      inputs: [input(type, [5, 7, 3]), known([-1, 1]), known([-100, 100]), known([1, 0]), known([-2, 3])],
    },
    { opset: 13, inputs: [input(type, [2, 9, 2, 3]), known([6]), known([0]), known([1]), known([-1])] },
    { opset: 10, inputs: [input(type, [4, 5]), known([1, 0]), known([3, -1])] },
  ]).flat(),
);
sameAsOrt("Split", "uneven parts, in all forms", () => [
  { opset: 11, inputs: [input("f32", [2, 6])], attrs: { axis: -1 }, outputs: ["f32", "f32", "f32"] },
  { opset: 13, inputs: [input("i64", [5, 2]), known([1, 4])], outputs: ["i64", "i64"] },
  { opset: 18, inputs: [input("f32", [7, 2])], attrs: { num_outputs: 3 }, outputs: ["f32", "f32", "f32"] },
]);
sameAsOrt("Tile", "all element types", () =>
  each((type) => ({ opset: 13, inputs: [input(type, [2, 1, 3, 2]), known([1, 4, 2, 1])] })),
);
sameAsOrt("Expand", "all element types, more axes and fewer", () =>
  each((type) => [
    { opset: 13, inputs: [input(type, [3, 1]), known([2, 1, 4])] },
    { opset: 13, inputs: [input(type, [2, 3, 1, 2]), known([3, 5, 1])] },
  ]).flat(),
);
sameAsOrt("DepthToSpace", "both orders", () => [
  { opset: 1, inputs: [input("f32", [2, 8, 3, 2])], attrs: { blocksize: 2 } },
  { opset: 13, inputs: [input("f32", [1, 18, 2, 3])], attrs: { blocksize: 3, mode: "CRD" } },
  { opset: 13, inputs: [input("f64", [1, 12, 2, 3])], attrs: { blocksize: 2, mode: "DCR" } },
]);
sameAsOrt("SpaceToDepth", "blocks of two sizes", () => [
  { opset: 13, inputs: [input("f32", [2, 3, 4, 6])], attrs: { blocksize: 2 } },
  { opset: 13, inputs: [input("f32", [1, 2, 3, 6])], attrs: { blocksize: 3 } },
]);
sameAsOrt("Pad", "all modes and element types, named axes, more and fewer elements", () => [
  ...each((type) => ({
    opset: 18,
    inputs: [input(type, [2, 3, 4]), known([1, 0, 2, 0, 3, 1]), known([1], [], type)],
  })),
  ...["reflect", "edge", "wrap"].flatMap((mode) => [
    { opset: 19, inputs: [input("f32", [3, 4, 5]), known([1, 2, 0, 2, 3, 4])], attrs: { mode } },
    { opset: 19, inputs: [input("i64", [2, 3, 4]), known([2, 1]), undefined, known([-1])], attrs: { mode } },
  ]),
  { opset: 18, inputs: [input("f32", [4, 5]), known([-1, 2, -2, -3])] },
  { opset: 18, inputs: [input("i32", [4, 5]), known([-1, 0, 1, 2]), open(known([7], [], "i32")), known([1, 0])] },
  { opset: 2, inputs: [input("f32", [4, 5])], attrs: { pads: [0, 1, 0, -1], value: "2.5" } },
]);
sameAsOrt("CenterCropPad", "axes that grow and shrink by even and odd numbers", () => [
  { opset: 18, inputs: [input("f32", [5, 4, 3]), known([3, 7, 3])] },
  { opset: 18, inputs: [input("i64", [5, 4, 3]), known([2, 6])], attrs: { axes: [-1, 0] } },
]);
const empty = { opset: 13, inputs: [input("f32", [2, 0, 3])] };
const nothing: Readonly<Record<string, readonly Case[]>> = {
  Transpose: [{ ...empty, attrs: { perm: [2, 0, 1] } }],
  Reshape: [{ opset: 14, inputs: [...empty.inputs, known([3, 0, 2])], attrs: { allowzero: 1 } }],
  Concat: [
    { opset: 13, inputs: [...empty.inputs, input("f32", [2, 4, 3])], attrs: { axis: 1 } },
    { opset: 13, inputs: [...empty.inputs, ...empty.inputs], attrs: { axis: 2 } },
  ],
  Slice: [
    { opset: 13, inputs: [input("f32", [2, 4, 3]), known([3]), known([1]), known([1])] },
    { opset: 13, inputs: [...empty.inputs, known([1]), known([9]), known([2])] },
  ],
  Split: [{ opset: 13, inputs: [input("f32", [3, 2]), known([0, 3])], outputs: ["f32", "f32"] }],
  Tile: [{ opset: 13, inputs: [input("f32", [2, 3]), known([1, 0])] }],
  Expand: [{ opset: 13, inputs: [input("f32", [2, 1]), known([2, 0])] }],
  Pad: [
    { opset: 18, inputs: [...empty.inputs, known([0, 1, 0, 1, 2, 0])] },
    { opset: 18, inputs: [input("f32", [3, 2]), known([-2, 0, -1, 0])] },
  ],
};
for (const [op, cases] of Object.entries(nothing)) sameAsOrt(op, "no elements", () => cases);

compiledAlike("rules_move");
coversAll({ ...move, ...pads });
