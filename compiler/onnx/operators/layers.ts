// Layers with weights or windows: convolution, pooling, normalisation and matrix products.

import type { Builder } from "../../ir/builder.js";
import { elements, sameShape, type Value } from "../../ir/types.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { padded, reshaped } from "./layout.js";
import { type Build, type Rules, since } from "./rule.js";

interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly before: readonly number[]; // padding of each axis of pixels
  readonly after: readonly number[];
}

/** The attributes that all windows have. `kernel` is absent for a pooling, which must name it. */
function windowOf(at: At, pixels: readonly number[], kernel = at.ints("kernel_shape")): Window {
  if (!kernel) return at.refuse("it does not name its kernel_shape");
  const named = at.ints("kernel_shape") ?? kernel;
  if (!sameShape(named, kernel)) at.refuse(`kernel_shape [${named}] is not that of the weights, [${kernel}]`);
  const n = pixels.length;
  const strides = at.ints("strides") ?? Array<number>(n).fill(1);
  const dilations = at.ints("dilations") ?? [];
  const pads = at.ints("pads");
  const auto = at.text("auto_pad", "NOTSET");
  if (kernel.length !== n || strides.length !== n || (pads && pads.length !== 2 * n))
    at.refuse(`kernel_shape, strides or pads are not for ${n} axes of pixels`);
  if (dilations.some((d) => d !== 1)) at.refuse(`dilations [${dilations}] are not supported`);
  if (auto === "SAME_UPPER" || auto === "SAME_LOWER") {
    const total = pixels.map((d, i) => {
      const [k, s] = [kernel[i] as number, strides[i] as number];
      return Math.max(0, (Math.ceil(d / s) - 1) * s + k - d);
    });
    const [less, more] = [total.map((p) => Math.floor(p / 2)), total.map((p) => Math.ceil(p / 2))];
    const [before, after] = auto === "SAME_UPPER" ? [less, more] : [more, less];
    return { kernel, strides, before, after };
  }
  if (auto !== "NOTSET" && auto !== "" && auto !== "VALID") at.refuse(`auto_pad ${auto} is not known`);
  const given = auto === "VALID" ? undefined : pads;
  if (given?.some((p) => p < 0)) at.refuse(`negative padding [${given}] is not supported`);
  const zeros = Array<number>(n).fill(0);
  return { kernel, strides, before: given?.slice(0, n) ?? zeros, after: given?.slice(n) ?? zeros };
}

/** The one number that an op of the IR takes for both axes. */
function both(at: At, what: string, xs: readonly number[]): number {
  if (xs.some((x) => x !== xs[0])) at.refuse(`${what} [${xs}] differ, which is not supported`);
  return xs[0] as number;
}

/** x as an op with one padding for all sides takes it: padded by `value` beforehand if the sides differ. */
function evenly(b: Builder, x: Value, w: Window, value: () => Value): { x: Value; pad: number } {
  const pads = [...w.before, ...w.after];
  const pad = pads[0] as number;
  if (pads.every((p) => p === pad)) return { x, pad };
  return { x: padded(b, x, [0, 0, ...w.before], [0, 0, ...w.after], value()), pad: 0 };
}

/** The two axes of pixels of x [N, C, H, W]. */
function pixelsOf(at: At): readonly number[] {
  const shape = at.shape(0);
  if (shape.length !== 4) at.refuse(`x has ${shape.length - 2} axes of pixels; only 2 are supported`);
  return shape.slice(2);
}

const MAX_GROUPS = 32; // each becomes a convolution of its own

const conv: Build = (at) => {
  const b = at.builder;
  const w = windowOf(at, pixelsOf(at), at.shape(1).slice(2));
  const groups = at.int("group", 1);
  const stride = both(at, "strides", w.strides);
  const { x, pad } = evenly(b, at.in(0), w, () => op.scalar(b, 0));
  const weights = at.in(1);
  const part = (v: Value, axis: number, i: number): Value => {
    const each = (v.type.shape[axis] as number) / groups;
    return op.slice(b, v, { axis, start: i * each, end: (i + 1) * each });
  };
  if (groups > MAX_GROUPS) at.refuse(`a convolution in ${groups} groups is not supported, only in up to ${MAX_GROUPS}`);
  const parts = Array.from({ length: groups }, (_, i) =>
    groups === 1
      ? op.conv(b, x, weights, { stride, pad })
      : op.conv(b, part(x, 1, i), part(weights, 0, i), { stride, pad }),
  );
  const y = groups === 1 ? (parts[0] as Value) : op.concat(b, parts, { axis: 1 });
  return at.has(2) ? op.add(b, y, op.reshape(b, at.in(2), { shape: [1, -1, 1, 1] })) : y;
};

/** -infinity, f32[], which is no literal of an f32 constant. */
const lowest = (b: Builder): Value => op.div(b, op.scalar(b, -1), op.scalar(b, 0));

/** The window with more padding at the ends if ceil_mode rounds the number of positions up. */
function rounded(at: At, w: Window, pixels: readonly number[]): Window {
  if (at.int("ceil_mode", 0) === 0) return w;
  const after = w.after.map((p, i) => {
    const [k, s, d] = [w.kernel[i] as number, w.strides[i] as number, (pixels[i] as number) + (w.before[i] as number)];
    const last = Math.ceil((d + p - k) / s) * s; // where the last window begins
    return last < d ? Math.max(p, last + k - d) : p; // a window that begins in the padding at the end is left out
  });
  return { ...w, after };
}

const maxPool: Build = (at) => {
  const b = at.builder;
  at.ignore("storage_order"); // of the indices
  if (at.wants(1)) at.refuse("its output of indices is not supported");
  const pixels = pixelsOf(at);
  const w = rounded(at, windowOf(at, pixels), pixels);
  const { x, pad } = evenly(b, at.in(0), w, () => lowest(b));
  return op.max_pool(b, x, {
    kernel: both(at, "kernel_shape", w.kernel),
    stride: both(at, "strides", w.strides),
    pad,
  });
};

/** For each position of a window along an axis: how many of its elements are among `least` to `most`. */
const counts = (w: Window, axis: number, pixels: number, least: number, most: number): number[] => {
  const [k, s] = [w.kernel[axis] as number, w.strides[axis] as number];
  const [before, after] = [w.before[axis] as number, w.after[axis] as number];
  return Array.from({ length: Math.floor((pixels + before + after - k) / s) + 1 }, (_, i) => {
    const begin = i * s - before;
    return Math.min(begin + k, most) - Math.max(begin, least);
  });
};

/** A convolution of each channel for itself with ones, by the numbers of elements in the windows. */
const averagePool: Build = (at) => {
  const b = at.builder;
  const pixels = at.shape(0).slice(2);
  const given = windowOf(at, pixels);
  const unpadded = [...given.before, ...given.after].every((p) => p === 0);
  if (unpadded && sameShape(given.kernel, pixels)) {
    at.ignore("count_include_pad", "ceil_mode"); // there is one window, without padding
    return meanOfPixels(at);
  }
  pixelsOf(at);
  const w = rounded(at, given, pixels);
  const withPadding = at.int("count_include_pad", 0) === 1;
  const { x, pad } = evenly(b, at.in(0), w, () => op.scalar(b, 0));
  const [n, c] = x.type.shape as [number, number];
  const ones = op.constant(b, { values: [1], shape: [1, 1, ...w.kernel] });
  const planes = reshaped(b, x, [n * c, 1, ...x.type.shape.slice(2)]);
  const sums = op.conv(b, planes, ones, { stride: both(at, "strides", w.strides), pad });
  const [rows, columns] = pixels.map((d, i) => {
    const [before, after] = withPadding ? [given.before[i] as number, given.after[i] as number] : [0, 0];
    return counts(w, i, d, -before, d + after);
  }) as [number[], number[]];
  if ([...rows, ...columns].some((m) => m < 1)) at.refuse("a window has no element");
  const factors = rows.flatMap((r) => columns.map((m) => 1 / (r * m)));
  const shape = [1, 1, rows.length, columns.length];
  const table = op.constant(b, { values: new Set(factors).size === 1 ? factors.slice(0, 1) : factors, shape });
  return reshaped(b, op.mul(b, sums, table), [n, c, ...shape.slice(2)]);
};

/** x / (bias + alpha / size * the sum of the squares of `size` neighbouring channels)^beta. */
const localResponse: Build = (at) => {
  const b = at.builder;
  const x = at.in(0);
  const { shape } = x.type;
  const size = at.int("size", 0);
  if (shape.length < 3 || size < 1) at.refuse(`a size of ${size} on [${shape}]`);
  const [n, c] = shape as [number, number];
  const planes = reshaped(b, op.square(b, x), [n, 1, c, elements(shape.slice(2))]);
  const less = Math.floor((size - 1) / 2);
  const wide = padded(b, planes, [0, 0, less, 0], [0, 0, size - 1 - less, 0], op.scalar(b, 0));
  const ones = op.constant(b, { values: [1], shape: [1, 1, size, 1] });
  const sums = reshaped(b, op.conv(b, wide, ones, { stride: 1, pad: 0 }), shape);
  const share = op.scale(b, sums, { factor: at.float("alpha", 1e-4) / size });
  const base = op.add(b, share, op.scalar(b, at.float("bias", 1)));
  return op.mul(b, x, op.exp(b, op.scale(b, op.log(b, base), { factor: -at.float("beta", 0.75) })));
};

/** The mean over all pixels, which keep their axes. */
function meanOfPixels(at: At): Value {
  const x = at.in(0);
  const { shape } = x.type;
  if (shape.length === 4)
    return op.reshape(at.builder, op.global_avg_pool(at.builder, x), { shape: [...shape.slice(0, 2), 1, 1] });
  return op.mean(at.builder, x, { axes: pixelAxes(at), keepdims: true });
}

const pixelAxes = (at: At): number[] => {
  const { length } = at.shape(0);
  if (length < 3) at.refuse(`x has ${length} axes, of which none are pixels`);
  return Array.from({ length: length - 2 }, (_, i) => i + 2);
};

/** gamma (x - mean) / sqrt(variance + eps) + beta with the statistics that are inputs 3 and 4. */
function normalized(at: At): Value {
  const b = at.builder;
  at.ignore("momentum"); // of training
  const odd = at.node.outputs.findIndex((_, i) => i > 0 && at.wants(i));
  if (odd > 0) at.refuse(`it is a normalisation of training: its output ${odd} is used`);
  const [x, gamma, beta, mean, variance] = [at.in(0), at.in(1), at.in(2), at.in(3, "buffer"), at.in(4, "buffer")];
  const eps = at.float("epsilon", 1e-5);
  const { shape } = x.type;
  if (shape.length === 2 || shape.length === 4)
    return op.batch_norm_inference(b, x, gamma, beta, mean, variance, { eps });
  const slope = op.div(b, gamma, op.sqrt(b, op.add(b, variance, op.scalar(b, eps))));
  const perChannel = (t: Value): Value =>
    op.reshape(b, t, { shape: [-1, ...Array<number>(Math.max(0, shape.length - 2)).fill(1)] });
  const centred = op.sub(b, x, perChannel(mean));
  return op.add(b, op.mul(b, centred, perChannel(slope)), perChannel(beta));
}

const inference: Build = (at) => {
  at.ignore("consumed_inputs");
  at.must("is_test", 1, "a normalisation of training is not supported");
  at.must("spatial", 1, "statistics of single pixels are not supported");
  return normalized(at);
};

const gemm: Build = (at) => {
  const b = at.builder;
  const [ta, tb] = [at.int("transA", 0) !== 0, at.int("transB", 0) !== 0];
  const [alpha, beta] = [at.float("alpha", 1), at.float("beta", 1)];
  const scaled = (x: Value, factor: number): Value => (factor === 1 ? x : op.scale(b, x, { factor }));
  const y = scaled(op.matmul(b, at.in(0), at.in(1), { ...(ta && { ta }), ...(tb && { tb }) }), alpha);
  const broadcast = at.int("broadcast", 0) === 1 || at.version >= 7;
  if (!at.has(2)) return y;
  if (!broadcast && !sameShape(at.shape(2), y.type.shape))
    at.refuse(`C is [${at.shape(2)}], not [${y.type.shape}], and broadcast is 0`);
  const sum = op.add(b, y, scaled(at.in(2), beta));
  return sameShape(sum.type.shape, y.type.shape) ? sum : at.refuse(`C [${at.shape(2)}] does not fit [${y.type.shape}]`);
};

/** The product of matrices, of which b is one and a may be several. */
const matmul: Build = (at) => {
  const b = at.builder;
  const [x, y] = [at.in(0), at.in(1)];
  const [xs, ys] = [x.type.shape, y.type.shape];
  if (xs.length === 0 || ys.length === 0) return at.refuse("an operand is a number");
  const many = elements(ys.slice(0, -2));
  if (many !== 1) at.refuse(`a product of several matrices [${xs}] with several [${ys}] is not supported`);
  const k = ys.length === 1 ? (ys[0] as number) : (ys.at(-2) as number);
  const n = ys.length === 1 ? 1 : (ys.at(-1) as number);
  if (xs.at(-1) !== k) at.refuse(`the inner extents of [${xs}] and [${ys}] differ`);
  const outer = [...Array<number>(Math.max(0, ys.length - xs.length)).fill(1), ...xs.slice(0, -1)];
  const shape = xs.length === 1 ? [...ys.slice(0, -2), n] : [...outer, n];
  const z = op.matmul(b, reshaped(b, x, [elements(xs) / k, k]), reshaped(b, y, [k, n]));
  return reshaped(b, z, ys.length === 1 ? shape.slice(0, -1) : shape);
};

export const layers: Rules = {
  Conv: since(1, conv),
  MaxPool: since(1, maxPool),
  AveragePool: since(1, averagePool),
  LRN: since(1, localResponse),
  GlobalAveragePool: since(1, meanOfPixels),
  GlobalMaxPool: since(1, (at) => op.max(at.builder, at.in(0), { axes: pixelAxes(at), keepdims: true })),
  BatchNormalization: [
    since(1, (at) => {
      if (at.int("is_test", 0) === 0) at.refuse("a normalisation of training (is_test is 0) is not supported");
      return inference(at);
    }),
    since(7, inference),
    since(14, (at) => {
      at.must("training_mode", 0, "a normalisation of training is not supported");
      return normalized(at);
    }),
  ],
  Gemm: since(1, gemm),
  MatMul: since(1, matmul),
};
