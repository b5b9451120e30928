// How compositions move the elements of tensors.

import type { Builder } from "../../ir/builder.js";
import { elements, type Value } from "../../ir/types.js";
import * as op from "../index.js";
import { reshaped } from "../reshaped.js";
import { spread } from "./compute.js";

export { reshaped };

type Shape = readonly number[];

const COPY_AXES = 6; // that the kernel of a transpose can order

/** The axes of x in another order. */
export function transposed(b: Builder, x: Value, perm: readonly number[]): Value {
  if (perm.every((a, i) => a === i)) return x;
  if (perm.length <= COPY_AXES || new Set(perm).size !== x.type.shape.length) return op.transpose(b, x, { perm });
  const strides = perm.map((a) => elements(x.type.shape.slice(a + 1)));
  const number = strides.map((s, i) => `mul(i${i},${s})`).reduce((sum, e) => `add(${sum},${e})`);
  const from = op.map(b, [], { expr: number, shape: perm.map((a) => x.type.shape[a] as number) });
  return op.gather(b, reshaped(b, x, [elements(x.type.shape)]), from, { axis: 0 });
}

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
