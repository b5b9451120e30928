// Convolutions of any window, in any element type. f32 images in the usual forms go through the fast op; everything
// else through the general ones.

import type { Builder } from "../../ir/builder.js";
import type { Value } from "../../ir/types.js";
import * as op from "../index.js";
import { compute } from "./compute.js";
import { padded, reshaped, transposed } from "./layout.js";
import { attrsOf, evenly, type Window } from "./window.js";

type Shape = readonly number[];

const MAX_PARTS = 32; // groups that become a fast convolution each

/** x [N, C, ...] convolved with w [M, C / groups, ...], of one element type. */
export function convolution(b: Builder, x: Value, w: Value, window: Window, groups: number): Value {
  if (window.out.length === 1 && x.type.dtype === "f32") {
    const y = convolution(b, flat(b, x), flat(b, w), column(window), groups);
    return reshaped(b, y, y.type.shape.slice(0, 3));
  }
  const [m, each] = w.type.shape as [number, number];
  if (each * groups !== x.type.shape[1] || m % groups !== 0)
    throw new Error(`weights [${w.type.shape}] do not fit [${x.type.shape}] in ${groups} groups`);
  const parts = groups === 1 || (each > 1 && groups <= MAX_PARTS); // a part of one channel is no faster than conv_nd
  if (parts && x.type.dtype === "f32" && isPadded(window)) {
    if (window.out.length === 3 && groups === 1) return ofVolumes(b, x, w, window);
    if (window.out.length === 2 && skips(window)) return subsampled(b, x, w, window, groups);
    if (window.out.length === 2 && window.dilations.some((d) => d > 1)) return dilated(b, x, w, window, groups);
  }
  const even = parts ? evenly(b, x, window, () => op.scalar(b, 0)) : undefined;
  if (!even) return op.conv_nd(b, x, w, attrsOf(window, groups));
  const { stride, pad } = even;
  if (groups === 1) return op.conv(b, even.x, w, { stride, pad });
  const part = (v: Value, axis: number, i: number): Value => {
    const size = (v.type.shape[axis] as number) / groups;
    return op.slice(b, v, { axis, start: i * size, end: (i + 1) * size });
  };
  const results = Array.from({ length: groups }, (_, i) =>
    op.conv(b, part(even.x, 1, i), part(w, 0, i), { stride, pad }),
  );
  return op.concat(b, results, { axis: 1 });
}

const isPadded = (w: Window): boolean => [...w.before, ...w.after].every((p) => p >= 0);

/** Whether the fast op has no such strides, or none with these dilations. */
function skips({ strides, dilations, out }: Window): boolean {
  const [first, second] = strides as [number, number];
  const one = out.every((d, i) => d === 1 || strides[i] === 1);
  return !one && (first !== second || dilations.some((d) => d > 1));
}

/** A convolution with strides that the fast op does not have: at every position, of which some are kept. */
function subsampled(b: Builder, x: Value, w: Value, window: Window, groups: number): Value {
  const steps = window.strides.map((s, i) => (window.out[i] === 1 ? 1 : s)) as [number, number];
  const [p, q] = window.out as [number, number];
  const every = { ...window, strides: [1, 1], out: [p * steps[0], q * steps[1]] };
  const y = convolution(b, x, w, every, groups);
  return everyNth(b, everyNth(b, y, 2, steps[0]), 3, steps[1]);
}

/** The positions 0, n, 2n, ... of an axis, whose extent is a multiple of n. */
function everyNth(b: Builder, x: Value, axis: number, n: number): Value {
  const { shape } = x.type;
  const extent = (shape[axis] as number) / n;
  if (n === 1) return x;
  const split = reshaped(b, x, [...shape.slice(0, axis), extent, n, ...shape.slice(axis + 1)]);
  return reshaped(b, op.slice(b, split, { axis: axis + 1, start: 0, end: 1 }), shape.with(axis, extent));
}

/** A convolution of volumes by one of images, whose channels are those of all planes under the kernel. */
function ofVolumes(b: Builder, x: Value, w: Value, { kernel, strides, dilations, before, after, out }: Window): Value {
  const [n, c, depth] = x.type.shape as [number, number, number];
  const [m, [k, ...flat]] = [w.type.shape[0] as number, kernel as [number, number, number]];
  const [s, d, planes] = [strides[0], dilations[0], out[0]] as [number, number, number];
  const reach = planes * s + (k - 1) * d; // the planes that are read, rounded up to whole strides
  const more = Math.max(0, reach - depth - (before[0] as number));
  const wide = padded(b, x, [0, 0, before[0] as number, 0, 0], [0, 0, more, 0, 0], op.scalar(b, 0));
  const taps = Array.from({ length: k }, (_, i) =>
    everyNth(b, op.slice(b, wide, { axis: 2, start: i * d, end: i * d + planes * s }), 2, s),
  );
  const images = transposed(b, op.concat(b, taps, { axis: 1 }), [0, 2, 1, 3, 4]);
  const weights = reshaped(b, transposed(b, w, [0, 2, 1, 3, 4]), [m, k * c, ...flat]);
  const rest = (xs: Shape): Shape => xs.slice(1);
  const window = {
    ...{ kernel: flat, strides: rest(strides), dilations: rest(dilations) },
    ...{ before: rest(before), after: rest(after), out: rest(out) },
  };
  const y = convolution(b, reshaped(b, images, [n * planes, k * c, ...x.type.shape.slice(3)]), weights, window, 1);
  return transposed(b, reshaped(b, y, [n, planes, m, ...window.out]), [0, 2, 1, 3, 4]);
}

/**
 * A dilated convolution of f32 images by the fast op: the pixels that lie `dilation` apart are an image of their own,
 * of which the kernel covers neighbours.
 */
function dilated(b: Builder, x: Value, w: Value, { kernel, dilations, before, out }: Window, groups: number): Value {
  const [n, c, ...pixels] = x.type.shape as [number, number, number, number];
  const [dh, dw] = dilations as [number, number];
  const small = out.map((d, i) => Math.ceil(d / (dilations[i] as number)));
  const [hh, ww] = small.map((d, i) => d + (kernel[i] as number) - 1) as [number, number];
  const more = [hh * dh, ww * dw].map((d, i) => d - (pixels[i] as number) - (before[i] as number));
  const wide = padded(b, x, [0, 0, ...before], [0, 0, ...more], op.scalar(b, 0));
  const phases = transposed(b, reshaped(b, wide, [n, c, hh, dh, ww, dw]), [0, 3, 5, 1, 2, 4]);
  const ones = [1, 1];
  const plain = { kernel, strides: ones, dilations: ones, before: [0, 0], after: [0, 0], out: small };
  const y = convolution(b, reshaped(b, phases, [n * dh * dw, c, hh, ww]), w, plain, groups);
  const [m, [p, q]] = [w.type.shape[0] as number, small as [number, number]];
  const joined = transposed(b, reshaped(b, y, [n, dh, dw, m, p, q]), [0, 3, 4, 1, 5, 2]);
  return out.reduce<Value>(
    (v, end, i) => (v.type.shape[i + 2] === end ? v : op.slice(b, v, { axis: i + 2, start: 0, end })),
    reshaped(b, joined, [n, m, p * dh, q * dw]),
  );
}

/** A line of pixels as an image of one column. */
const flat = (b: Builder, x: Value): Value => reshaped(b, x, [...x.type.shape, 1]);
const column = (w: Window): Window => ({
  kernel: [...w.kernel, 1],
  strides: [...w.strides, ...w.strides], // there is one position, so that its stride may be that of the line
  dilations: [...w.dilations, 1],
  before: [...w.before, 0],
  after: [...w.after, 0],
  out: [...w.out, 1],
});

/** y [N, M, ...] plus a bias [M]. */
export function biased(b: Builder, y: Value, bias: Value): Value {
  const ones = Array<number>(y.type.shape.length - 2).fill(1);
  return compute(b, "add(x0,x1)", y, reshaped(b, bias, [...bias.type.shape, ...ones]));
}

/** The transposed convolution by the gradient of the fast convolution, if that has the same window. */
export function transposedConvolution(
  b: Builder,
  x: Value,
  w: Value,
  window: Window,
  groups: number,
  out: Shape,
): Value {
  const [stride, pad] = [window.strides[0], window.before[0]] as [number, number];
  const fast =
    x.type.dtype === "f32" &&
    out.length === 2 &&
    groups === 1 &&
    pad >= 0 &&
    out.every((d, i) => {
      const steps = Math.floor((d + 2 * pad - (window.kernel[i] as number)) / stride) + 1;
      const same = window.strides[i] === stride && window.before[i] === pad && window.dilations[i] === 1;
      return same && steps === x.type.shape[i + 2];
    });
  if (!fast) return op.conv_nd_dgrad(b, x, w, { ...attrsOf(window, groups), out });
  return op.conv_dgrad(b, x, w, { stride, pad, h: out[0] as number, w: out[1] as number });
}
