// Rules of convolutions and poolings: values by their definition, and random ones beside ONNX Runtime.

import { NdArray } from "../../compiler/ir/nd.js";
import { convolutions } from "../../compiler/onnx/operators/convolutions.js";
import { deformations } from "../../compiler/onnx/operators/deform.js";
import { pools } from "../../compiler/onnx/operators/pools.js";
import { agrees, noise, of } from "../support/agree.js";
import { agreesCompiled } from "../support/agree_compiled.js";
import { array, f32, one, some } from "../support/foreign.js";
import { check, coversAll, map, shaped, total } from "../support/rule_tests.js";

/** f of the elements of each window of one plane, with undefined for the padding. */
function windows(
  x: NdArray,
  [kh, kw, stride]: readonly [number, number, number],
  [top, left, bottom, right]: readonly [number, number, number, number],
  f: (window: readonly (number | undefined)[]) => number,
): NdArray {
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const [p, q] = [Math.floor((h + top + bottom - kh) / stride) + 1, Math.floor((w + left + right - kw) / stride) + 1];
  const y: number[] = [];
  for (let plane = 0; plane < n * c; plane++)
    for (let i = 0; i < p; i++)
      for (let j = 0; j < q; j++) {
        const window = Array.from({ length: kh * kw }, (_, k) => {
          const [r, s] = [i * stride - top + Math.floor(k / kw), j * stride - left + (k % kw)];
          return r < 0 || s < 0 || r >= h || s >= w ? undefined : (x.data[(plane * h + r) * w + s] as number);
        });
        y.push(f(window));
      }
  return array([n, c, p, q], y);
}
const known = (xs: readonly (number | undefined)[]): number[] => xs.filter((x) => x !== undefined);
const maximum = (xs: readonly (number | undefined)[]): number => Math.max(...known(xs));
const average = (xs: readonly (number | undefined)[]): number => total(known(xs)) / known(xs).length;
const square5 = map(some([1, 2, 5, 5]), (v) => v - 20); // below 0, so that padding by 0 would be seen

check("MaxPool", "even and uneven padding, rounding up, automatic padding", () => [
  [
    one("MaxPool", 1, square5, { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }),
    windows(square5, [3, 3, 2], [1, 1, 1, 1], maximum),
  ],
  [
    one("MaxPool", 12, square5, { kernel_shape: [2, 2], pads: [0, 0, 1, 1] }),
    windows(square5, [2, 2, 1], [0, 0, 1, 1], maximum),
  ],
  [
    one("MaxPool", 12, square5, { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }),
    windows(square5, [2, 2, 2], [0, 0, 1, 1], maximum),
  ],
  [
    one("MaxPool", 12, square5, { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }),
    windows(square5, [3, 3, 2], [0, 0, 0, 0], maximum),
  ],
  [
    one("MaxPool", 12, square5, { kernel_shape: [2, 2], auto_pad: "SAME_UPPER" }),
    windows(square5, [2, 2, 1], [0, 0, 1, 1], maximum),
  ],
  [
    one("MaxPool", 12, square5, { kernel_shape: [2, 2], auto_pad: "SAME_LOWER" }),
    windows(square5, [2, 2, 1], [1, 1, 0, 0], maximum),
  ],
  [
    one("MaxPool", 12, square5, { kernel_shape: [2, 2], strides: [2, 2], auto_pad: "VALID" }),
    windows(square5, [2, 2, 2], [0, 0, 0, 0], maximum),
  ],
]);
check("AveragePool", "all pixels, windows, with and without the padding", () => [
  [one("AveragePool", 7, square5, { kernel_shape: [5, 5] }), windows(square5, [5, 5, 1], [0, 0, 0, 0], average)],
  [
    one("AveragePool", 11, square5, { kernel_shape: [3, 2], strides: [2, 2] }),
    windows(square5, [3, 2, 2], [0, 0, 0, 0], average),
  ],
  [
    one("AveragePool", 11, square5, { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
    windows(square5, [3, 3, 1], [1, 1, 1, 1], average),
  ],
  [
    one("AveragePool", 11, square5, { kernel_shape: [3, 3], pads: [1, 0, 1, 0], count_include_pad: 1 }),
    windows(square5, [3, 3, 1], [1, 0, 1, 0], (xs) => total(known(xs)) / 9),
  ],
  [
    one("AveragePool", 19, square5, { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1, count_include_pad: 1 }),
    windows(square5, [2, 2, 2], [0, 0, 1, 1], average), // what lies beyond all padding does not count
  ],
]);
check("GlobalAveragePool", "images and other ranks", () => [
  [one("GlobalAveragePool", 1, square5), windows(square5, [5, 5, 1], [0, 0, 0, 0], average)],
  [
    one("GlobalAveragePool", 1, shaped(square5, [1, 2, 25])),
    shaped(windows(square5, [5, 5, 1], [0, 0, 0, 0], average), [1, 2, 1]),
  ],
]);
check("GlobalMaxPool", "images", () => [
  [one("GlobalMaxPool", 1, square5), windows(square5, [5, 5, 1], [0, 0, 0, 0], maximum)],
]);
/** A convolution written as the definition says. */
function convolution(
  x: NdArray,
  w: NdArray,
  bias: readonly number[],
  stride: number,
  top: number,
  groups: number,
): NdArray {
  const [n, c, h] = x.shape as [number, number, number];
  const [k, , r] = w.shape as [number, number, number];
  const p = Math.floor((h + 2 * top - r) / stride) + 1;
  return NdArray.fill([n, k, p, p], (at) => {
    const [j, i] = [at % p, Math.floor(at / p) % p];
    const [out, image] = [Math.floor(at / p / p) % k, Math.floor(at / p / p / k)];
    let sum = bias[out] ?? 0;
    for (let d = 0; d < c / groups; d++)
      for (let a = 0; a < r; a++)
        for (let b = 0; b < r; b++) {
          const [y, z] = [i * stride - top + a, j * stride - top + b];
          const from = Math.floor(out / (k / groups)) * (c / groups) + d;
          if (y >= 0 && z >= 0 && y < h && z < h) sum += x.at(image, from, y, z) * w.at(out, d, a, b);
        }
    return sum;
  });
}
check("Conv", "bias, stride, padding, groups, automatic padding", () => {
  const x = some([2, 4, 5, 5]);
  const w = some([6, 4, 3, 3]);
  const part = some([6, 2, 3, 3]);
  const [weights, parts] = [w, part].map((a) => f32(a.shape, [...a.data]));
  const bias = [1, 2, 3, 4, 5, 6];
  return [
    [one("Conv", 1, x, { kernel_shape: [3, 3] }, [weights]), convolution(x, w, [], 1, 0, 1)],
    [
      one("Conv", 11, x, { pads: [1, 1, 1, 1], strides: [2, 2] }, [weights, f32([6], bias)]),
      convolution(x, w, bias, 2, 1, 1),
    ],
    [
      one("Conv", 11, x, { auto_pad: "SAME_UPPER", group: 2 }, [parts, f32([6], bias)]),
      convolution(x, part, bias, 1, 1, 2),
    ],
  ];
});

const x1 = noise("f32", [2, 4, 11], 1);
const x2 = noise("f32", [2, 4, 7, 6], 2);
const x3 = noise("f32", [1, 2, 5, 4, 6], 3);
agrees(
  "Conv",
  "one to three axes, groups, dilations, uneven strides and padding, other types",
  [
    {
      opset: 11,
      inputs: [x1, noise("f32", [6, 2, 3], 4), noise("f32", [6], 5)],
      attrs: { group: 2, strides: [2], pads: [2, 1] },
    },
    { opset: 11, inputs: [x1, noise("f32", [3, 4, 3], 6)], attrs: { dilations: [3] } },
    { opset: 11, inputs: [x1, noise("f32", [3, 4, 3], 6)], attrs: { dilations: [2], strides: [2], pads: [0, 1] } },
    { opset: 11, inputs: [x2, noise("f32", [3, 4, 2, 3], 49)], attrs: { dilations: [2, 1], strides: [2, 2] } },
    {
      opset: 11,
      inputs: [x3, noise("f32", [3, 2, 2, 2, 2], 50), noise("f32", [3], 51)],
      attrs: { dilations: [2, 1, 3], strides: [1, 2, 1], pads: [1, 0, 1, 2, 1, 0] },
    },
    {
      opset: 11,
      inputs: [x2, noise("f32", [4, 2, 3, 2], 48)],
      attrs: { group: 2, dilations: [2, 4], pads: [3, 2, 0, 1] },
    },
    {
      opset: 11,
      inputs: [x2, noise("f32", [4, 1, 3, 2], 7)],
      attrs: { group: 4, strides: [2, 1], pads: [1, 0, 2, 1] },
    },
    {
      opset: 11,
      inputs: [x2, noise("f32", [3, 4, 2, 2], 8), noise("f32", [3], 9)],
      attrs: { dilations: [2, 1], pads: [1, 1, 0, 2] },
    },
    {
      opset: 22,
      inputs: [x3, noise("f32", [3, 2, 2, 3, 2], 10)],
      attrs: { strides: [2, 1, 2], pads: [1, 0, 1, 0, 1, 1] },
    },
    { opset: 11, inputs: [x2, noise("f32", [2, 4, 3, 2], 11)], attrs: { auto_pad: "SAME_LOWER", strides: [2, 3] } },
    {
      opset: 11,
      inputs: [x3, noise("f32", [2, 2, 2, 2, 2], 12)],
      attrs: { auto_pad: "SAME_UPPER", strides: [2, 1, 2] },
    },
    { opset: 11, inputs: [noise("f32", [1, 40, 5, 5], 13), noise("f32", [80, 1, 3, 3], 14)], attrs: { group: 40 } },
  ],
  [0, 1, 2],
);
agrees(
  "ConvTranspose",
  "strides, padding of both sides, groups, dilations, shapes that are asked for",
  [
    {
      opset: 11,
      inputs: [x1, noise("f32", [4, 3, 3], 15), noise("f32", [6], 16)],
      attrs: { group: 2, strides: [3], pads: [1, 2], output_padding: [2] },
    },
    { opset: 11, inputs: [x2, noise("f32", [4, 3, 3, 3], 17)], attrs: { strides: [2, 2], pads: [1, 1, 1, 1] } },
    {
      opset: 11,
      inputs: [x2, noise("f32", [4, 1, 3, 2], 18)],
      attrs: { group: 4, dilations: [2, 3], strides: [1, 2] },
    },
    { opset: 11, inputs: [x2, noise("f32", [4, 2, 3, 3], 19)], attrs: { strides: [2, 2], output_shape: [14, 12] } },
    { opset: 11, inputs: [x2, noise("f32", [4, 2, 3, 3], 20)], attrs: { strides: [2, 2], auto_pad: "SAME_UPPER" } },
    { opset: 11, inputs: [x2, noise("f32", [4, 2, 4, 3], 21)], attrs: { strides: [2, 2], auto_pad: "SAME_LOWER" } },
    {
      opset: 11,
      inputs: [x3, noise("f32", [2, 2, 2, 3, 2], 22)],
      attrs: { strides: [2, 1, 2], pads: [0, 1, 0, 1, 0, 1] },
    },
  ],
  [0, 1, 2],
);
agrees(
  "Col2Im",
  "overlapping blocks of one to three axes, dilations, uneven padding",
  [
    {
      opset: 18,
      inputs: [noise("f32", [2, 6, 16], 23), of("i64", [2], [5, 6]), of("i64", [2], [2, 3])],
      constant: [1, 2],
      attrs: { strides: [1, 2], dilations: [2, 1], pads: [0, 1, 1, 2] },
    },
    { opset: 18, inputs: [noise("f32", [1, 8, 4], 24), of("i64", [1], [7]), of("i64", [1], [4])], constant: [1, 2] },
    {
      opset: 18,
      inputs: [noise("f32", [1, 16, 4], 25), of("i64", [3], [3, 2, 3]), of("i64", [3], [2, 2, 2])],
      constant: [1, 2],
    },
  ],
  [0],
);
agrees(
  "MaxPool",
  "positions in both orders, dilations, one to three axes, bytes and f64",
  [
    {
      opset: 12,
      inputs: [x2],
      attrs: { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 1, 1, 0] },
      outputs: ["f32", "i64"],
    },
    {
      opset: 12,
      inputs: [x2],
      attrs: { kernel_shape: [2, 2], dilations: [2, 3], storage_order: 1 },
      outputs: ["f32", "i64"],
    },
    {
      opset: 12,
      inputs: [x3],
      attrs: { kernel_shape: [2, 2, 3], ceil_mode: 1, strides: [2, 2, 2], storage_order: 1 },
      outputs: ["f32", "i64"],
    },
    { opset: 12, inputs: [x1], attrs: { kernel_shape: [4], dilations: [2], pads: [3, 1] } },
    { opset: 12, inputs: [noise("u8", [1, 2, 5, 5], 26, 0, 255)], attrs: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] } },
    {
      opset: 12,
      inputs: [noise("i8", [1, 2, 5, 5], 27, -128, 127)],
      attrs: { kernel_shape: [2, 3], strides: [2, 1], auto_pad: "SAME_LOWER" },
    },
    {
      opset: 11,
      inputs: [noise("f64", [1, 2, 5, 5], 28)],
      attrs: { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 },
      outputs: ["f64", "i64"],
    },
  ],
  [0],
);
agrees(
  "AveragePool",
  "one to three axes, dilations, counts of padding, rounding up",
  [
    { opset: 11, inputs: [x1], attrs: { kernel_shape: [4], strides: [3], pads: [1, 2], ceil_mode: 1 } },
    { opset: 11, inputs: [x2], attrs: { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1] } },
    { opset: 19, inputs: [x2], attrs: { kernel_shape: [3, 2], dilations: [2, 2], pads: [1, 1, 1, 0] } },
    { opset: 11, inputs: [x3], attrs: { kernel_shape: [2, 3, 2], pads: [1, 1, 0, 0, 1, 1], count_include_pad: 1 } },
    { opset: 11, inputs: [x2], attrs: { kernel_shape: [3, 3], strides: [2, 2], auto_pad: "SAME_UPPER" } },
  ],
  [0],
);
agrees(
  "LpPool",
  "exponents, padding, one to three axes",
  [
    { opset: 11, inputs: [x1], attrs: { kernel_shape: [3], p: 1, pads: [1, 1] } },
    { opset: 18, inputs: [x2], attrs: { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 1], p: 3 } },
    { opset: 18, inputs: [x2], attrs: { kernel_shape: [2, 2], dilations: [2, 2] } },
    { opset: 18, inputs: [x3], attrs: { kernel_shape: [2, 2, 2], auto_pad: "SAME_UPPER" } },
  ],
  [0],
);
agrees(
  "GlobalAveragePool",
  "one and three axes",
  [
    { opset: 1, inputs: [x1] },
    { opset: 1, inputs: [x3] },
  ],
  [0],
);
agrees(
  "GlobalMaxPool",
  "one and three axes",
  [
    { opset: 1, inputs: [x1] },
    { opset: 1, inputs: [x3] },
  ],
  [0],
);
agrees(
  "GlobalLpPool",
  "exponents",
  [
    { opset: 2, inputs: [x2] },
    { opset: 2, inputs: [x3], attrs: { p: 3 } },
    { opset: 2, inputs: [x1], attrs: { p: 1 } },
  ],
  [0],
);
agrees(
  "MaxUnpool",
  "of two and three axes, and to a shape that is asked for",
  [
    {
      opset: 11,
      inputs: [noise("f32", [1, 2, 2, 2], 29), of("i64", [1, 2, 2, 2], [0, 3, 9, 14, 17, 18, 24, 31])],
      attrs: { kernel_shape: [2, 2], strides: [2, 2] },
    },
    {
      opset: 11,
      inputs: [noise("f32", [1, 1, 2, 1, 2], 30), of("i64", [1, 1, 2, 1, 2], [1, 6, 11, 12])],
      attrs: { kernel_shape: [2, 1, 2], strides: [2, 1, 2] },
    },
  ],
  [0],
);
agrees(
  "MaxRoiPool",
  "regions within and across the edges of images",
  [
    {
      opset: 1,
      inputs: [noise("f32", [2, 3, 8, 9], 31), of("f32", [3, 5], [0, 1, 1, 12, 9, 1, 4, 0, 6, 15, 1, 3, 3, 3, 3])],
      attrs: { pooled_shape: [2, 3], spatial_scale: "0.5" },
    },
  ],
  [0],
);
const moved = (shape: readonly number[], seed: number): ReturnType<typeof noise> =>
  noise("f32", shape, seed, -1.5, 1.5);
agrees(
  "DeformConv",
  "groups of channels and of offsets, masks, strides, dilations, padding",
  [
    { opset: 19, inputs: [x2, noise("f32", [3, 4, 2, 3], 40), moved([2, 12, 6, 4], 41)] },
    {
      opset: 19,
      inputs: [
        x2,
        noise("f32", [4, 2, 3, 2], 42),
        moved([2, 24, 4, 6], 43),
        noise("f32", [4], 44),
        noise("f32", [2, 12, 4, 6], 45, 0, 1),
      ],
      attrs: { group: 2, offset_group: 2, strides: [2, 1], pads: [1, 0, 1, 1], dilations: [1, 1] },
    },
    {
      opset: 22,
      inputs: [x2, noise("f32", [1, 4, 2, 2], 46), moved([2, 8, 7, 3], 47)],
      attrs: { dilations: [2, 3], pads: [1, 0, 1, 0] },
    },
  ],
  [0, 1, 2, 3, 4],
);

agreesCompiled("rules_windows");
coversAll({ ...convolutions, ...deformations, ...pools });
