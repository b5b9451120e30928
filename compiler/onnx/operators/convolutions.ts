// Convolutions. f32 images in the usual forms go through the fast op; everything else through the general ones.

import { elements, type Value } from "../../ir/types.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { compute, converted, filled } from "./compute.js";
import { padded, reshaped, transposed } from "./layout.js";
import { wider } from "./reduce.js";
import { type Build, type Rules, since } from "./rule.js";
import { attrsOf, evenly, kernelOf, pixelsOf, shared, type Window, windowOf } from "./window.js";

type Shape = readonly number[];

const MAX_PARTS = 32; // groups that become a fast convolution each

/** x [N, C, ...] convolved with w [M, C / groups, ...], of one element type. */
export function convolution(at: At, x: Value, w: Value, window: Window, groups: number): Value {
  const b = at.builder;
  if (window.out.length === 1 && x.type.dtype === "f32") {
    const y = convolution(at, flat(at, x), flat(at, w), column(window), groups);
    return reshaped(b, y, y.type.shape.slice(0, 3));
  }
  const [m, each] = w.type.shape as [number, number];
  if (each * groups !== x.type.shape[1] || m % groups !== 0)
    at.refuse(`weights [${w.type.shape}] do not fit [${x.type.shape}] in ${groups} groups`);
  const parts = groups === 1 || (each > 1 && groups <= MAX_PARTS); // a part of one channel is no faster than conv_nd
  if (parts && x.type.dtype === "f32" && isPadded(window)) {
    if (window.out.length === 3 && groups === 1) return ofVolumes(at, x, w, window);
    if (window.out.length === 2 && skips(window)) return subsampled(at, x, w, window, groups);
    if (window.out.length === 2 && window.dilations.some((d) => d > 1)) return dilated(at, x, w, window, groups);
  }
  const even = parts ? evenly(at, x, window, () => op.scalar(b, 0)) : undefined;
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
function subsampled(at: At, x: Value, w: Value, window: Window, groups: number): Value {
  const steps = window.strides.map((s, i) => (window.out[i] === 1 ? 1 : s)) as [number, number];
  const [p, q] = window.out as [number, number];
  const every = { ...window, strides: [1, 1], out: [p * steps[0], q * steps[1]] };
  const y = convolution(at, x, w, every, groups);
  return everyNth(at, everyNth(at, y, 2, steps[0]), 3, steps[1]);
}

/** The positions 0, n, 2n, ... of an axis, whose extent is a multiple of n. */
function everyNth(at: At, x: Value, axis: number, n: number): Value {
  const b = at.builder;
  const { shape } = x.type;
  const extent = (shape[axis] as number) / n;
  if (n === 1) return x;
  const split = reshaped(b, x, [...shape.slice(0, axis), extent, n, ...shape.slice(axis + 1)]);
  return reshaped(b, op.slice(b, split, { axis: axis + 1, start: 0, end: 1 }), shape.with(axis, extent));
}

/** A convolution of volumes by one of images, whose channels are those of all planes under the kernel. */
function ofVolumes(at: At, x: Value, w: Value, { kernel, strides, dilations, before, after, out }: Window): Value {
  const b = at.builder;
  const [n, c, depth] = x.type.shape as [number, number, number];
  const [m, [k, ...flat]] = [w.type.shape[0] as number, kernel as [number, number, number]];
  const [s, d, planes] = [strides[0], dilations[0], out[0]] as [number, number, number];
  const reach = planes * s + (k - 1) * d; // the planes that are read, rounded up to whole strides
  const more = Math.max(0, reach - depth - (before[0] as number));
  const wide = padded(b, x, [0, 0, before[0] as number, 0, 0], [0, 0, more, 0, 0], op.scalar(b, 0));
  const taps = Array.from({ length: k }, (_, i) =>
    everyNth(at, op.slice(b, wide, { axis: 2, start: i * d, end: i * d + planes * s }), 2, s),
  );
  const images = transposed(b, op.concat(b, taps, { axis: 1 }), [0, 2, 1, 3, 4]);
  const weights = reshaped(b, transposed(b, w, [0, 2, 1, 3, 4]), [m, k * c, ...flat]);
  const rest = (xs: Shape): Shape => xs.slice(1);
  const window = {
    ...{ kernel: flat, strides: rest(strides), dilations: rest(dilations) },
    ...{ before: rest(before), after: rest(after), out: rest(out) },
  };
  const y = convolution(at, reshaped(b, images, [n * planes, k * c, ...x.type.shape.slice(3)]), weights, window, 1);
  return transposed(b, reshaped(b, y, [n, planes, m, ...window.out]), [0, 2, 1, 3, 4]);
}

/**
 * A dilated convolution of f32 images by the fast op: the pixels that lie `dilation` apart are an image of their own,
 * of which the kernel covers neighbours.
 */
function dilated(at: At, x: Value, w: Value, { kernel, dilations, before, out }: Window, groups: number): Value {
  const b = at.builder;
  const [n, c, ...pixels] = x.type.shape as [number, number, number, number];
  const [dh, dw] = dilations as [number, number];
  const small = out.map((d, i) => Math.ceil(d / (dilations[i] as number)));
  const [hh, ww] = small.map((d, i) => d + (kernel[i] as number) - 1) as [number, number];
  const more = [hh * dh, ww * dw].map((d, i) => d - (pixels[i] as number) - (before[i] as number));
  const wide = padded(b, x, [0, 0, ...before], [0, 0, ...more], op.scalar(b, 0));
  const phases = transposed(b, reshaped(b, wide, [n, c, hh, dh, ww, dw]), [0, 3, 5, 1, 2, 4]);
  const ones = [1, 1];
  const plain = { kernel, strides: ones, dilations: ones, before: [0, 0], after: [0, 0], out: small };
  const y = convolution(at, reshaped(b, phases, [n * dh * dw, c, hh, ww]), w, plain, groups);
  const [m, [p, q]] = [w.type.shape[0] as number, small as [number, number]];
  const joined = transposed(b, reshaped(b, y, [n, dh, dw, m, p, q]), [0, 3, 4, 1, 5, 2]);
  return out.reduce<Value>(
    (v, end, i) => (v.type.shape[i + 2] === end ? v : op.slice(b, v, { axis: i + 2, start: 0, end })),
    reshaped(b, joined, [n, m, p * dh, q * dw]),
  );
}

/** A line of pixels as an image of one column. */
const flat = (at: At, x: Value): Value => reshaped(at.builder, x, [...x.type.shape, 1]);
const column = (w: Window): Window => ({
  kernel: [...w.kernel, 1],
  strides: [...w.strides, ...w.strides], // there is one position, so that its stride may be that of the line
  dilations: [...w.dilations, 1],
  before: [...w.before, 0],
  after: [...w.after, 0],
  out: [...w.out, 1],
});

/** y [N, M, ...] plus a bias [M]. */
export function biased(at: At, y: Value, bias: Value): Value {
  const ones = Array<number>(y.type.shape.length - 2).fill(1);
  return compute(at.builder, "add(x0,x1)", y, reshaped(at.builder, bias, [...bias.type.shape, ...ones]));
}

const conv: Build = (at) => {
  const b = at.builder;
  const window = windowOf(at, pixelsOf(at), at.shape(1).slice(2));
  const groups = at.int("group", 1);
  const [x, w] = [at.in(0), at.in(1)];
  if (!at.has(2)) return convolution(at, x, w, window, groups);
  const { dtype } = x.type;
  const wide = (v: Value): Value => (dtype === "f16" || dtype === "bf16" ? converted(b, v, "f32") : v);
  const bias = at.in(2);
  return wider(b, x, (v) => biased(at, convolution(at, v, wide(w), window, groups), wide(bias)));
};

/** The padding before each axis and the extents of the result of a transposed convolution. */
function transposedExtents(at: At, pixels: Shape, kernel: Shape): { window: Window; out: Shape } {
  const n = pixels.length;
  const { pads, auto, ...w } = kernelOf(at, n, kernel);
  const more = at.ints("output_padding") ?? pixels.map(() => 0);
  const asked = at.ints("output_shape");
  if (more.length !== n || (asked && asked.length !== n && asked.length !== n + 2))
    at.refuse(`output_padding [${more}] or output_shape [${asked}] are not for ${n} axes of pixels`);
  const full = pixels.map((d, i) => {
    const [k, s, dilation] = [w.kernel[i], w.strides[i], w.dilations[i]] as [number, number, number];
    return s * (d - 1) + (more[i] as number) + (k - 1) * dilation + 1;
  });
  const same = auto.startsWith("SAME") ? pixels.map((d, i) => d * (w.strides[i] as number)) : undefined;
  const wanted = asked?.slice(-n) ?? same;
  const total = wanted?.map((d, i) => Math.max(0, (full[i] as number) - d));
  const zeros = pixels.map(() => 0);
  const given = { before: pads?.slice(0, n) ?? zeros, after: pads?.slice(n) ?? zeros };
  const { before, after } = total ? shared(auto, total) : given;
  const out = wanted ?? full.map((d, i) => d - (before[i] as number) - (after[i] as number));
  if (out.some((d) => d < 1)) at.refuse(`its result would have extents [${out}]`);
  return { window: { ...w, before, after, out: pixels }, out };
}

const convTranspose: Build = (at) => {
  const b = at.builder;
  const { window, out } = transposedExtents(at, pixelsOf(at), at.shape(1).slice(2));
  const groups = at.int("group", 1);
  const [x, w] = [at.in(0), at.in(1)];
  if (w.type.shape[0] !== x.type.shape[1] || (x.type.shape[1] as number) % groups !== 0)
    at.refuse(`weights [${w.type.shape}] do not fit [${x.type.shape}] in ${groups} groups`);
  const bias = at.has(2) ? at.in(2) : undefined;
  const { dtype } = x.type;
  const wide = (v: Value): Value => (dtype === "f16" || dtype === "bf16" ? converted(b, v, "f32") : v);
  return wider(b, x, (v) => {
    const y = transposedConvolution(at, v, wide(w), window, groups, out);
    return bias ? biased(at, y, wide(bias)) : y;
  });
};

/** The transposed convolution by the gradient of the fast convolution, if that has the same window. */
function transposedConvolution(at: At, x: Value, w: Value, window: Window, groups: number, out: Shape): Value {
  const b = at.builder;
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

/** Columns [N, C * block, L] added to the pixels of images that the blocks were cut from. */
const col2im: Build = (at) => {
  const b = at.builder;
  const [image, block] = [at.integers(1), at.integers(2)];
  const n = image.length;
  const strides = at.ints("strides") ?? image.map(() => 1);
  const dilations = at.ints("dilations") ?? image.map(() => 1);
  const pads = at.ints("pads") ?? [...image, ...image].map(() => 0);
  const x = at.in(0);
  const [images, rows, columns] = x.type.shape as [number, number, number];
  if (block.length !== n || strides.length !== n || dilations.length !== n || pads.length !== 2 * n)
    at.refuse(`block_shape [${block}], strides, dilations or pads are not for ${n} axes of pixels`);
  const out = image.map((d, i) => {
    const free =
      d + (pads[i] as number) + (pads[n + i] as number) - (dilations[i] as number) * ((block[i] as number) - 1);
    return Math.floor((free - 1) / (strides[i] as number)) + 1;
  });
  const [taps, positions, pixels] = [elements(block), elements(out), elements(image)];
  if (x.type.shape.length !== 3 || rows % taps !== 0 || columns !== positions)
    at.refuse(`[${x.type.shape}] are no blocks of [${block}] at [${out}] positions`);
  const along = image.map((_, i) => `sub(add(mul(i${n + i},${strides[i]}),mul(i${i},${dilations[i]})),${pads[i]})`);
  const inside = along
    .map((p, i) => `and(greater_equal(${p},0),less(${p},${image[i]}))`)
    .reduce((e, c) => `and(${e},${c})`);
  const plane = along.reduce((e, p, i) => (i === 0 ? p : `add(mul(${e},${image[i]}),${p})`), "");
  const index = op.map(b, [], { expr: `where(${inside},${plane},${pixels})`, shape: [...block, ...out] });
  const c = rows / taps;
  const sums = op.scatter_rows(
    b,
    filled(b, x.type.dtype, [images, c, pixels], 0),
    reshaped(b, index, [taps * positions]),
    reshaped(b, x, [images, c, taps * positions]),
    { axis: 2, of: "add" },
  );
  return reshaped(b, sums, [images, c, ...image]);
};

export const convolutions: Rules = {
  Conv: since(1, conv),
  ConvTranspose: since(1, convTranspose),
  Col2Im: since(18, col2im),
};
