// Windows on images and other grids of elements, and sums and means over them.

import type { Builder } from "../../ir/builder.js";
import type { DType, Value } from "../../ir/types.js";
import * as op from "../index.js";
import { compute, converted, filled } from "./compute.js";
import { padded, reshaped } from "./layout.js";
import { wider } from "./reduce.js";

type Shape = readonly number[];

export interface Window {
  readonly kernel: Shape;
  readonly strides: Shape;
  readonly dilations: Shape;
  readonly before: Shape; // padding of each spatial axis; negative: so many elements are left out
  readonly after: Shape;
  readonly out: Shape; // the positions along each spatial axis
}

/** The attributes of conv_nd and its kin. */
export const attrsOf = (w: Window, groups: number) => ({
  strides: w.strides,
  dilations: w.dilations,
  pads: w.before,
  parts: groups,
  out: w.out,
});

const allEqual = (xs: Shape): boolean => xs.every((x) => x === xs[0]);

/**
 * The window as the fast ops of f32 images take it, whose stride and padding are one number; undefined if it is another
 * one. x is padded by `value` beforehand if the sides differ.
 */
export function evenly(
  b: Builder,
  x: Value,
  w: Window,
  value: () => Value,
): { x: Value; stride: number; pad: number } | undefined {
  const pixels = x.type.shape.slice(2);
  const after = pixels.map((d, i) => {
    const [k, s, n] = [w.kernel[i], w.strides[i], w.out[i]] as [number, number, number];
    return (n - 1) * s + k - d - (w.before[i] as number); // as much as the windows reach; negative: the rest is unread
  });
  const fast = x.type.dtype === "f32" && pixels.length === 2 && w.dilations.every((d) => d === 1);
  if (!fast || !allEqual(w.strides) || w.before.some((p) => p < 0)) return undefined;
  const [stride, pad] = [w.strides[0], w.before[0]] as [number, number];
  const fits = pixels.every(
    (d, i) => Math.floor((d + 2 * pad - (w.kernel[i] as number)) / stride) + 1 === w.out[i] && w.before[i] === pad,
  );
  if (fits) return { x, stride, pad };
  const more = after.map((p) => Math.max(0, p));
  const wide = padded(b, x, [0, 0, ...w.before], [0, 0, ...more], value());
  const exact = w.out.every(
    (n, i) => Math.floor(((wide.type.shape[i + 2] as number) - (w.kernel[i] as number)) / stride) + 1 === n,
  );
  return exact ? { x: wide, stride, pad: 0 } : undefined;
}

const LANES = 8; // channels from which on a kernel over channels is faster than one over planes

/** The sum of each window in each channel of x [N, C, ...]. */
export function windowSums(b: Builder, x: Value, w: Window): Value {
  const [n, c] = x.type.shape as [number, number];
  if (x.type.dtype === "f32" && w.kernel.length === 2 && c >= LANES) {
    const ones = op.constant(b, { values: [1], shape: [c, 1, ...w.kernel] });
    return op.conv_nd(b, x, ones, attrsOf(w, c));
  }
  const planes = reshaped(b, x, [n * c, 1, ...x.type.shape.slice(2)]);
  const ones = (dtype: DType): Value =>
    dtype === "f32"
      ? op.constant(b, { values: [1], shape: [1, 1, ...w.kernel] })
      : filled(b, dtype, [1, 1, ...w.kernel], 1);
  const sums = wider(b, planes, (v) => {
    const even = evenly(b, v, w, () => op.scalar(b, 0));
    if (even) return op.conv(b, even.x, ones("f32"), { stride: even.stride, pad: even.pad });
    return op.conv_nd(b, v, ones(v.type.dtype), attrsOf(w, 1));
  });
  return reshaped(b, sums, [n, c, ...w.out]);
}

const MOST_POSITIONS = 2 ** 20; // along one axis

/** For each position along an axis: how many elements of the window lie at `least` <= position < `most`. */
function counts(w: Window, axis: number, least: number, most: number): number[] {
  const [k, s, d] = [w.kernel[axis], w.strides[axis], w.dilations[axis]] as [number, number, number];
  const length = w.out[axis] as number;
  if (length > MOST_POSITIONS) throw new Error(`it has windows at more than ${MOST_POSITIONS} positions of an axis`);
  return Array.from({ length }, (_, i) => {
    const begin = i * s - (w.before[axis] as number);
    const [first, end] = [Math.max(0, Math.ceil((least - begin) / d)), Math.min(k, Math.ceil((most - begin) / d))];
    return Math.max(0, end - first);
  });
}

/**
 * The sums of windows divided by the numbers of their elements on `pixels`, where those of the padding count if
 * `withPadding`. Throws if a window has none.
 */
export function windowMeans(b: Builder, x: Value, w: Window, withPadding: boolean): Value {
  const pixels = x.type.shape.slice(2);
  const numbers = pixels.map((d, i) => {
    const [before, after] = withPadding ? [w.before[i] as number, w.after[i] as number] : [0, 0];
    return counts(w, i, -before, d + after);
  });
  if (numbers.flat().some((m) => m < 1)) throw new Error("a window has no element");
  const tables = numbers.map((list, i) =>
    op.constant(b, {
      values: allEqual(list) ? list.slice(0, 1) : list,
      shape: pixels.map((_, axis) => (axis === i ? list.length : 1)),
    }),
  );
  return wider(b, x, (v) => {
    const sums = windowSums(b, v, w);
    if (numbers.every(allEqual))
      return compute(b, `mul(x0,${1 / numbers.reduce((m, list) => m * (list[0] as number), 1)})`, sums);
    const divisor = tables.reduce((e, _, i) => (i === 0 ? "x1" : `mul(${e},x${i + 1})`), "");
    return compute(b, `div(x0,${divisor})`, sums, ...tables.map((t) => converted(b, t, v.type.dtype)));
  });
}
