// The different elements, or slices, of a constant.

import { elements } from "../ir/types.js";
import type { At } from "./at.js";
import { arrays, elementsOf, type Tensor, tensorOf } from "./model.js";
import { decoder, tensorFrom } from "./numbers.js";

type Element = number | bigint;

const PER_ELEMENT = 32; // numbers of 8 bytes, roughly, in lists and keys

/** By the first element that differs; a NaN is larger than all numbers. */
function compare(p: readonly Element[], q: readonly Element[]): number {
  for (const [i, x] of p.entries()) {
    const y = q[i] as Element;
    const [noX, noY] = [Number.isNaN(x), Number.isNaN(y)];
    if (noX || noY ? noX !== noY : x !== y) return noY || (!noX && x < y) ? -1 : 1;
  }
  return 0;
}

/**
 * The outputs of a Unique: the different slices along an axis, or elements without one, in order or as they come first;
 * where each is first; which of them each slice is; how often each occurs. i64, except the first.
 */
export function unique(at: At): Tensor[] {
  const t = at.constant(0);
  const axis = at.given("axis") ? at.axis(at.int("axis", 0), t.dims.length) : undefined;
  const sorted = at.int("sorted", 1) === 1;
  const stored = elementsOf(t);
  const decode = typeof stored[0] === "bigint" ? undefined : decoder(t.type);
  const n = axis === undefined ? stored.length : (t.dims[axis] as number);
  at.memory.reserve("f64", [stored.length + n, PER_ELEMENT]);
  const inner = axis === undefined ? 1 : elements(t.dims.slice(axis + 1));
  const outer = stored.length / Math.max(n * inner, 1);
  /** The places of the elements of slice `i`. */
  const places = (i: number): number[] =>
    Array.from({ length: outer * inner }, (_, j) => (Math.floor(j / inner) * n + i) * inner + (j % inner));
  const slices = Array.from({ length: n }, (_, i) =>
    places(i).map((p) => (decode ? decode(stored[p] as number) : (stored[p] as Element))),
  );
  const found = new Map<string, number[]>(); // the slices that are equal
  for (const [i, slice] of slices.entries()) {
    const key = slice.join();
    const same = found.get(key);
    if (same) same.push(i);
    else found.set(key, [i]);
  }
  const groups = [...found.values()];
  const slice = (g: readonly number[]): readonly Element[] => slices[g[0] as number] as readonly Element[];
  if (sorted) groups.sort((p, q) => compare(slice(p), slice(q)));
  const dims = axis === undefined ? [groups.length] : t.dims.with(axis, groups.length);
  const values = new arrays[t.type](elements(dims)) as Float64Array;
  for (const [i, g] of groups.entries())
    for (const [j, p] of places(g[0] as number).entries())
      values[(Math.floor(j / inner) * groups.length + i) * inner + (j % inner)] = stored[p] as number;
  const inverse = new Float64Array(n);
  for (const [i, g] of groups.entries()) for (const p of g) inverse[p] = i;
  const integers = (xs: ArrayLike<number>): Tensor => tensorFrom("i64", [xs.length], xs);
  return [
    tensorOf("", t.type, dims, values),
    integers(groups.map((g) => g[0] as number)),
    integers(inverse),
    integers(groups.map((g) => g.length)),
  ];
}
