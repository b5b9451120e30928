// Rules of Resize and Upsample, compared with ONNX Runtime. Where ONNX Runtime and the reference of the ONNX project
// differ (a fractional width with align_corners, filters at the borders of antialias), the cases of the project tell.

import test from "ava";
import { resizing } from "../../compiler/onnx/operators/resize.js";
import { array, one } from "../support/foreign.js";
import {
  alsoCompiled,
  type Case,
  compiledAlike,
  imported,
  input,
  known,
  open,
  sameAsOrt,
} from "../support/ort_cases.js";
import { check, coversAll } from "../support/rule_tests.js";

const scales = (...list: readonly number[]) => [undefined, known(list, [list.length], "f32")];
const sizes = (...list: readonly number[]) => [undefined, undefined, known(list)];
const transforms = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"];

sameAsOrt("Resize", "nearest: all ways to round and to count, growing and shrinking", () =>
  transforms.flatMap((coordinate_transformation_mode) =>
    ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"].flatMap((nearest_mode): Case[] => {
      const attrs = { mode: "nearest", coordinate_transformation_mode, nearest_mode };
      return [{ opset: 13, inputs: [input("f32", [1, 2, 4, 7]), ...sizes(1, 2, 7, 3)], attrs }];
    }),
  ),
);
sameAsOrt("Resize", "nearest: other element types, one axis, five axes, by scales", () => [
  ...(["u8", "i32", "f16"] as const).map(
    (type): Case => ({
      opset: 13,
      inputs: [input(type, [1, 2, 3, 4]), ...scales(1, 1, 2, 1.5)],
      attrs: { mode: "nearest" },
    }),
  ),
  { opset: 19, inputs: [input("f32", [6, 2]), ...scales(0.5)], attrs: { mode: "nearest", axes: [-2] } },
  { opset: 13, inputs: [input("f32", [1, 2, 3, 2, 3]), ...scales(1, 1, 2, 3, 1)], attrs: { mode: "nearest" } },
]);
sameAsOrt("Resize", "linear: all ways to count, growing and shrinking, one to three axes", () => [
  ...transforms.flatMap((coordinate_transformation_mode) =>
    [
      [1, 2, 7, 3],
      [1, 2, 2, 9],
      [1, 2, 1, 5],
    ].map(
      (to): Case => ({
        opset: 13,
        inputs: [input("f32", [1, 2, 4, 6]), ...sizes(...to)],
        attrs: { mode: "linear", coordinate_transformation_mode },
        absolute: 1e-5,
      }),
    ),
  ),
  {
    opset: 19,
    inputs: [input("f32", [1, 2, 3, 4, 5]), ...scales(1, 1, 2, 1.5, 0.6)],
    attrs: { mode: "linear" },
    absolute: 1e-5,
  },
]);
sameAsOrt("Resize", "cubic: all ways to count, both coefficients, without what is outside", () =>
  transforms.flatMap((coordinate_transformation_mode): Case[] => {
    const attrs = { mode: "cubic", coordinate_transformation_mode };
    const x = input("f32", [2, 1, 5, 4]);
    return [
      { opset: 13, inputs: [x, ...sizes(2, 1, 8, 9)], attrs, absolute: 3e-5 },
      { opset: 13, inputs: [x, ...sizes(2, 1, 3, 2)], attrs: { ...attrs, cubic_coeff_a: "-0.5" }, absolute: 3e-5 },
      { opset: 13, inputs: [x, ...sizes(2, 1, 9, 7)], attrs: { ...attrs, exclude_outside: 1 }, absolute: 3e-5 },
    ];
  }),
);
sameAsOrt("Resize", "a region, partly outside, and the axes that it names", () => {
  const attrs = { coordinate_transformation_mode: "tf_crop_and_resize", extrapolation_value: "-7.5" };
  const roi = known([0, 0, 0.2, -0.25, 1, 1, 1.23, 0.9], [8], "f32");
  const inputs = [input("f32", [1, 2, 5, 6]), roi, undefined, known([1, 2, 4, 5])];
  return [
    { opset: 13, inputs, attrs: { ...attrs, mode: "linear" }, absolute: 1e-5 },
    { opset: 13, inputs, attrs: { ...attrs, mode: "nearest" } },
    {
      opset: 19,
      inputs: [input("f32", [1, 2, 5, 6]), known([0.1, 0.6], [2], "f32"), undefined, known([4])],
      attrs: { ...attrs, mode: "linear", axes: [3] },
      absolute: 1e-5,
    },
  ];
});
sameAsOrt("Resize", "sizes that keep the ratio of the axes", () =>
  ["not_larger", "not_smaller", "stretch"].flatMap((keep_aspect_ratio_policy): Case[] => {
    const attrs = { keep_aspect_ratio_policy, mode: "nearest" };
    return [
      { opset: 19, inputs: [input("f32", [1, 2, 5, 4]), ...sizes(7, 8)], attrs: { ...attrs, axes: [2, 3] } },
      { opset: 19, inputs: [input("f32", [1, 2, 6, 8]), ...sizes(3, 5)], attrs: { ...attrs, axes: [3, 2] } },
    ];
  }),
);
sameAsOrt("Resize", "antialias inside of the image, growing and shrinking", () =>
  ["linear", "cubic"].flatMap((mode) =>
    [
      [1, 1, 4, 3],
      [1, 1, 16, 5],
    ].map(
      (to): Case => ({
        opset: 18,
        inputs: [input("f32", [1, 1, 9, 8]), ...sizes(...to)],
        attrs: { mode, antialias: 1, exclude_outside: 1 }, // as ONNX Runtime always does
        absolute: 3e-5,
      }),
    ),
  ),
);
sameAsOrt("Resize", "version 10", () => [
  { opset: 10, inputs: [input("f32", [1, 1, 4, 5]), known([1, 1, 0.6, 1.7], [4], "f32")], attrs: { mode: "nearest" } },
  {
    opset: 10,
    inputs: [input("f32", [1, 1, 4, 5]), known([1, 1, 0.6, 1.7], [4], "f32")],
    attrs: { mode: "linear" },
    absolute: 1e-5,
  },
]);
sameAsOrt("Upsample", "versions 7 and 9", () => [
  { opset: 7, inputs: [input("f32", [1, 2, 3, 2])], attrs: { scales: ["1.0", "1.0", "2.0", "1.5"] } },
  { opset: 9, inputs: [input("f32", [1, 2, 3, 2]), known([1, 1, 2, 3], [4], "f32")], attrs: { mode: "nearest" } },
  {
    opset: 9,
    inputs: [input("f32", [1, 2, 3, 2]), known([1, 1, 2, 3], [4], "f32")],
    attrs: { mode: "linear" },
    absolute: 1e-5,
  },
]);
check("Upsample", "version 1", () => {
  const attrs = { height_scale: "1.0", width_scale: "2.0" };
  return [
    [one("Upsample", 1, array([1, 1, 2, 2], [1, 2, 3, 4]), attrs), array([1, 1, 2, 4], [1, 1, 2, 2, 3, 3, 4, 4])],
  ];
});

alsoCompiled("Resize", () =>
  (["f64", "f16", "bf16", "u8", "i16", "i64"] as const).flatMap((type): Case[] => [
    { opset: 19, inputs: [input(type, [1, 2, 3, 4]), ...scales(1, 1, 2, 1.75)], attrs: { mode: "linear" } },
    { opset: 19, inputs: [input(type, [1, 1, 3, 4]), ...sizes(1, 1, 5, 3)], attrs: { mode: "cubic" } },
  ]),
);
test("whole numbers are rounded and stay in the range of their type", (t) => {
  const x = (values: readonly number[]): Case => ({
    opset: 19,
    inputs: [open(known(values, [values.length], "u8")), ...sizes(7)],
    attrs: { mode: "cubic", coordinate_transformation_mode: "align_corners" },
  });
  // between the pixels the filter gives -23.9, 127.5 and 278.9
  const [y] = imported("Resize", x([0, 0, 255, 255]));
  t.deepEqual([...(y?.data ?? [])], [0, 0, 0, 128, 255, 255, 255]);
});
compiledAlike("rules_resize");
coversAll(resizing);
