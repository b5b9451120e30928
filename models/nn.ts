// Layers, with PyTorch's names of parameters (conv1.weight, bn1.running_mean, fc1.bias) and, unless a layer says
// otherwise, its initial values.

import type { Builder } from "../compiler/ir/builder.js";
import { elements, type Init, type Value } from "../compiler/ir/types.js";
import { gelu as geluOf } from "../compiler/ops/composed/activation.js";
import { compute } from "../compiler/ops/composed/compute.js";
import { biased, convolution, transposedConvolution } from "../compiler/ops/composed/convolution.js";
import { reshaped } from "../compiler/ops/composed/layout.js";
import { byDeviation, grouped, moments } from "../compiler/ops/composed/normalize.js";
import { softmaxAlong } from "../compiler/ops/composed/reduce.js";
import { type Window, windowMeans } from "../compiler/ops/composed/window.js";
import * as op from "../compiler/ops/index.js";
import { batchMomentum, constant, f32, type Net } from "./net.js";

export { imagenet } from "./archs.js";
export { dropout } from "./dropout.js";
export { finish, Net, type NetOptions } from "./net.js";

export interface Conv2dOptions {
  readonly out: number;
  readonly kernel: number;
  readonly stride?: number; // 1
  readonly pad?: number; // 0
  readonly dilation?: number; // 1
  readonly groups?: number; // 1, of channels: each is convolved by itself
  readonly bias?: boolean; // false
}

/** U(+-1 / sqrt(fanIn)), PyTorch's initial values of weights and biases. */
const uniform = (fanIn: number): Init => ({ kind: "uniform", bound: 1 / Math.sqrt(fanIn) });

const windowOf = (x: Value, o: Required<Pick<Conv2dOptions, "kernel" | "stride" | "pad" | "dilation">>): Window => {
  const two = (n: number): number[] => [n, n];
  const out = x.type.shape
    .slice(2)
    .map((d) => Math.floor((d + 2 * o.pad - o.dilation * (o.kernel - 1) - 1) / o.stride) + 1);
  if (out.some((d) => d < 1))
    throw new Error(`a window of ${o.kernel} does not fit [${x.type.shape.slice(2)}] pixels padded by ${o.pad}`);
  const sides = { before: two(o.pad), after: two(o.pad) };
  return { kernel: two(o.kernel), strides: two(o.stride), dilations: two(o.dilation), ...sides, out };
};

/** Throws unless `groups` divides both numbers of channels. */
function checkChannels(b: Builder, channels: number, out: number, groups: number): void {
  if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0 || out % groups !== 0)
    throw new Error(`convolution in ${b.scope}: ${channels} and ${out} channels are no ${groups} equal groups`);
}

/**
 * Convolution of x [N, C, H, W]. weight [out, C / groups, k, k] is initialised from N(0, sqrt(2 / (k k out))); with a
 * bias [out], both are U(+-1 / sqrt(k k C / groups)), as in PyTorch's layer. Throws if the groups do not divide the
 * channels or the window does not fit.
 */
export function conv2d(net: Net, x: Value, options: Conv2dOptions): Value {
  const { out, kernel, stride = 1, pad = 0, dilation = 1, groups = 1, bias = false } = options;
  const { b } = net;
  const channels = x.type.shape[1] as number;
  checkChannels(b, channels, out, groups);
  const fanIn = (kernel * kernel * channels) / groups;
  const normal: Init = { kind: "normal", std: Math.sqrt(2 / (kernel * kernel * out)) };
  const shape = [out, channels / groups, kernel, kernel];
  const weight = net.param("weight", shape, bias ? uniform(fanIn) : normal);
  const y =
    dilation === 1 && groups === 1
      ? op.conv(b, x, weight, { stride, pad })
      : convolution(b, x, weight, windowOf(x, { kernel, stride, pad, dilation }), groups);
  return bias ? biased(b, y, net.param("bias", [out], uniform(fanIn))) : y;
}

export interface ConvTranspose2dOptions extends Conv2dOptions {
  readonly outputPad?: number; // 0, pixels that the result has more at its ends
}

/**
 * Transposed convolution of x [N, C, H, W] -> [N, out, H', W'], H' = (H - 1) stride - 2 pad + dilation (k - 1) + 1 +
 * outputPad. weight [C, out / groups, k, k] and bias [out] are U(+-1 / sqrt(k k out / groups)). Throws if the groups do
 * not divide the channels or nothing is left of the result.
 */
export function conv_transpose2d(net: Net, x: Value, options: ConvTranspose2dOptions): Value {
  const { out, kernel, stride = 1, pad = 0, dilation = 1, groups = 1, bias = false, outputPad = 0 } = options;
  const { b } = net;
  const channels = x.type.shape[1] as number;
  checkChannels(b, channels, out, groups);
  const pixels = x.type.shape.slice(2);
  const extents = pixels.map((d) => (d - 1) * stride - 2 * pad + dilation * (kernel - 1) + 1 + outputPad);
  if (extents.some((d) => d < 1)) throw new Error(`conv_transpose2d in ${b.scope}: [${extents}] pixels would be left`);
  const fanIn = (kernel * kernel * out) / groups;
  const weight = net.param("weight", [channels, out / groups, kernel, kernel], uniform(fanIn));
  const two = (n: number): number[] => [n, n];
  const sides = { before: two(pad), after: two(pad) };
  const window = { kernel: two(kernel), strides: two(stride), dilations: two(dilation), ...sides, out: pixels };
  const y = transposedConvolution(b, x, weight, window, groups, extents);
  return bias ? biased(b, y, net.param("bias", [out], uniform(fanIn))) : y;
}

export interface AvgPoolOptions {
  readonly kernel: number;
  readonly stride?: number; // kernel
  readonly pad?: number; // 0
  readonly countPadding?: boolean; // true: zeros of the padding are elements of the mean
}

/** The mean of each window on x [N, C, H, W]. Throws if the window does not fit, or would have no element. */
export const avg_pool = (
  b: Builder,
  x: Value,
  { kernel, stride = kernel, pad = 0, countPadding = true }: AvgPoolOptions,
): Value => windowMeans(b, x, windowOf(x, { kernel, stride, pad, dilation: 1 }), countPadding);

/** x [..., C] as a matrix of rows, and what gives a matrix of as many rows the axes of x again. */
function rowsOf(b: Builder, x: Value): { rows: Value; back: (y: Value) => Value } {
  const { shape } = x.type;
  if (shape.length === 2) return { rows: x, back: (y) => y };
  const columns = shape.at(-1) as number;
  return {
    rows: reshaped(b, x, [elements(shape) / columns, columns]),
    back: (y) => reshaped(b, y, [...shape.slice(0, -1), y.type.shape[1] as number]),
  };
}

/**
 * x W^T + b along the last axis of x [..., in]. Initial weight [out, in] and bias [out]: U(+-1 / sqrt(in)), or N(0,
 * std) and 0 if `std` is given.
 */
export function linear(net: Net, x: Value, out: number, std?: number): Value {
  const { rows, back } = rowsOf(net.b, x);
  const features = rows.type.shape[1] as number;
  const weight = net.param("weight", [out, features], std === undefined ? uniform(features) : { kind: "normal", std });
  const bias = net.param("bias", [out], std === undefined ? uniform(features) : constant(0));
  return back(op.add(net.b, op.matmul(net.b, rows, weight, { tb: true }), bias));
}

/** What normalisations add to a variance. */
const eps = 1e-5;

/** The tensors of a batch normalisation, each [C]. */
export interface Normalization {
  readonly gamma: Value;
  readonly beta: Value;
  readonly mean: Value; // running
  readonly variance: Value;
}

/**
 * x [N, C] or [N, C, H, W], each group of the batch normalised by its own statistics. Those of the first group enter
 * the running averages with the weight `momentum`, the variance unbiased. Throws if a group has one value per channel.
 */
export function normalized(
  net: Net,
  x: Value,
  t: Normalization,
  { eps, momentum }: { readonly eps: number; readonly momentum: number },
): Value {
  const { b } = net;
  const channels = x.type.shape[1] as number;
  const { groups } = b;
  const n = x.type.shape.reduce((a, d) => a * d, 1) / channels / groups;
  if (n < 2)
    throw new Error(`batch_norm in ${b.scope}: a variance needs at least 2 values per channel and group, not ${n}`);
  const { y, mean, var: variance } = op.batch_norm(b, x, t.gamma, t.beta, { eps, groups });
  const first = (v: Value): Value =>
    op.reshape(b, groups === 1 ? v : op.slice(b, v, { axis: 0, start: 0, end: 1 }), { shape: [channels] });
  net.later(t.mean, first(mean), momentum);
  net.later(t.variance, first(op.scale(b, variance, { factor: n / (n - 1) })), momentum);
  return y;
}

/**
 * Batch normalisation of x [N, C] or [N, C, H, W]. In training each group of the batch is normalised by its own
 * statistics; those of the first group enter the running averages, the variance unbiased. Otherwise x is normalised by
 * the running averages.
 */
export function batch_norm(net: Net, x: Value): Value {
  const { b } = net;
  const channels = x.type.shape[1] as number;
  const weight = net.param("weight", [channels], constant(1));
  const bias = net.param("bias", [channels], constant(0));
  const runningMean = net.buffer("running_mean", f32(channels), constant(0));
  const runningVar = net.buffer("running_var", f32(channels), constant(1));
  const batches = net.buffer("num_batches_tracked", { dtype: "i64", shape: [] }, constant(0));
  if (!net.training) return op.batch_norm_inference(b, x, weight, bias, runningMean, runningVar, { eps });

  const tables = { gamma: weight, beta: bias, mean: runningMean, variance: runningVar };
  const y = normalized(net, x, tables, { eps, momentum: batchMomentum });
  net.later(batches, "count");
  return y;
}

/**
 * Normalisation of each row of x [..., C] by its own mean and variance, then weight [C] times it plus bias [C].
 * `epsilon` is added to the variance.
 */
export function layer_norm(net: Net, x: Value, { epsilon = eps }: { readonly epsilon?: number } = {}): Value {
  const { b } = net;
  const { rows, back } = rowsOf(b, x);
  const columns = rows.type.shape[1] as number;
  const weight = net.param("weight", [columns], constant(1));
  const bias = net.param("bias", [columns], constant(0));
  const m = moments(b, rows, [1]);
  return back(compute(b, "add(mul(x0,x1),x2)", byDeviation(b, m.centred, m.variance, epsilon), weight, bias));
}

/**
 * Normalisation of x [N, C, ...], each of `groups` groups of channels of an image by its own mean and variance, then
 * weight [C] times it plus bias [C]. Throws if the groups do not divide the channels.
 */
export function group_norm(net: Net, x: Value, groups: number): Value {
  const { b } = net;
  const channels = x.type.shape[1] as number;
  checkChannels(b, channels, channels, groups);
  const table = (name: string, value: number): Value =>
    reshaped(b, net.param(name, [channels], constant(value)), [channels, ...x.type.shape.slice(2).map(() => 1)]);
  const [weight, bias] = [table("weight", 1), table("bias", 0)];
  return compute(b, "add(mul(x0,x1),x2)", grouped(b, x, groups, eps), weight, bias);
}

/** The rows of weight [rows, size], initially N(0, 1), at positions i64[...]: [..., size]. */
export const embedding = (net: Net, positions: Value, rows: number, size: number): Value =>
  op.gather(net.b, net.param("weight", [rows, size], { kind: "normal", std: 1 }), positions, { axis: 0 });

/** x / 2 (1 + erf(x / sqrt(2))), or its approximation by tanh. */
export const gelu = (b: Builder, x: Value, { approximate = "none" }: { approximate?: "none" | "tanh" } = {}): Value =>
  geluOf(b, x, approximate);

/** Softmax along an axis of x; -1 is the last. */
export const softmax = (b: Builder, x: Value, axis = -1): Value =>
  softmaxAlong(b, x, axis < 0 ? axis + x.type.shape.length : axis);

export interface AttentionOptions {
  readonly heads: number;
  readonly std?: number; // of the weights, as for `linear`
}

/**
 * Self-attention of the tokens x [N, T, C] -> [N, T, C], with the layers qkv and proj as timm names them. Each of the
 * heads has C / heads channels of queries, keys and values; scores are divided by the root of that number. Throws if
 * the heads do not divide the channels.
 */
export function attention(net: Net, x: Value, { heads, std }: AttentionOptions): Value {
  const { b } = net;
  const [, tokens, channels] = x.type.shape as [number, number, number];
  const size = channels / heads;
  if (x.type.shape.length !== 3 || !Number.isInteger(size))
    throw new Error(`attention in ${b.scope}: [${x.type.shape}] are no tokens of ${heads} heads`);
  // Tensors of rank 4 are stored channels-last, which none of these is; so there are none of rank 4.
  const qkv = op.reshape(b, linear(net.in("qkv"), x, 3 * channels, std), { shape: [-1, tokens, 3, heads, size] });
  const parts = op.transpose(b, qkv, { perm: [0, 2, 3, 1, 4] });
  const [q, k, v] = [0, 1, 2].map((i) =>
    op.reshape(b, op.slice(b, parts, { axis: 1, start: i, end: i + 1 }), { shape: [-1, tokens, size] }),
  ) as [Value, Value, Value];
  const turned = op.transpose(b, k, { perm: [0, 2, 1] });
  const scores = op.batch_matmul(b, op.scale(b, q, { factor: 1 / Math.sqrt(size) }), turned);
  const y = op.batch_matmul(b, softmax(b, scores), v);
  const images = op.transpose(b, op.reshape(b, y, { shape: [-1, 1, heads, tokens, size] }), { perm: [0, 1, 3, 2, 4] });
  return linear(net.in("proj"), op.reshape(b, images, { shape: [-1, tokens, channels] }), channels, std);
}
