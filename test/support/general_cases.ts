// Cases of the ops that the general template computes. Those in f32 have their gradients checked; the others are
// compared with the reference in every element type that they take. Positions outside of a tensor, which ONNX forbids,
// are in cases whose names end in "_outside".

import type { DType } from "../../compiler/ir/types.js";
import * as op from "../../compiler/ops/index.js";
import { fixed, type OpCase, type Operand, opCase, positive } from "./op_cases.js";

const window = { strides: [1], dilations: [1], pads: [0], parts: 1 };
const at = (values: readonly number[], shape: readonly number[] = [values.length], dtype: DType = "i64"): Operand => ({
  shape,
  dtype,
  values,
});

/** One case for each function of one operand, and of two. */
const functions: readonly OpCase[] = [
  ...[
    "neg",
    "abs",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "atanh",
    "erf",
    "exp",
    "log1p",
    "sigmoid",
  ].map((f) =>
    opCase(`map_${f}`, { x: { shape: [3, 17], low: -0.9, high: 0.9 } }, (b, v) =>
      op.map(b, [v.x], { expr: `${f}(x0)` }),
    ),
  ),
  ...["sqrt", "log", "acosh"].map((f) =>
    opCase(`map_${f}`, { x: { shape: [3, 17], low: 1.1, high: 3 } }, (b, v) => op.map(b, [v.x], { expr: `${f}(x0)` })),
  ),
  ...["floor", "ceil", "trunc", "round", "sign"].map((f) =>
    opCase(`map_${f}`, { x: fixed([3, 17], -3, 3) }, (b, v) => op.map(b, [v.x], { expr: `${f}(x0)` })),
  ),
  ...["add", "sub", "mul", "div", "min", "max", "pow", "mod", "fmod"].map((f) =>
    opCase(`map_${f}`, { x: positive([2, 3, 4, 5]), y: { shape: [4, 1], low: 0.6, high: 2 } }, (b, v) =>
      op.map(b, [v.x, v.y], { expr: `${f}(x0,x1)` }),
    ),
  ),
];

const random: readonly OpCase[] = [
  opCase(
    "dropout",
    { x: [5, 10], row: at([7, 8, 9, 10, 1000000]), seed: at([4503599627370495], []), step: at([3], []) },
    (b, v) => op.dropout(b, v.x, v.row, v.seed, v.step, { p: 0.3, stream: 4000000000 }),
  ),
  opCase("dropout_of_nothing", { x: [2, 3], row: at([0, 1]), seed: at([-5], []), step: at([0], []) }, (b, v) =>
    op.dropout(b, v.x, v.row, v.seed, v.step, { p: 0, stream: 0 }),
  ),
];

const maps: readonly OpCase[] = [
  opCase("map_images", { x: [2, 3, 4, 5], y: [3, 1, 1] }, (b, v) =>
    op.map(b, [v.x, v.y, v.x], { expr: "add(mul(x0,x1),where(less(x2,0.1),mul(x2,x2),x1))" }),
  ),
  opCase("map_position", { x: [2, 3, 4, 5] }, (b, v) =>
    op.map(b, [v.x], { expr: "mul(x0,to_f32(add(mul(i0,100),add(mul(i1,10),sub(i3,i2)))))" }),
  ),
  opCase("map_fill", { x: [2, 3] }, (b, v) => op.mul(b, v.x, op.map(b, [], { expr: "to_f32(-2.5)", shape: [2, 3] }))),
  opCase("map_compare", { x: fixed([2, 9]), y: fixed([9]) }, (b, v) =>
    op.map(b, [v.x, v.y], { expr: "to_f32(or(less(x0,x1),and(greater(x0,0.5),not(equal(x1,x0)))))" }),
  ),
  opCase("map_rank5", { x: [2, 3, 2, 2, 3], y: [3, 1, 2, 1] }, (b, v) => op.map(b, [v.x, v.y], { expr: "sub(x0,x1)" })),
];

const folds: readonly OpCase[] = [
  ...(["sum", "prod", "max", "min"] as const).flatMap((of) => [
    opCase(`fold_${of}`, { x: [3, 4, 5] }, (b, v) => op.fold(b, v.x, { of, axes: [1] })),
    opCase(`fold_${of}_images`, { x: [2, 3, 4, 2] }, (b, v) => op.fold(b, v.x, { of, axes: [0, -1], keepdims: true })),
    opCase(`fold_${of}_dropped`, { x: [2, 3, 4, 2] }, (b, v) => op.fold(b, v.x, { of, axes: [1, 2] })),
  ]),
  opCase("fold_prod_zeros", { x: { shape: [2, 4], values: [1, 2, 0, 4, 0, 3, 0, 5] } }, (b, v) =>
    op.fold(b, v.x, { of: "prod", axes: [1] }),
  ),
  ...(["arg_max", "arg_min"] as const).flatMap((of) => [
    opCase(`fold_${of}`, { x: fixed([3, 4, 5]) }, (b, v) => op.fold(b, v.x, { of, axes: [1] })),
    opCase(`fold_${of}_last`, { x: { ...at([1, 3, 3, 0, 3, 0, 0, 2], [2, 4], "f32"), fixed: true } }, (b, v) =>
      op.fold(b, v.x, { of, axes: [-1], keepdims: true, last: true }),
    ),
  ]),
  ...[false, true].flatMap((exclusive) =>
    [false, true].map((reverse) =>
      opCase(`cumulate_${exclusive}_${reverse}`, { x: [2, 5, 3] }, (b, v) =>
        op.cumulate(b, v.x, { of: "sum", axis: 1, exclusive, reverse }),
      ),
    ),
  ),
  opCase("cumulate_prod", { x: [2, 5, 3, 2] }, (b, v) => op.cumulate(b, v.x, { of: "prod", axis: 1 })),
  opCase("cumulate_prod_of_zeros", { x: at([2, 0, 3, 0.5, 0, 4, 0, 2], [2, 4], "f32") }, (b, v) =>
    op.cumulate(b, v.x, { of: "prod", axis: 1, exclusive: true, reverse: true }),
  ),
];

const places: readonly OpCase[] = [
  opCase("gather_outside", { x: [3, 5, 2], idx: at([4, 0, -1, 2, 9, 0], [2, 3]) }, (b, v) =>
    op.gather(b, v.x, v.idx, { axis: 1 }),
  ),
  opCase("gather", { x: [3, 5, 2], idx: at([4, 0, -1, 2, 2, 0], [2, 3]) }, (b, v) =>
    op.gather(b, v.x, v.idx, { axis: 1 }),
  ),
  opCase("gather_images", { x: [3, 2, 4, 3], idx: at([2, -4, 2], [3], "i32") }, (b, v) =>
    op.gather(b, v.x, v.idx, { axis: -2 }),
  ),
  opCase("gather_number", { x: [3, 5], idx: at([2], []) }, (b, v) => op.gather(b, v.x, v.idx, { axis: 0 })),
  ...(["add", "set"] as const).flatMap((of) => [
    ...[
      ["", 1, 1],
      ["_outside", 7, 5],
    ].flatMap(([outside, row, element]) => [
      opCase(
        `scatter_rows_${of}${outside}`,
        { x: [3, 4, 2], idx: at([3, -4, Number(row), -1]), updates: [3, 4, 2] },
        (b, v) => op.scatter_rows(b, v.x, v.idx, v.updates, { axis: 1, of }),
      ),
      opCase(
        `scatter_elements_${of}${outside}`,
        { x: [3, 4], idx: at([2, 0, 1, -1, 2, Number(element)], [2, 3]), updates: [2, 3] },
        (b, v) => op.scatter_elements(b, v.x, v.idx, v.updates, { axis: 0, of }),
      ),
    ]),
  ]),
  ...(["mul", "min", "max"] as const).map((of) =>
    opCase(`scatter_elements_${of}`, { x: [2, 4], idx: at([1, 1, 3, 0, 0, 0], [2, 3]), updates: [2, 3] }, (b, v) =>
      op.scatter_elements(b, v.x, v.idx, v.updates, { axis: 1, of }),
    ),
  ),
  ...(["mul", "max"] as const).map((of) =>
    opCase(`scatter_rows_${of}`, { x: [3, 2], idx: at([1, 1, -1, 0]), updates: [4, 2] }, (b, v) =>
      op.scatter_rows(b, v.x, v.idx, v.updates, { axis: 0, of }),
    ),
  ),
  // two that are equal: finite differences give each one half
  ...(["min", "max"] as const).map((of) => {
    const sign = of === "max" ? 1 : -1;
    const values = (xs: readonly number[]): Operand => ({ shape: [3], values: xs.map((v) => sign * v) });
    return opCase(
      `scatter_elements_${of}_ties`,
      { x: values([1, 5, 2]), idx: at([0, 2, 2]), updates: values([1, 4, 4]) },
      (b, v) => op.scatter_elements(b, v.x, v.idx, v.updates, { axis: 0, of }),
    );
  }),
  opCase(
    "scatter_rows_mul_zeros",
    {
      x: { shape: [4], values: [2, 0, 3, 0] },
      idx: at([0, 0, 1, 2, 2, 3]),
      updates: { shape: [6], values: [0, 5, 7, 0, 0, 0] },
    },
    (b, v) => op.scatter_rows(b, v.x, v.idx, v.updates, { axis: 0, of: "mul" }),
  ),
  opCase("gather_elements_outside", { x: [3, 4, 2], idx: at([2, 0, 1, -1, 2, 5, 0, 0], [2, 2, 2]) }, (b, v) =>
    op.gather_elements(b, v.x, v.idx, { axis: 1 }),
  ),
  opCase("gather_elements", { x: [3, 4, 2], idx: at([2, 0, 1, -1, 2, 3, 0, 0], [2, 2, 2]) }, (b, v) =>
    op.gather_elements(b, v.x, v.idx, { axis: 1 }),
  ),
  opCase("sort", { x: [3, 7] }, (b, v) => op.sort(b, v.x, { axis: 1, k: 7 }).values),
  opCase("sort_largest", { x: [2, 7, 3] }, (b, v) => Object.values(op.sort(b, v.x, { axis: 1, k: 3, largest: true }))),
];

const products: readonly OpCase[] = [
  opCase("batch_matmul", { a: [2, 3, 4], b: [2, 4, 5] }, (b, v) => op.batch_matmul(b, v.a, v.b)),
  opCase("batch_matmul_broadcast", { a: [3, 4], b: [2, 1, 4, 5] }, (b, v) => op.batch_matmul(b, v.a, v.b)),
  // more than one block of rows, columns and terms; 4-D tensors are stored channels-last
  opCase("batch_matmul_blocks", { a: fixed([2, 171, 259]), b: fixed([2, 259, 67]) }, (b, v) =>
    op.batch_matmul(b, v.a, v.b),
  ),
  opCase("batch_matmul_columns", { a: fixed([7, 5]), b: fixed([1, 5, 300]) }, (b, v) => op.batch_matmul(b, v.a, v.b)),
  opCase("batch_matmul_images", { a: [2, 3, 4, 5], b: [2, 1, 5, 33] }, (b, v) => op.batch_matmul(b, v.a, v.b)),
  opCase("nd_conv_1d", { x: [2, 4, 9], w: [6, 2, 3] }, (b, v) =>
    op.conv_nd(b, v.x, v.w, { strides: [2], dilations: [2], pads: [1], parts: 2, out: [4] }),
  ),
  opCase("nd_conv_2d", { x: [2, 3, 5, 6], w: [4, 3, 2, 3] }, (b, v) =>
    op.conv_nd(b, v.x, v.w, { strides: [2, 1], dilations: [1, 2], pads: [1, 0], parts: 1, out: [3, 3] }),
  ),
  opCase("nd_conv_3d", { x: [1, 2, 3, 4, 3], w: [2, 1, 2, 2, 2] }, (b, v) =>
    op.conv_nd(b, v.x, v.w, { strides: [1, 2, 1], dilations: [1, 1, 1], pads: [0, 1, 1], parts: 2, out: [2, 3, 4] }),
  ),
  opCase("nd_conv_dgrad", { dy: [2, 4, 5], w: [4, 3, 3] }, (b, v) =>
    op.conv_nd_dgrad(b, v.dy, v.w, { strides: [2], dilations: [1], pads: [1], parts: 2, out: [10] }),
  ),
  opCase("nd_conv_wgrad", { x: [2, 4, 9], dy: [2, 6, 7] }, (b, v) =>
    op.conv_nd_wgrad(b, v.x, v.dy, { ...window, parts: 2, out: [3] }),
  ),
  opCase("nd_conv_depthwise", { x: [4, 19, 5, 6], w: [19, 1, 3, 2] }, (b, v) =>
    op.conv_nd(b, v.x, v.w, { strides: [2, 1], dilations: [1, 2], pads: [1, 2], parts: 19, out: [3, 7] }),
  ),
  opCase("nd_conv_depthwise_dgrad", { dy: [2, 17, 3, 7], w: [17, 1, 3, 2] }, (b, v) =>
    op.conv_nd_dgrad(b, v.dy, v.w, { strides: [2, 3], dilations: [1, 2], pads: [1, 2], parts: 17, out: [6, 18] }),
  ),
  opCase(
    "nd_conv_depthwise_groups",
    { x: [4, 16, 6, 5], w: [16, 1, 3, 3], s: [2, 16], t: [2, 16] },
    (b, v) =>
      op.relu(
        b,
        op.affine(
          b,
          op.conv_nd(b, v.x, v.w, { strides: [1, 1], dilations: [1, 1], pads: [1, 1], parts: 16, out: [6, 5] }),
          v.s,
          v.t,
        ),
      ),
    { groups: 2 },
  ),
  opCase("nd_max_pool", { x: [2, 3, 5, 7] }, (b, v) =>
    Object.values(
      op.max_pool_nd(b, v.x, { kernel: [3, 2], strides: [2, 3], dilations: [1, 2], pads: [1, 0], out: [3, 2] }),
    ),
  ),
];

export const generalCases: readonly OpCase[] = [...functions, ...maps, ...random, ...folds, ...places, ...products];
