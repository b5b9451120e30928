// Batch normalisation over groups of rows: each group has its own statistics. The op and its gradient expand to channel
// sums, arithmetic on [G, C] and one elementwise op that reads the operand x, so that the normalised tensor need not be
// stored.

import type { Builder } from "../ir/builder.js";
import { f32, floats } from "../ir/element_types.js";
import { NdArray } from "../ir/nd.js";
import { elements, type TensorType, type Value } from "../ir/types.js";
import { affine, affine2, normalize } from "./channelwise.js";
import { constant, scalar, scale } from "./constant.js";
import { add, div, mul, neg, sqrt, sub } from "./elementwise.js";
import { reshape } from "./move.js";
import { defineOp, type Op } from "./op.js";
import { channel_moments, channel_sum, group_sum } from "./reduce.js";
import { channelsOf, dim, eachChannelElement, wantGroups, wantRank, wantShape } from "./shape.js";

type NormAttrs = { eps: number; groups: number };
type InferenceAttrs = { eps: number };

/** The number of values from which a statistic of one group and channel is computed. */
const perGroup = (x: { readonly shape: readonly number[] }, groups: number): number =>
  elements(x.shape) / dim(x, 1) / groups;

function check(x: TensorType, tables: Readonly<Record<string, TensorType>>, eps: number): void {
  wantRank("x", x, 2, 4);
  for (const [name, t] of Object.entries(tables)) wantShape(name, t, [dim(x, 1)]);
  if (!(eps > 0)) throw new Error(`eps must be positive, not ${eps}`);
}

/** The sum of f(i, k) over the elements i of x in each group and channel, [G, C]; k is the index in the result. */
function sumOver(x: NdArray, groups: number, f: (i: number, k: number) => number): NdArray {
  const s = NdArray.fill([groups, dim(x, 1)], () => 0);
  eachChannelElement(x, groups, (i, g, c) => {
    const k = g * dim(x, 1) + c;
    s.data[k] = (s.data[k] as number) + f(i, k);
  });
  return s;
}

const get = (x: NdArray, i: number): number => x.data[i] as number;

/** 1 / sqrt(variance + eps) */
const inverseDeviation = (b: Builder, variance: Value, eps: number): Value =>
  div(b, scalar(b, 1), sqrt(b, add(b, variance, scalar(b, eps))));

/**
 * x [N, C] or [N, C, H, W], gamma and beta [C] -> y like x, mean and var f32[G, C]: y = gamma (x - mean) / sqrt(var +
 * eps) + beta with the mean and the biased variance of each group. The gradient takes into account that y depends on
 * the statistics, but the outputs mean and var have no gradient. Throws if eps is not positive.
 */
export const batch_norm: Op<readonly ["x", "gamma", "beta"], readonly ["y", "mean", "var"], NormAttrs> = defineOp({
  name: "batch_norm",
  inputs: ["x", "gamma", "beta"],
  outputs: ["y", "mean", "var"],
  attrs: ["eps", "groups"],
  types: { x: floats, gamma: f32, beta: f32 },
  kind: "composite",
  onnx: "moproc::BatchNormTraining",
  batch: { rows: ["x"] },
  infer: ({ x, gamma, beta }, { eps, groups }: NormAttrs) => {
    check(x, { gamma, beta }, eps);
    wantGroups(dim(x, 0), groups);
    const stat = { dtype: "f32", shape: [groups, dim(x, 1)] } as const;
    return { y: x, mean: stat, var: stat };
  },
  reference: ({ x, gamma, beta }, { eps, groups }) => {
    const n = perGroup(x, groups);
    const channels = dim(x, 1);
    const mean = sumOver(x, groups, (i) => get(x, i) / n);
    const variance = sumOver(x, groups, (i, k) => (get(x, i) - get(mean, k)) ** 2 / n);
    const y = NdArray.fill(x.shape, () => 0);
    eachChannelElement(x, groups, (i, g, c) => {
      const k = g * channels + c;
      y.data[i] = (get(gamma, c) * (get(x, i) - get(mean, k))) / Math.sqrt(get(variance, k) + eps) + get(beta, c);
    });
    return { y, mean, var: variance };
  },
  grad: (b, p, attrs) => {
    const { x, gamma } = p.in;
    if (!p.d.y) return {};
    const d = batch_norm_grad(b, x, p.d.y, p.out.mean, p.out.var, gamma, attrs);
    return { x: d.dx, gamma: d.dgamma, beta: d.dbeta };
  },
  expand: (b, { x, gamma, beta }, { eps, groups }) => {
    const { mean, m2 } = channel_moments(b, x, { groups });
    const variance = scale(b, m2, { factor: 1 / perGroup(x.type, groups) });
    const slope = mul(b, gamma, inverseDeviation(b, variance, eps));
    return { y: affine(b, x, slope, sub(b, beta, mul(b, mean, slope))), mean, var: variance };
  },
});

/** The gradients dx like x, dgamma [C] and dbeta [C] of batch_norm, from its operand x, dy and its mean and var. */
export const batch_norm_grad: Op<
  readonly ["x", "dy", "mean", "var", "gamma"],
  readonly ["dx", "dgamma", "dbeta"],
  NormAttrs
> = defineOp({
  name: "batch_norm_grad",
  inputs: ["x", "dy", "mean", "var", "gamma"],
  outputs: ["dx", "dgamma", "dbeta"],
  attrs: ["eps", "groups"],
  types: { x: floats, dy: floats, mean: f32, var: f32, gamma: f32 },
  kind: "composite",
  onnx: "moproc::BatchNormGrad",
  batch: { rows: ["x", "dy", "mean", "var"], sums: ["dgamma", "dbeta"] },
  infer: ({ x, dy, mean, var: variance, gamma }, { eps, groups }: NormAttrs) => {
    check(x, { gamma }, eps);
    wantGroups(dim(x, 0), groups);
    wantShape("dy", dy, x.shape);
    wantShape("mean", mean, [groups, dim(x, 1)]);
    wantShape("var", variance, [groups, dim(x, 1)]);
    return { dx: x, dgamma: gamma, dbeta: gamma };
  },
  reference: ({ x, dy, mean, var: variance, gamma }, { eps, groups }) => {
    const n = perGroup(x, groups);
    const { c: channels } = channelsOf(x);
    const normal = (i: number, k: number): number => (get(x, i) - get(mean, k)) / Math.sqrt(get(variance, k) + eps);
    const dbeta = sumOver(x, groups, (i) => get(dy, i));
    const dgamma = sumOver(x, groups, (i, k) => get(dy, i) * normal(i, k));
    const dx = NdArray.fill(x.shape, () => 0);
    eachChannelElement(x, groups, (i, g, c) => {
      const k = g * channels + c;
      const centred = get(dy, i) - get(dbeta, k) / n - (normal(i, k) * get(dgamma, k)) / n;
      dx.data[i] = (get(gamma, c) / Math.sqrt(get(variance, k) + eps)) * centred;
    });
    const total = (s: NdArray): NdArray =>
      NdArray.fill([channels], (c) => Array.from({ length: groups }, (_, g) => s.at(g, c)).reduce((a, v) => a + v, 0));
    return { dx, dgamma: total(dgamma), dbeta: total(dbeta) };
  },
  expand: (b, { x, dy, mean, var: variance, gamma }, { eps, groups }) => {
    const rstd = inverseDeviation(b, variance, eps);
    const sumDy = channel_sum(b, dy, { groups });
    const sumDyX = channel_sum(b, mul(b, dy, normalize(b, x, mean, rstd)), { groups });
    const byCount = { factor: 1 / perGroup(x.type, groups) };
    // dx = A (dy - sumDy / n - xhat sumDyX / n), written as A dy + B x + C
    const A = mul(b, gamma, rstd);
    const B = neg(b, mul(b, mul(b, A, rstd), scale(b, sumDyX, byCount)));
    const C = neg(b, add(b, mul(b, A, scale(b, sumDy, byCount)), mul(b, B, mean)));
    return { dx: affine2(b, dy, x, A, B, C), dgamma: group_sum(b, sumDyX), dbeta: group_sum(b, sumDy) };
  },
});

/**
 * x [N, C] or [N, C, H, W] -> y like x: y = gamma (x - mean) / sqrt(var + eps) + beta with the given statistics, mean
 * and var [C]. The statistics have no gradient. Throws if eps is not positive.
 */
export const batch_norm_inference: Op<readonly ["x", "gamma", "beta", "mean", "var"], readonly ["y"], InferenceAttrs> =
  defineOp({
    name: "batch_norm_inference",
    inputs: ["x", "gamma", "beta", "mean", "var"],
    outputs: ["y"],
    attrs: ["eps"],
    types: { x: floats, gamma: f32, beta: f32, mean: f32, var: f32 },
    kind: "composite",
    onnx: "BatchNormalization",
    batch: { rows: ["x"] },
    infer: ({ x, gamma, beta, mean, var: variance }, { eps }: InferenceAttrs) => {
      check(x, { gamma, beta, mean, var: variance }, eps);
      return { y: x };
    },
    reference: ({ x, gamma, beta, mean, var: variance }, { eps }) => {
      const y = NdArray.fill(x.shape, () => 0);
      eachChannelElement(x, 1, (i, _, c) => {
        y.data[i] = (get(gamma, c) * (get(x, i) - get(mean, c))) / Math.sqrt(get(variance, c) + eps) + get(beta, c);
      });
      return { y };
    },
    grad: (b, p, { eps }) => {
      const { x, gamma, mean, var: variance } = p.in;
      const dy = p.d.y as Value;
      const table = { shape: [1, dim(x.type, 1)] };
      const groups = dim(x.type, 0) % b.groups === 0 ? b.groups : 1;
      const rstd = reshape(b, inverseDeviation(b, variance, eps), table);
      const zeros = constant(b, { values: [0], ...table });
      const xhat = normalize(b, x, reshape(b, mean, table), rstd);
      const dgamma = group_sum(b, channel_sum(b, mul(b, dy, xhat), { groups }));
      const dbeta = group_sum(b, channel_sum(b, dy, { groups }));
      const deviation = inverseDeviation(b, variance, eps);
      const slope = mul(b, gamma, deviation);
      return {
        x: affine(b, dy, mul(b, gamma, rstd), zeros),
        gamma: dgamma,
        beta: dbeta,
        mean: neg(b, mul(b, slope, dbeta)),
        var: scale(b, mul(b, mul(b, slope, deviation), dgamma), { factor: -0.5 }),
      };
    },
    expand: (b, { x, gamma, beta, mean, var: variance }, { eps }) => {
      const slope = mul(b, gamma, inverseDeviation(b, variance, eps));
      const bias = sub(b, beta, mul(b, mean, slope));
      const table = { shape: [1, dim(x.type, 1)] };
      return { y: affine(b, x, reshape(b, slope, table), reshape(b, bias, table)) };
    },
  });
