// The geometry of operators with windows: kernel, strides, dilations and padding as attributes of a node, and how many
// positions a window has.

import { type DType, sameShape, type Value } from "../../ir/types.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
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

/** The spatial axes of x [N, C, ...]. */
export function pixelsOf(at: At, i = 0): Shape {
  const shape = at.shape(i);
  if (shape.length < 3) at.refuse(`x has ${shape.length} axes, of which none are pixels`);
  return shape.slice(2);
}

/** The extent of a window from its first to its last element. */
const reach = (k: number, dilation: number): number => (k - 1) * dilation + 1;

/** The attributes of a window before the padding is known. */
export function kernelOf(at: At, n: number, kernel = at.ints("kernel_shape")) {
  if (!kernel) return at.refuse("it does not name its kernel_shape");
  const named = at.ints("kernel_shape") ?? kernel;
  if (!sameShape(named, kernel)) at.refuse(`kernel_shape [${named}] is not that of the weights, [${kernel}]`);
  const strides = at.ints("strides") ?? Array<number>(n).fill(1);
  const dilations = at.ints("dilations") ?? Array<number>(n).fill(1);
  const pads = at.ints("pads");
  const auto = at.text("auto_pad", "NOTSET") || "NOTSET";
  if (kernel.length !== n || strides.length !== n || dilations.length !== n || (pads && pads.length !== 2 * n))
    at.refuse(`kernel_shape, strides, dilations or pads are not for ${n} axes of pixels`);
  if ([...kernel, ...strides, ...dilations].some((d) => d < 1))
    at.refuse(`kernel_shape [${kernel}], strides [${strides}] or dilations [${dilations}] are not positive`);
  if (!["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"].includes(auto)) at.refuse(`auto_pad ${auto} is not known`);
  return { kernel, strides, dilations, pads: auto === "NOTSET" ? pads : undefined, auto };
}

/** `total` divided between both ends of each axis; of an odd number, SAME_UPPER puts more at the end. */
export function shared(auto: string, total: Shape): { before: number[]; after: number[] } {
  const [less, more] = [total.map((p) => Math.floor(p / 2)), total.map((p) => Math.ceil(p / 2))];
  return auto === "SAME_UPPER" ? { before: less, after: more } : { before: more, after: less };
}

/** The window that a node describes on `pixels`. `kernel` is absent for a pooling, which must name it. */
export function windowOf(at: At, pixels: Shape, kernel?: Shape): Window {
  const { pads, auto, ...w } = kernelOf(at, pixels.length, kernel);
  const up = at.int("ceil_mode", 0) === 1;
  const size = pixels.map((_, i) => reach(w.kernel[i] as number, w.dilations[i] as number));
  const zeros = pixels.map(() => 0);
  const same = pixels.map((d, i) => {
    const s = w.strides[i] as number;
    return Math.max(0, (Math.ceil(d / s) - 1) * s + (size[i] as number) - d);
  });
  const given = pads && { before: pads.slice(0, pixels.length), after: pads.slice(pixels.length) };
  const { before, after } = auto.startsWith("SAME") ? shared(auto, same) : (given ?? { before: zeros, after: zeros });
  const out = pixels.map((d, i) => {
    const [s, first] = [w.strides[i] as number, d + (before[i] as number)];
    const steps = (first + (after[i] as number) - (size[i] as number)) / s;
    const n = (up ? Math.ceil(steps) : Math.floor(steps)) + 1;
    return up && (n - 1) * s >= first ? n - 1 : n; // a window that begins in the padding at the end is left out
  });
  if (out.some((n) => n < 1)) at.refuse(`a window of [${size}] does not fit [${pixels}] elements and their padding`);
  return { ...w, before, after, out };
}

/** The attributes of conv_nd and its kin. */
export const attrsOf = (w: Window, groups: number) => ({
  strides: w.strides,
  dilations: w.dilations,
  pads: w.before,
  groups,
  out: w.out,
});

const allEqual = (xs: Shape): boolean => xs.every((x) => x === xs[0]);

/**
 * The window as the fast ops of f32 images take it, whose stride and padding are one number; undefined if it is another
 * one. x is padded by `value` beforehand if the sides differ.
 */
export function evenly(
  at: At,
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
  const wide = padded(at.builder, x, [0, 0, ...w.before], [0, 0, ...more], value());
  const exact = w.out.every(
    (n, i) => Math.floor(((wide.type.shape[i + 2] as number) - (w.kernel[i] as number)) / stride) + 1 === n,
  );
  return exact ? { x: wide, stride, pad: 0 } : undefined;
}

/** The sum of each window in each channel of x [N, C, ...]. */
export function windowSums(at: At, x: Value, w: Window): Value {
  const b = at.builder;
  const [n, c] = x.type.shape as [number, number];
  const planes = reshaped(b, x, [n * c, 1, ...x.type.shape.slice(2)]);
  const ones = (dtype: DType): Value =>
    dtype === "f32"
      ? op.constant(b, { values: [1], shape: [1, 1, ...w.kernel] })
      : filled(b, dtype, [1, 1, ...w.kernel], 1);
  const sums = wider(b, planes, (v) => {
    const even = evenly(at, v, w, () => op.scalar(b, 0));
    if (even) return op.conv(b, even.x, ones("f32"), { stride: even.stride, pad: even.pad });
    return op.conv_nd(b, v, ones(v.type.dtype), attrsOf(w, 1));
  });
  return reshaped(b, sums, [n, c, ...w.out]);
}

/** For each position along an axis: how many elements of the window lie at `least` <= position < `most`. */
function counts(w: Window, axis: number, least: number, most: number): number[] {
  const [k, s, d] = [w.kernel[axis], w.strides[axis], w.dilations[axis]] as [number, number, number];
  return Array.from({ length: w.out[axis] as number }, (_, i) => {
    const begin = i * s - (w.before[axis] as number);
    const [first, end] = [Math.max(0, Math.ceil((least - begin) / d)), Math.min(k, Math.ceil((most - begin) / d))];
    return Math.max(0, end - first);
  });
}

/**
 * The sums of windows divided by the numbers of their elements on `pixels`, where those of the padding count if
 * `withPadding`. Throws Refused if a window has none.
 */
export function windowMeans(at: At, x: Value, w: Window, withPadding: boolean): Value {
  const b = at.builder;
  const pixels = x.type.shape.slice(2);
  const numbers = pixels.map((d, i) => {
    const [before, after] = withPadding ? [w.before[i] as number, w.after[i] as number] : [0, 0];
    return counts(w, i, -before, d + after);
  });
  if (numbers.flat().some((m) => m < 1)) at.refuse("a window has no element");
  const tables = numbers.map((list, i) =>
    op.constant(b, {
      values: allEqual(list) ? list.slice(0, 1) : list,
      shape: pixels.map((_, axis) => (axis === i ? list.length : 1)),
    }),
  );
  return wider(b, x, (v) => {
    const sums = windowSums(at, v, w);
    if (numbers.every(allEqual))
      return compute(b, `mul(x0,${1 / numbers.reduce((m, list) => m * (list[0] as number), 1)})`, sums);
    const divisor = tables.reduce((e, _, i) => (i === 0 ? "x1" : `mul(${e},x${i + 1})`), "");
    return compute(b, `div(x0,${divisor})`, sums, ...tables.map((t) => converted(b, t, v.type.dtype)));
  });
}
