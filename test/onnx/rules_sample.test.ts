// Rules of operators that read images between their pixels, and of Fourier transforms, compared with ONNX Runtime.

import { sampling } from "../../compiler/onnx/operators/sample.js";
import { signal } from "../../compiler/onnx/operators/signal.js";
import { alsoCompiled, type Case, compiledAlike, input, known, open, sameAsOrt } from "../support/ort_cases.js";
import { coversAll } from "../support/rule_tests.js";

const absolute = 3e-5; // of numbers below 9, with weights of f32

sameAsOrt("GridSample", "images: all modes and paddings, both alignments, coordinates outside", () =>
  ["bilinear", "nearest", "bicubic"].flatMap((mode) =>
    ["zeros", "border", "reflection"].flatMap((padding_mode) =>
      [0, 1].map(
        (align_corners): Case => ({
          opset: 16,
          inputs: [input("f32", [2, 3, 4, 5]), input("f32", [2, 3, 7, 2], 1.7)],
          attrs: { mode, padding_mode, align_corners },
          absolute,
        }),
      ),
    ),
  ),
);
sameAsOrt("GridSample", "volumes", () =>
  ["linear", "nearest"].flatMap((mode) =>
    ["zeros", "border", "reflection"].map(
      (padding_mode, i): Case => ({
        opset: 20,
        inputs: [input("f32", [1, 2, 3, 4, 2]), input("f32", [1, 2, 3, 2, 3], 1.5)],
        attrs: { mode, padding_mode, align_corners: i % 2 },
        absolute,
      }),
    ),
  ),
);
sameAsOrt("AffineGrid", "images and volumes, both alignments", () =>
  [0, 1].flatMap((align_corners): Case[] => [
    { opset: 20, inputs: [input("f32", [2, 2, 3], 2), known([2, 3, 4, 5])], attrs: { align_corners }, absolute },
    { opset: 20, inputs: [input("f32", [1, 3, 4], 2), known([1, 2, 3, 2, 4])], attrs: { align_corners }, absolute },
  ]),
);
const regions = known([0.5, 1, 4.2, 5.7, -2, 0, 3, 8.5, 2, 2, 2.4, 2.3], [3, 4], "f32");
sameAsOrt("RoiAlign", "means and maxima, told and adaptive samples, both ways to count, old versions", () =>
  ["avg", "max"].flatMap((mode) =>
    [0, 2].flatMap((sampling_ratio) =>
      [10, 16].flatMap((opset) =>
        (opset === 10 ? [""] : ["half_pixel", "output_half_pixel"]).map(
          (way): Case => ({
            opset,
            inputs: [
              input("f32", [2, 3, 6, 7]),
              sampling_ratio === 0 ? regions : open(regions),
              open(known([1, 0, 1])),
            ],
            attrs: {
              mode,
              sampling_ratio,
              output_height: 3,
              output_width: 2,
              spatial_scale: "0.75",
              ...(way ? { coordinate_transformation_mode: way } : {}),
            },
            absolute,
          }),
        ),
      ),
    ),
  ),
);
sameAsOrt("DFT", "forward and back, one-sided, other lengths and axes, both versions", () => [
  { opset: 17, inputs: [input("f32", [2, 6, 1])], absolute },
  { opset: 17, inputs: [input("f32", [2, 6, 1])], attrs: { onesided: 1 }, absolute },
  { opset: 17, inputs: [input("f32", [2, 5, 2])], attrs: { inverse: 1 }, absolute },
  { opset: 17, inputs: [input("f32", [3, 4, 5, 2]), known([8], [])], attrs: { axis: 1 }, absolute },
  { opset: 20, inputs: [input("f64", [3, 4, 5, 2]), known([3], []), known([-3], [])], absolute },
  { opset: 20, inputs: [input("f32", [2, 7, 1]), undefined, known([1], [])], attrs: { onesided: 1 }, absolute },
]);
sameAsOrt("STFT", "windows, both sides, frames that overlap", () => [
  { opset: 17, inputs: [input("f32", [2, 20, 1]), known([3], []), input("f32", [8])], absolute: 1e-4 },
  {
    opset: 17,
    inputs: [input("f32", [1, 20, 1]), known([5], []), input("f32", [6]), known([6], [])],
    attrs: { onesided: 0 },
    absolute: 1e-4,
  },
  { opset: 17, inputs: [input("f64", [1, 17, 1]), known([4], []), undefined, known([5], [])], absolute: 1e-4 },
]);

for (const type of ["f64", "f16", "bf16"] as const) {
  alsoCompiled("GridSample", () => [
    { opset: 22, inputs: [input(type, [1, 2, 4, 5]), input(type, [1, 2, 3, 2], 1.5)], attrs: { mode: "cubic" } },
  ]);
  alsoCompiled("AffineGrid", () => [{ opset: 20, inputs: [input(type, [2, 2, 3], 2), known([2, 3, 4, 5])] }]);
  alsoCompiled("RoiAlign", () => [
    { opset: 22, inputs: [input(type, [2, 1, 6, 7]), { ...regions, type }, open(known([1, 0, 1]))] },
  ]);
  alsoCompiled("DFT", () => [{ opset: 20, inputs: [input(type, [2, 6, 1])] }]);
}
alsoCompiled("GridSample", () =>
  (["u8", "i32", "bool"] as const).map((type) => ({
    opset: 22,
    inputs: [input(type, [1, 2, 4, 5]), input("f32", [1, 2, 3, 2], 1.5)],
    attrs: { mode: "nearest", padding_mode: "border" },
  })),
);
compiledAlike("rules_sample");
coversAll({ ...sampling, ...signal });
