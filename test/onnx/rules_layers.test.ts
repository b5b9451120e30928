// Rules of layers with weights or windows, and of operators that move elements, in the old and the new forms.

import { NdArray } from "../../compiler/ir/nd.js";
import { layers } from "../../compiler/onnx/operators/layers.js";
import { move } from "../../compiler/onnx/operators/move.js";
import { array, f32, i64, one, some } from "../support/foreign.js";
import { arrayOf } from "../support/onnx_cases.js";
import { check, coversAll, map, shaped, total, x23 } from "../support/rule_tests.js";

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
check("LRN", "an odd and an even size", () =>
  [3, 2].map((size) => {
    const x = some([1, 4, 2, 2]);
    const want = map(x, (v, i) => {
      const c = Math.floor(i / 4);
      let sum = 0;
      for (let d = -Math.floor((size - 1) / 2); d <= Math.ceil((size - 1) / 2); d++)
        if (c + d >= 0 && c + d < 4) sum += (x.data[i + 4 * d] as number) ** 2;
      return v / (2 + (0.5 / size) * sum) ** 0.25;
    });
    return [one("LRN", 13, x, { size, alpha: "0.5", beta: "0.25", bias: "2.0" }), want] as const;
  }),
);

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
for (const opset of [6, 7, 9, 15])
  check("BatchNormalization", `inference in operator set ${opset}, images and other ranks`, () => {
    const tables = [
      [1, 2, -1],
      [0, 1, 2],
      [0.5, 0, 1],
      [1, 4, 0.25],
    ].map((xs) => f32([3], xs));
    const want = (x: NdArray, inner: number): NdArray =>
      map(x, (v, i) => {
        const [gamma, beta, mean, variance] = tables.map(
          (t) => arrayOf(t).data[Math.floor(i / inner) % 3] as number,
        ) as [number, number, number, number];
        return (gamma * (v - mean)) / Math.sqrt(variance + 0.25) + beta;
      });
    const attrs = { epsilon: "0.25", momentum: "0.5", ...(opset === 6 && { is_test: 1 }) };
    return [
      [one("BatchNormalization", opset, images, attrs, tables), want(images, 4)],
      [one("BatchNormalization", opset, some([2, 3, 5]), attrs, tables), want(some([2, 3, 5]), 5)],
    ];
  });
check("Gemm", "factors, transposes, the third operand in all forms", () => {
  const a = some([2, 3]);
  const b = some([3, 4]);
  const product = (ta: boolean, alpha: number, more: (i: number, j: number) => number): NdArray =>
    NdArray.fill([2, 4], (at) => {
      const [i, j] = [Math.floor(at / 4), at % 4];
      let sum = 0;
      for (let k = 0; k < 3; k++) sum += (ta ? (a.data[k * 2 + i] as number) : a.at(i, k)) * b.at(k, j);
      return alpha * sum + more(i, j);
    });
  const w = f32([3, 4], [...b.data]);
  const turned = f32([4, 3], [...NdArray.fill([4, 3], (i) => b.at(i % 3, Math.floor(i / 3))).data]);
  const c = [1, 2, 3, 4];
  const none = (): number => 0;
  return [
    [one("Gemm", 6, a, { broadcast: 1 }, [w, f32([4], c)]), product(false, 1, (_, j) => c[j] as number)],
    [
      one("Gemm", 9, a, { alpha: "0.5", beta: "2.0" }, [w, f32([2, 1], [1, 2])]),
      product(false, 0.5, (i) => 2 * (i + 1)),
    ],
    [one("Gemm", 13, shaped(a, [3, 2]), { transA: 1 }, [w]), product(true, 1, none)],
    [one("Gemm", 13, a, { transB: 1 }, [turned, f32([], [3])]), product(false, 1, () => 3)],
  ];
});
check("MatMul", "matrices, several by one, vectors", () => {
  const b = some([3, 2]);
  const times = (x: NdArray, shape: readonly number[]): NdArray =>
    NdArray.fill(shape, (at) =>
      total([0, 1, 2].map((k) => (x.data[Math.floor(at / 2) * 3 + k] as number) * b.at(k, at % 2))),
    );
  const w = f32([3, 2], [...b.data]);
  return [
    [one("MatMul", 9, x23, {}, [w]), times(x23, [2, 2])],
    [one("MatMul", 13, some([2, 2, 2, 3]), {}, [w]), times(some([2, 2, 2, 3]), [2, 2, 2, 2])],
    [one("MatMul", 13, some([3]), {}, [w]), times(some([3]), [2])],
    [one("MatMul", 13, x23, {}, [f32([3], [1, 2, 3])]), array([2], [-3, 11.5])],
  ];
});

coversAll({ ...layers, ...move });
