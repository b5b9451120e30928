// How rules move the elements of tensors.

import type { Builder } from "../../ir/builder.js";
import { elements, type Value } from "../../ir/types.js";
import * as op from "../../ops/index.js";

export { reshaped } from "../../ops/reshaped.js";

type Shape = readonly number[];

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
