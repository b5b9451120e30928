// Normalisation: by statistics that are given, of a batch, of each image, of groups of channels, or of rows. f16 and
// bf16 are computed as f32 and rounded once.

import type { Builder } from "../../ir/builder.js";
import { type DType, elements, type Value } from "../../ir/types.js";
import { compute, converted } from "../../ops/composed/compute.js";
import { around, reshaped } from "../../ops/composed/layout.js";
import { byDeviation, grouped, moments, root } from "../../ops/composed/normalize.js";
import { mean, wider } from "../../ops/composed/reduce.js";
import { windowSums } from "../../ops/composed/window.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { dataTypes } from "../model.js";
import { type Build, type Rules, since } from "./rule.js";
import { pixelsOf } from "./window.js";

/** x as the type in which statistics are computed. */
const wide = (b: Builder, x: Value): Value => converted(b, x, x.type.dtype === "f64" ? "f64" : "f32");
/** v as the type of x, if it is computed with it. */
const like = (b: Builder, v: Value, x: Value): Value => converted(b, v, x.type.dtype as DType);

/** Tables of one number per channel, for x [N, C, ...]; others have the axes of x. */
const perChannel = (b: Builder, t: Value, x: Value): Value =>
  t.type.shape.length === 1
    ? reshaped(b, t, [...t.type.shape, ...Array<number>(Math.max(0, x.type.shape.length - 2)).fill(1)])
    : t;
/** gamma x + beta */
const scaled = (b: Builder, x: Value, gamma: Value, beta: Value): Value =>
  compute(b, "add(mul(x0,x1),x2)", x, gamma, beta);

/** gamma (x - mean) / sqrt(variance + eps) + beta with the statistics that are inputs 3 and 4. */
function inference(at: At, eps: number): Value {
  const b = at.builder;
  const x = at.in(0);
  const [gamma, beta, m, variance] = [at.in(1), at.in(2), at.in(3, "buffer"), at.in(4, "buffer")].map((t) =>
    like(b, t, wide(b, x)),
  ) as [Value, Value, Value, Value];
  return wider(b, x, (v) => {
    const { shape } = v.type;
    const fast = v.type.dtype === "f32" && (shape.length === 2 || shape.length === 4) && eps > 0;
    if (fast && m.type.shape.length === 1) return op.batch_norm_inference(b, v, gamma, beta, m, variance, { eps });
    const slope = compute(b, `div(x0,${root(eps)})`, gamma, variance);
    const [by, from, plus] = [slope, m, beta].map((t) => perChannel(b, t, v)) as [Value, Value, Value];
    return scaled(b, compute(b, "sub(x0,x1)", v, from), by, plus);
  });
}

/** The result with the statistics of the batch, and those: mean, variance. `spatial`: over the pixels, too. */
function ofBatch(at: At, x: Value, eps: number, spatial: boolean): [Value, Value, Value] {
  const b = at.builder;
  const { shape } = x.type;
  const [gamma, beta] = [like(b, at.in(1), x), like(b, at.in(2), x)];
  if (x.type.dtype === "f32" && spatial && (shape.length === 2 || shape.length === 4) && eps > 0) {
    const { y, mean: m, var: variance } = op.batch_norm(b, x, gamma, beta, { eps, groups: 1 });
    return [y, reshaped(b, m, gamma.type.shape), reshaped(b, variance, gamma.type.shape)];
  }
  const axes = shape.flatMap((_, i) => (i === 0 || (spatial && i > 1) ? [i] : []));
  const m = moments(b, x, axes);
  const y = byDeviation(b, m.centred, m.variance, eps);
  const table = (v: Value): Value => reshaped(b, v, gamma.type.shape);
  return [scaled(b, y, perChannel(b, gamma, x), perChannel(b, beta, x)), table(m.mean), table(m.variance)];
}

/** A normalisation of training: its result, and the running statistics; before version 14, the batch's as well. */
function training(at: At, eps: number, momentum: number, spatial: boolean): Value[] {
  const b = at.builder;
  const x = at.in(0);
  const [y, ...batch] = ofBatch(at, wide(b, x), eps, spatial) as [Value, Value, Value];
  const running = batch.map((v, i) => {
    const old = at.in(3 + i, "buffer");
    const next = compute(b, `add(mul(x0,${momentum}),mul(x1,${1 - momentum}))`, like(b, old, v), v);
    return like(b, op.stop_gradient(b, next), old);
  });
  const saved = batch.map((v, i) => like(b, op.stop_gradient(b, v), at.in(3 + i, "buffer")));
  return [like(b, y, x), ...running, ...saved];
}

const batchNorm: Build = (at) => {
  at.ignore("consumed_inputs");
  const [eps, momentum] = [at.float("epsilon", 1e-5), at.float("momentum", 0.9)];
  const spatial = at.version < 9 ? at.int("spatial", 1) === 1 : true;
  const trains =
    at.version >= 14
      ? at.int("training_mode", 0) === 1
      : at.version < 7
        ? at.int("is_test", 0) === 0
        : at.node.outputs.some((name, i) => i > 0 && name !== "");
  return learned(at, eps, momentum, spatial) ?? (trains ? training(at, eps, momentum, spatial) : inference(at, eps));
};

/** In a network that is trained here: the normalisation whose statistics the trainer keeps. */
function learned(at: At, eps: number, momentum: number, spatial: boolean): Value | undefined {
  if (!at.training) return undefined;
  const x = at.in(0);
  if (x.type.dtype !== "f32" || !spatial) at.refuse("it is trained only in f32, with one number per channel");
  if (at.wants(1) || at.wants(2))
    at.refuse("the network uses its new running statistics, which change during training");
  const { scales, build } = at.training.normalize;
  const [gamma, beta] = [at.in(1, scales), at.in(2, scales)];
  const [running, variance] = [at.in(3, "buffer"), at.in(4, "buffer")];
  return build(at.builder, { x, gamma, beta, mean: running, variance, eps, momentum: 1 - momentum });
}

const instanceNorm: Build = (at) => {
  const [b, x] = [at.builder, at.in(0)];
  at.ignore("consumed_inputs");
  const eps = at.float("epsilon", 1e-5);
  const [gamma, beta] = [at.in(1), at.in(2)];
  return wider(b, x, (v) => {
    const y = grouped(b, v, at.shape(0)[1] as number, eps);
    return scaled(b, y, perChannel(b, like(b, gamma, v), v), perChannel(b, like(b, beta, v), v));
  });
};

const groupNorm: Build = (at) => {
  const [b, x] = [at.builder, at.in(0)];
  at.ignore("stash_type"); // nothing is rounded to less than f32 before the result
  const eps = at.float("epsilon", 1e-5);
  const groups = at.int("num_groups", 0);
  const channels = x.type.shape[1] as number;
  if (groups < 1 || channels % groups !== 0) at.refuse(`${channels} channels are not ${groups} groups`);
  const [gamma, beta] = [at.in(1), at.in(2)];
  return wider(b, x, (v) => {
    const y = grouped(b, v, groups, eps);
    if (at.version >= 21) return scaled(b, y, perChannel(b, like(b, gamma, v), v), perChannel(b, like(b, beta, v), v));
    const parts = reshaped(b, y, [y.type.shape[0] as number, groups, elements(y.type.shape.slice(1)) / groups]);
    return reshaped(
      b,
      scaled(b, parts, perChannel(b, like(b, gamma, v), parts), perChannel(b, like(b, beta, v), parts)),
      y.type.shape,
    );
  });
};

/** The axes from `axis` on as the columns of a matrix, and its shape. */
function rowsFrom(at: At, shape: readonly number[]): { axes: number[]; matrix: [number, number] } {
  const axis = at.axis(at.int("axis", -1), shape.length);
  const [outer, extent, inner] = around(shape, axis);
  return { axes: shape.flatMap((_, i) => (i < axis ? [] : [i])), matrix: [outer, extent * inner] };
}

const layerNorm: Build = (at) => {
  const [b, x] = [at.builder, at.in(0)];
  const { shape } = x.type;
  const { axes, matrix } = rowsFrom(at, shape);
  const eps = at.float("epsilon", 1e-5);
  const stash = dataTypes[at.int("stash_type", 1)] ?? at.refuse("its stash_type is not supported");
  const v = wide(b, x);
  const m = moments(b, reshaped(b, v, matrix), [1]);
  const y = reshaped(b, byDeviation(b, m.centred, m.variance, eps), shape);
  const by = compute(b, "mul(x0,x1)", y, like(b, at.in(1), v));
  const kept = shape.map((d, i) => (axes.includes(i) ? 1 : d));
  const table = (t: Value): Value => converted(b, reshaped(b, t, kept), stash);
  const inverse = (): Value => compute(b, `div(1,sqrt(add(x0,${eps})))`, m.variance);
  return [
    like(b, at.has(2) ? compute(b, "add(x0,x1)", by, like(b, at.in(2), v)) : by, x),
    at.wants(1) ? table(m.mean) : undefined,
    at.wants(2) ? table(inverse()) : undefined,
  ];
};

const rmsNorm: Build = (at) => {
  const [b, x] = [at.builder, at.in(0)];
  const { shape } = x.type;
  const { matrix } = rowsFrom(at, shape);
  at.ignore("stash_type");
  const eps = at.float("epsilon", 1e-5);
  const v = wide(b, x);
  const rows = reshaped(b, v, matrix);
  const y = byDeviation(b, rows, mean(b, compute(b, "mul(x0,x0)", rows), { axes: [1], keepdims: true }), eps);
  // the result has the type of the scale
  const scale = at.in(1);
  return like(b, compute(b, "mul(x0,x1)", reshaped(b, y, shape), like(b, scale, v)), scale);
};

/** x divided by the norms of its rows along an axis; a row of norm 0 stays 0. */
const lpNorm: Build = (at) => {
  const [b, x] = [at.builder, at.in(0)];
  const axis = at.axis(at.int("axis", -1), x.type.shape.length);
  const p = at.int("p", 2);
  if (p !== 1 && p !== 2) at.refuse(`p is ${p}, not 1 or 2`);
  return wider(b, x, (v) => {
    const powers = compute(b, p === 1 ? "abs(x0)" : "mul(x0,x0)", v);
    const sums = op.fold(b, powers, { of: "sum", axes: [axis], keepdims: true });
    const norms = p === 1 ? sums : compute(b, "sqrt(x0)", sums);
    return op.map(b, [v, norms], { expr: "where(equal(x1,0),0,div(x0,x1))" });
  });
};

const meanVariance: Build = (at) => {
  const [b, x] = [at.builder, at.in(0)];
  const axes = at.axes(at.ints("axes") ?? [0, 2, 3], x.type.shape.length);
  return wider(b, x, (v) => {
    const m = moments(b, v, axes);
    return compute(b, "div(x0,add(sqrt(x1),1e-9))", m.centred, m.variance);
  });
};

/** x / (bias + alpha / size * the sum of the squares of `size` neighbouring channels)^beta. */
const localResponse: Build = (at) => {
  const [b, x] = [at.builder, at.in(0)];
  const { shape } = x.type;
  const size = at.int("size", 0);
  if (size < 1) at.refuse(`a size of ${size}`);
  const [n, c] = shape as [number, number];
  const pixels = elements(pixelsOf(at));
  const less = Math.floor((size - 1) / 2);
  const window = {
    ...{ kernel: [size, 1], strides: [1, 1], dilations: [1, 1] },
    ...{ before: [less, 0], after: [size - 1 - less, 0], out: [c, pixels] },
  };
  const [alpha, beta, bias] = [at.float("alpha", 1e-4), at.float("beta", 0.75), at.float("bias", 1)];
  return wider(b, x, (v) => {
    const planes = reshaped(b, compute(b, "mul(x0,x0)", v), [n, 1, c, pixels]);
    const sums = reshaped(b, windowSums(b, planes, window), shape);
    const power = `exp(mul(log(add(mul(x1,${alpha / size}),${bias})),${-beta}))`;
    return compute(b, `mul(x0,${power})`, v, sums);
  });
};

export const normalization: Rules = {
  BatchNormalization: since(1, batchNorm),
  InstanceNormalization: since(1, instanceNorm),
  GroupNormalization: since(18, groupNorm),
  LayerNormalization: since(17, layerNorm),
  RMSNormalization: since(23, rmsNorm),
  LpNormalization: since(1, lpNorm),
  MeanVarianceNormalization: since(9, meanVariance),
  LRN: since(1, localResponse),
};
