// Parts of tensors by positions that are known when the model is imported, and tensors whose elements are.

import type { Builder } from "../../ir/builder.js";
import { type DType, sameShape, type Value } from "../../ir/types.js";
import { converted, filled } from "../../ops/composed/compute.js";
import { reshaped } from "../../ops/composed/layout.js";
import * as op from "../../ops/index.js";
import { Refused } from "../at.js";

/** An i64 tensor of these positions along the one axis. A regular list is computed, not stored. */
export function positions(b: Builder, list: readonly number[]): Value {
  const shape = [list.length];
  const [first = 0, step = 0] = [list[0], (list[1] ?? 0) - (list[0] ?? 0)];
  if (list.every((p, i) => p === first + i * step))
    return op.map(b, [], { expr: `add(mul(i0,${step}),${first})`, shape });
  return op.constant(b, { values: list, shape, dtype: "i64" });
}

const MOST_POSITIONS = 2 ** 24; // in one list, of a tensor that a rule takes apart

/** A list of positions, of which position `i` is at(i). Throws before it is made if it would be too long. */
export function listed(n: number, at: (i: number) => number): number[] {
  if (!(n <= MOST_POSITIONS)) throw new Refused(`it takes ${n} positions, more than ${MOST_POSITIONS}`);
  return Array.from({ length: Math.max(n, 0) }, (_, i) => at(i));
}

/** The given positions of an axis of x, in this order. */
export function takenAt(b: Builder, x: Value, axis: number, list: readonly number[]): Value {
  const { shape, dtype } = x.type;
  const [first, n] = [list[0] ?? 0, list.length];
  if (list.every((p, i) => p === first + i)) return ranged(b, x, axis, first, first + n);
  const y = shape.with(axis, n);
  if (y.includes(0)) return filled(b, dtype, y, 0);
  return op.gather(b, x, positions(b, list), { axis });
}

/** The positions from `start` up to, not including, `end` of an axis. */
export function ranged(b: Builder, x: Value, axis: number, start: number, end: number): Value {
  const { shape, dtype } = x.type;
  const y = shape.with(axis, end - start);
  if (y.includes(0)) return filled(b, dtype, y, 0);
  return end - start === shape[axis] ? x : op.slice(b, x, { axis, start, end });
}

/** The parts one after the other along an axis; those without elements are left out. */
export function joined(b: Builder, parts: readonly Value[], axis: number): Value {
  const own = parts.filter((p) => p.type.shape[axis] !== 0);
  const [first = parts[0] as Value] = own;
  if (own.length < 2) return first;
  const shape = first.type.shape.with(
    axis,
    own.reduce((n, p) => n + (p.type.shape[axis] as number), 0),
  );
  if (shape.includes(0) && own.every((p) => sameShape(p.type.shape.with(axis, 0), shape.with(axis, 0))))
    return filled(b, first.type.dtype, shape, 0);
  return op.concat(b, own, { axis });
}

/** A tensor of these numbers, rounded to f32 or f64. */
export function numbers(b: Builder, values: readonly number[], shape: readonly number[], dtype: DType): Value {
  const table = (v: readonly number[]): Value => op.constant(b, { values: v, shape });
  if (dtype === "f32") return table(values);
  const high = values.map(Math.fround); // a table has f32; the rest of each number is in another one
  const low = values.map((v, i) => (Number.isFinite(v) ? Math.fround(v - (high[i] as number)) : 0));
  if (low.every((v) => v === 0)) return converted(b, table(high), dtype);
  return op.map(b, [table(high), table(low)], { expr: `to_${dtype}(add(to_f64(x0),to_f64(x1)))` });
}

/** x with its extent at `axis` divided into two. */
export const divided = (b: Builder, x: Value, axis: number, into: readonly number[]): Value =>
  reshaped(b, x, x.type.shape.toSpliced(axis, 1, ...into));
