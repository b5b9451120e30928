// Reshapes that keep the row-major order of elements, although a 4-D tensor is stored channels-last.

import type { Builder } from "../ir/builder.js";
import { sameShape, type Value } from "../ir/types.js";
import { reshape, transpose } from "./move.js";

type Shape = readonly number[];

/** Whether a 4-D tensor of this shape is stored in row-major order, as tensors of all other ranks are. */
const rowMajor = (s: Shape): boolean => s.length !== 4 || s[1] === 1 || (s[2] as number) * (s[3] as number) === 1;

/** A reshape whose first extent is open, so that it is the same for every number of rows. */
const viewed = (b: Builder, x: Value, shape: Shape): Value =>
  reshape(b, x, { shape: shape.length > 0 && !shape.includes(0) ? [-1, ...shape.slice(1)] : shape });

/** x with another shape of as many elements in the same row-major order; elements move in memory only if they must. */
export function reshaped(b: Builder, x: Value, shape: Shape): Value {
  const from = x.type.shape;
  if (sameShape(from, shape)) return x;
  const view =
    (rowMajor(from) && rowMajor(shape)) ||
    (from.length === 4 && shape.length === 4 && from[0] === shape[0] && from[1] === shape[1]);
  return view ? viewed(b, x, shape) : toImages(b, toRows(b, x), shape);
}

/** x with its elements in row-major order: for a 4-D tensor [N, 1, C, HW], which is stored so. */
function toRows(b: Builder, x: Value): Value {
  const [n, c, h, w] = x.type.shape as [number, number, number, number];
  if (rowMajor(x.type.shape)) return x;
  return transpose(b, viewed(b, x, [n, c, h * w, 1]), { perm: [0, 3, 1, 2] });
}

/** x, whose elements are in row-major order, with this shape. */
function toImages(b: Builder, x: Value, shape: Shape): Value {
  if (rowMajor(shape)) return viewed(b, x, shape);
  const [n, c, h, w] = shape as [number, number, number, number];
  const rows = viewed(b, x, [n, 1, c, h * w]);
  return viewed(b, transpose(b, rows, { perm: [0, 2, 3, 1] }), shape);
}
