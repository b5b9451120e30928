// Rules of operators that move elements, in the old and the new forms.

import { move } from "../../compiler/onnx/operators/move.js";
import { array, f32, i64, one, some } from "../support/foreign.js";
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

coversAll(move);
