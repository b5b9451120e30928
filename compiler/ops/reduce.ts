// Sums and broadcasting: the gradient of a sum is a broadcast, and that of a broadcast is a sum. Sums over the
// rows of a batch use channel_sum (one sum per group, in an order that depends only on the group's shape) and group_sum
// (a balanced tree over groups), so that every division of the groups between ranks gives the same bits.

import type { Builder } from "../ir/builder.js";
import { any, f32, floats } from "../ir/element_types.js";
import { NdArray } from "../ir/nd.js";
import { elements, sameShape, type Value } from "../ir/types.js";
import { scale } from "./constant.js";
import { reshape } from "./move.js";
import { defineOp, type Op } from "./op.js";
import { reshaped } from "./reshaped.js";
import {
  broadcastIndex,
  broadcastShape,
  channelsOf,
  dim,
  eachChannelElement,
  wantAxis,
  wantGroups,
  wantRank,
} from "./shape.js";

export type AxesAttrs = { axes: readonly number[]; keepdims?: boolean }; // keepdims absent: false
export type Reduction = Op<readonly ["x"], readonly ["y"], AxesAttrs>;

/** `shape` with extent 1 for the reduced axes. Throws if an axis does not exist or is named twice. */
export function kept(shape: readonly number[], axes: readonly number[]): number[] {
  const reduced = new Set(axes.map((a) => wantAxis(a, shape.length)));
  if (reduced.size !== axes.length) throw new Error(`axes [${axes}] name an axis twice`);
  return shape.map((d, i) => (reduced.has(i) ? 1 : d));
}

export function resultShape(shape: readonly number[], { axes, keepdims = false }: AxesAttrs): number[] {
  const full = kept(shape, axes);
  const reduced = new Set(axes.map((a) => wantAxis(a, shape.length)));
  return keepdims ? full : full.filter((_, i) => !reduced.has(i));
}

/** Folds, in row-major order, the elements of x that each element of the result is computed from. */
export function foldElements(
  x: NdArray,
  attrs: AxesAttrs,
  start: number,
  f: (acc: number, v: number) => number,
): NdArray {
  const index = broadcastIndex(kept(x.shape, attrs.axes), x.shape);
  const y = NdArray.fill(resultShape(x.shape, attrs), () => start);
  x.data.forEach((v, i) => {
    const at = index[i] as number;
    y.data[at] = f(y.data[at] as number, v);
  });
  return y;
}

/** dy broadcast to x's shape along the reduced axes. */
const spread = (b: Builder, dy: Value, x: Value, { axes }: AxesAttrs): Value =>
  broadcast_to(b, reshape(b, dy, { shape: kept(x.type.shape, axes) }), { shape: x.type.shape });

const count = (shape: readonly number[], axes: readonly number[]): number =>
  elements(shape) / elements(kept(shape, axes));

/** The sum over `axes`, which may be empty. Negative axes count from the end. */
export const sum: Reduction = defineOp({
  name: "sum",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["axes", "keepdims?"],
  types: { x: f32 },
  kind: "kernel",
  onnx: "ReduceSum",
  batch: ({ axes }, rank) => (axes.every((a) => wantAxis(a, rank) !== 0) ? { rows: ["x"] } : undefined),
  infer: ({ x }, attrs: AxesAttrs) => ({ y: { dtype: x.dtype, shape: resultShape(x.shape, attrs) } }),
  reference: ({ x }, attrs) => ({ y: foldElements(x, attrs, 0, (s, v) => s + v) }),
  grad: (b, p, attrs) => ({ x: spread(b, p.d.y as Value, p.in.x, attrs) }),
});

/** The mean over `axes`. Negative axes count from the end. */
export const mean: Reduction = defineOp({
  name: "mean",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["axes", "keepdims?"],
  types: { x: f32 },
  kind: "composite",
  onnx: "ReduceMean",
  batch: ({ axes }, rank) => (axes.every((a) => wantAxis(a, rank) !== 0) ? { rows: ["x"] } : undefined),
  infer: ({ x }, attrs: AxesAttrs) => ({ y: { dtype: x.dtype, shape: resultShape(x.shape, attrs) } }),
  reference: ({ x }, attrs) => {
    const s = foldElements(x, attrs, 0, (a, v) => a + v);
    return {
      y: new NdArray(
        s.shape,
        s.data.map((v) => v / count(x.shape, attrs.axes)),
      ),
    };
  },
  grad: (b, p, attrs) => ({
    x: scale(b, spread(b, p.d.y as Value, p.in.x, attrs), {
      factor: 1 / count(p.in.x.type.shape, attrs.axes),
    }),
  }),
  expand: (b, { x }, attrs) => ({
    y: scale(b, sum(b, x, attrs), { factor: 1 / count(x.type.shape, attrs.axes) }),
  }),
});

type GroupAttrs = { groups: number };

/**
 * x [N, C] or [N, C, H, W] -> y f32[G, C]: the sum over the rows and pixels of each group, per channel. No gradient.
 */
export const channel_sum: Op<readonly ["x"], readonly ["y"], GroupAttrs> = defineOp({
  name: "channel_sum",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["groups"],
  types: { x: floats },
  kind: "kernel",
  onnx: "moproc::ChannelSum",
  batch: { rows: ["x"] },
  infer: ({ x }, { groups }: GroupAttrs) => {
    wantRank("x", x, 2, 4);
    wantGroups(dim(x, 0), groups);
    return { y: { dtype: "f32" as const, shape: [groups, dim(x, 1)] } };
  },
  reference: ({ x }, { groups }) => {
    const channels = dim(x, 1);
    const y = NdArray.fill([groups, channels], () => 0);
    eachChannelElement(x, groups, (i, g, c) => {
      y.data[g * channels + c] = (y.data[g * channels + c] as number) + (x.data[i] as number);
    });
    return { y };
  },
});

/**
 * x [N, C] or [N, C, H, W] -> mean f32[G, C] and m2 f32[G, C], per group and channel: the mean, and the sum of the
 * squared deviations from it. No gradient.
 */
export const channel_moments: Op<readonly ["x"], readonly ["mean", "m2"], GroupAttrs> = defineOp({
  name: "channel_moments",
  inputs: ["x"],
  outputs: ["mean", "m2"],
  attrs: ["groups"],
  types: { x: floats },
  kind: "kernel",
  onnx: "moproc::ChannelMoments",
  batch: { rows: ["x"] },
  infer: ({ x }, { groups }: GroupAttrs) => {
    wantRank("x", x, 2, 4);
    wantGroups(dim(x, 0), groups);
    const type = { dtype: "f32", shape: [groups, dim(x, 1)] } as const;
    return { mean: type, m2: type };
  },
  reference: ({ x }, { groups }) => {
    const { n, c: channels, pixels } = channelsOf(x);
    const mean = NdArray.fill([groups, channels], () => 0);
    const m2 = NdArray.fill([groups, channels], () => 0);
    const size = (n / groups) * pixels;
    eachChannelElement(x, groups, (i, g, c) => {
      mean.data[g * channels + c] = (mean.data[g * channels + c] as number) + (x.data[i] as number) / size;
    });
    eachChannelElement(x, groups, (i, g, c) => {
      const d = (x.data[i] as number) - (mean.data[g * channels + c] as number);
      m2.data[g * channels + c] = (m2.data[g * channels + c] as number) + d * d;
    });
    return { mean, m2 };
  },
});

/** x [G, ...] -> y [...]: the sum over the first axis. Throws if x has rank 0, 4 or 5. No gradient. */
export const group_sum: Op<readonly ["x"], readonly ["y"], Record<never, never>> = defineOp({
  name: "group_sum",
  inputs: ["x"],
  outputs: ["y"],
  types: { x: f32 },
  kind: "kernel",
  onnx: "moproc::GroupSum",
  batch: { rows: ["x"], sums: ["y"] },
  infer: ({ x }, _: Record<never, never>) => {
    if (x.shape.length === 0) throw new Error("x has no axis of groups");
    if (x.shape.length === 4 || x.shape.length === 5)
      throw new Error(`x of rank ${x.shape.length} changes its storage order`);
    return { y: { dtype: x.dtype, shape: x.shape.slice(1) } };
  },
  reference: ({ x }) => {
    const y = NdArray.fill(x.shape.slice(1), () => 0);
    x.data.forEach((v, i) => {
      y.data[i % y.data.length] = (y.data[i % y.data.length] as number) + v;
    });
    return { y };
  },
});

type ShapeAttrs = { shape: readonly number[] };
/** x broadcast to `shape` by numpy's rules. Throws if it does not broadcast to `shape`. */
export const broadcast_to: Op<readonly ["x"], readonly ["y"], ShapeAttrs> = defineOp({
  name: "broadcast_to",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["shape"],
  types: { x: any },
  kind: "elementwise",
  onnx: "Expand",
  infer: ({ x }, { shape }: ShapeAttrs) => {
    if (broadcastShape(x.shape, shape).join() !== shape.join())
      throw new Error(`[${x.shape}] does not broadcast to [${shape}]`);
    return { y: { dtype: x.dtype, shape } };
  },
  reference: ({ x }, { shape }) => {
    const index = broadcastIndex(x.shape, shape);
    return { y: NdArray.fill(shape, (i) => x.data[index[i] as number] as number) };
  },
  grad: (b, p) => ({ x: sumTo(b, p.d.y as Value, p.in.x.type.shape) }),
  code: ([x]) => [x as string],
  expression: () => "x0",
});

/**
 * The gradient of broadcasting: returns x summed to `shape`, which broadcasts to x's shape. A sum that leaves only the
 * channels of a matrix or a batch of images is taken per group first, then over the builder's groups.
 */
export function sumTo(b: Builder, x: Value, shape: readonly number[]): Value {
  const from = x.type.shape;
  if (sameShape(from, shape)) return x;
  const padded = [...Array<number>(from.length - shape.length).fill(1), ...shape];
  const perChannel = padded.every((d, i) => d === (i === 1 ? from[i] : 1));
  if ((from.length === 2 || from.length === 4) && perChannel) {
    const groups = dim(x.type, 0) % b.groups === 0 ? b.groups : 1;
    return reshape(b, group_sum(b, channel_sum(b, x, { groups })), { shape });
  }
  const axes = padded.flatMap((d, i) => (d === from[i] ? [] : [i]));
  const y = axes.length > 0 ? sum(b, x, { axes, keepdims: true }) : x;
  return reshaped(b, y, shape);
}
