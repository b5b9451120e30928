// Checks and computations that several `infer` functions share: ranks, extents, broadcast shapes. Messages name the
// operand; the builder puts the op, its operand types and the scope in front of them. What element types an operand may
// have is in the record, and is checked before `infer` is called.

import type { NdArray } from "../ir/nd.js";
import { elements, sameShape, showType, type TensorType } from "../ir/types.js";

/** Throws unless `t` has exactly this shape. */
export function wantShape(name: string, t: TensorType, shape: readonly number[]): void {
  if (!sameShape(t.shape, shape)) throw new Error(`${name} must have shape [${shape}], not [${t.shape}]`);
}

/** Throws unless `t` has one of these ranks. */
export function wantRank(name: string, t: TensorType, ...ranks: readonly number[]): void {
  if (!ranks.includes(t.shape.length))
    throw new Error(`${name} must have rank ${ranks.join(" or ")}, not ${t.shape.length}`);
}

/** Throws unless `t` has rank 0. */
export function wantScalar(name: string, t: TensorType): void {
  if (t.shape.length !== 0) throw new Error(`${name} must be ${t.dtype}[], not ${showType(t)}`);
}

/** Throws unless `x` is an integer >= least. */
export function wantInteger(name: string, x: number, least: number): void {
  if (!Number.isInteger(x) || x < least) throw new Error(`${name} must be an integer of at least ${least}, not ${x}`);
}

/** Throws unless `groups` is a positive integer that divides `rows`. */
export function wantGroups(rows: number, groups: number): void {
  wantInteger("groups", groups, 1);
  if (rows % groups !== 0) throw new Error(`${rows} rows do not fall into ${groups} equal groups`);
}

/** `axis`, which may count from the end (-1 is the last), counted from the front. Throws if there is no such axis. */
export function wantAxis(axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank)
    throw new Error(`no axis ${axis} in a tensor of rank ${rank}`);
  return axis < 0 ? axis + rank : axis;
}

/** The i-th extent of a shape that is known to have one. */
export const dim = (x: { readonly shape: readonly number[] }, i: number): number => x.shape[i] as number;

/** The shape of the result of a binary op on shapes a and b by numpy's rules. Throws if they do not broadcast. */
export function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1) throw new Error(`shapes [${a}] and [${b}] do not broadcast`);
    return x === 1 ? y : x;
  });
}

/** For each element of shape `to`, row-major, the index of its element of shape `from`, which broadcasts to `to`. */
export function broadcastIndex(from: readonly number[], to: readonly number[]): Int32Array {
  const index = new Int32Array(elements(to));
  let stride = 1;
  let inner = 1; // elements of `to` below the current axis
  for (let axis = to.length - 1; axis >= 0; axis--) {
    const extent = to[axis] as number;
    const own = from[axis - to.length + from.length] ?? 1;
    if (own !== 1)
      for (let i = 0; i < index.length; )
        for (let at = 0; at < extent; at++)
          for (const end = i + inner; i < end; i++) index[i] = (index[i] as number) + at * stride;
    stride *= own;
    inner *= extent;
  }
  return index;
}

/**
 * The rows, channels and pixels per row of a matrix [N, C] or a batch of images [N, C, H, W]. The logical index of an
 * element is (n * C + c) * pixels + p.
 */
export function channelsOf(x: { readonly shape: readonly number[] }): {
  n: number;
  c: number;
  pixels: number;
} {
  return { n: dim(x, 0), c: dim(x, 1), pixels: elements(x.shape.slice(2)) };
}

/**
 * Calls f(index, group, channel) for each element of x [N, C] or [N, C, H, W], whose rows are divided into `groups`
 * equal groups.
 */
export function eachChannelElement(x: NdArray, groups: number, f: (i: number, g: number, c: number) => void): void {
  const { n, c: channels, pixels } = channelsOf(x);
  for (let row = 0, i = 0; row < n; row++)
    for (let c = 0; c < channels; c++) for (let p = 0; p < pixels; p++, i++) f(i, Math.floor(row / (n / groups)), c);
}
