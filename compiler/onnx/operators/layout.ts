// How rules move the elements of tensors.

import type { Builder } from "../../ir/builder.js";
import { elements, type Value } from "../../ir/types.js";
import * as op from "../../ops/index.js";
import { spread } from "./compute.js";

export { reshaped } from "../../ops/reshaped.js";

type Shape = readonly number[];

/** The axes of x in another order. */
export const transposed = (b: Builder, x: Value, perm: readonly number[]): Value =>
  perm.every((a, i) => a === i) ? x : op.transpose(b, x, { perm });

/** x with `before[i]` and `after[i]` more elements at the ends of axis i, all `value`: of x's type, and shape []. */
export function padded(b: Builder, x: Value, before: Shape, after: Shape, value: Value): Value {
  return x.type.shape.reduce((y, extent, axis) => {
    const part = (n: number | undefined): Value[] => (n ? [spread(b, value, y.type.shape.with(axis, n))] : []);
    const parts = [...part(before[axis]), ...(extent === 0 ? [] : [y]), ...part(after[axis])];
    return parts.length > 1 ? op.concat(b, parts, { axis }) : (parts[0] ?? y);
  }, x);
}

/** The shape seen as [outer, extent of the axis, inner]. */
export const around = (shape: Shape, axis: number): [outer: number, extent: number, inner: number] => [
  elements(shape.slice(0, axis)),
  shape[axis] as number,
  elements(shape.slice(axis + 1)),
];
