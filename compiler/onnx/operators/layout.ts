// Shapes of foreign models against the IR's storage: a 4-D tensor is stored channels-last, so a reshape of ONNX, which
// keeps the row-major order, may have to move elements.

import type { Builder } from "../../ir/builder.js";
import { elements, sameShape, type Value } from "../../ir/types.js";
import * as op from "../../ops/index.js";

type Shape = readonly number[];

/** Whether a 4-D tensor of this shape is stored in row-major order, as tensors of all other ranks are. */
const rowMajor = (s: Shape): boolean => s.length !== 4 || s[1] === 1 || (s[2] as number) * (s[3] as number) === 1;

/** x with another shape of as many elements in the same row-major order; elements move in memory only if they must. */
export function reshaped(b: Builder, x: Value, shape: Shape): Value {
  const from = x.type.shape;
  if (sameShape(from, shape)) return x;
  const view =
    (rowMajor(from) && rowMajor(shape)) ||
    (from.length === 4 && shape.length === 4 && from[0] === shape[0] && from[1] === shape[1]);
  return view ? op.reshape(b, x, { shape }) : toImages(b, toRows(b, x), shape);
}

/** x with its elements in row-major order: for a 4-D tensor [N, 1, C, HW], which is stored so. */
function toRows(b: Builder, x: Value): Value {
  const [n, c, h, w] = x.type.shape as [number, number, number, number];
  if (rowMajor(x.type.shape)) return x;
  return op.transpose(b, op.reshape(b, x, { shape: [n, c, h * w, 1] }), { perm: [0, 3, 1, 2] });
}

/** x, whose elements are in row-major order, with this shape. */
function toImages(b: Builder, x: Value, shape: Shape): Value {
  if (rowMajor(shape)) return op.reshape(b, x, { shape });
  const [n, c, h, w] = shape as [number, number, number, number];
  const rows = op.reshape(b, x, { shape: [n, 1, c, h * w] });
  return op.reshape(b, op.transpose(b, rows, { perm: [0, 2, 3, 1] }), { shape });
}

/** The axes of x in another order. */
export const transposed = (b: Builder, x: Value, perm: readonly number[]): Value =>
  perm.every((a, i) => a === i) ? x : op.transpose(b, x, { perm });

/** x with `before[i]` and `after[i]` more elements at the ends of axis i, which are all `value`, f32[]. */
export function padded(b: Builder, x: Value, before: Shape, after: Shape, value: Value): Value {
  return x.type.shape.reduce((y, _, axis) => {
    const part = (n: number | undefined): Value[] =>
      n ? [op.broadcast_to(b, value, { shape: y.type.shape.with(axis, n) })] : [];
    const parts = [...part(before[axis]), y, ...part(after[axis])];
    return parts.length === 1 ? y : op.concat(b, parts, { axis });
  }, x);
}

/** The shape seen as [outer, extent of the axis, inner]. */
export const around = (shape: Shape, axis: number): [outer: number, extent: number, inner: number] => [
  elements(shape.slice(0, axis)),
  shape[axis] as number,
  elements(shape.slice(axis + 1)),
];
