// Ops on the rows of a matrix: softmax, cross-entropy per group, normalisation, accuracy, and MoPro's label correction.
// A loss is the weighted mean over the rows of a group; it is 0 if all weights of the group are 0.

import { f32, i64 } from "../ir/element_types.js";
import { NdArray } from "../ir/nd.js";
import type { TensorType, Value } from "../ir/types.js";
import { mul, sub } from "./elementwise.js";
import { defineOp, type Op } from "./op.js";
import { sum } from "./reduce.js";
import { dim, wantGroups, wantInteger, wantRank, wantScalar, wantShape } from "./shape.js";

type NoAttrs = Record<never, never>;
type GroupAttrs = { groups: number };
type EpsAttrs = { eps: number };
type TopAttrs = { k: number; groups: number };

/** The type of n numbers. */
const vector = (n: number): TensorType => ({ dtype: "f32", shape: [n] });

function checkMatrix(operands: Readonly<Record<string, TensorType>>): void {
  for (const [name, t] of Object.entries(operands)) wantRank(name, t, 2);
}

function checkLabels(logits: TensorType, target: TensorType, weight: TensorType, groups: number): void {
  checkMatrix({ logits });
  wantShape("target", target, [dim(logits, 0)]);
  wantShape("weight", weight, [dim(logits, 0)]);
  wantGroups(dim(logits, 0), groups);
}

/** Row n of a matrix. */
const row = (x: NdArray, n: number): Float64Array => x.data.subarray(n * dim(x, 1), (n + 1) * dim(x, 1));

function softmaxRow(l: Float64Array): Float64Array {
  const top = l.reduce((a, v) => Math.max(a, v), -Infinity);
  const e = l.map((v) => Math.exp(v - top));
  const total = e.reduce((s, v) => s + v, 0);
  return e.map((v) => v / total);
}

/** -log softmax(l)[t]; NaN if t is not a column. */
function crossEntropy(l: Float64Array, t: number): number {
  const top = l.reduce((a, v) => Math.max(a, v), -Infinity);
  return Math.log(l.reduce((s, v) => s + Math.exp(v - top), 0)) + top - (l[t] ?? Number.NaN);
}

/** The sum of weight[n] f(n) over the rows of each group, [groups]. f is not called for rows of weight 0. */
function sumRows(weight: NdArray, groups: number, f: (n: number) => number): NdArray {
  const s = NdArray.fill([groups], () => 0);
  const size = dim(weight, 0) / groups;
  weight.data.forEach((w, n) => {
    const g = Math.floor(n / size);
    if (w !== 0) s.data[g] = (s.data[g] as number) + w * f(n);
  });
  return s;
}

/** x [N, K] -> y [N, K]: the softmax of each row. */
export const softmax: Op<readonly ["x"], readonly ["y"], NoAttrs> = defineOp({
  name: "softmax",
  inputs: ["x"],
  outputs: ["y"],
  types: { x: f32 },
  kind: "kernel",
  onnx: "Softmax",
  batch: { rows: ["x"] },
  infer: ({ x }, _: NoAttrs) => {
    checkMatrix({ x });
    return { y: x };
  },
  reference: ({ x }) => {
    const y = NdArray.fill(x.shape, () => 0);
    for (let n = 0; n < dim(x, 0); n++) row(y, n).set(softmaxRow(row(x, n)));
    return { y };
  },
  grad: (b, p) => {
    const dy = p.d.y as Value;
    const along = sum(b, mul(b, dy, p.out.y), { axes: [1], keepdims: true });
    return { x: mul(b, p.out.y, sub(b, dy, along)) };
  },
});

/**
 * logits [N, K], target i64[N], weight f32[N] -> loss f32[G]: for each group, the mean of -log softmax(logits)[target]
 * over its rows, weighted by `weight`; 0 if all its weights are 0. A target outside 0..K-1 in a row with a weight makes
 * the loss NaN.
 */
export const softmax_cross_entropy: Op<readonly ["logits", "target", "weight"], readonly ["loss"], GroupAttrs> =
  defineOp({
    name: "softmax_cross_entropy",
    inputs: ["logits", "target", "weight"],
    outputs: ["loss"],
    attrs: ["groups"],
    types: { logits: f32, target: i64, weight: f32 },
    kind: "kernel",
    onnx: "moproc::SoftmaxCrossEntropy",
    batch: { rows: ["logits", "target", "weight"] },
    infer: ({ logits, target, weight }, { groups }: GroupAttrs) => {
      checkLabels(logits, target, weight, groups);
      return { loss: vector(groups) };
    },
    reference: ({ logits, target, weight }, { groups }) => {
      const total = sumRows(weight, groups, () => 1);
      const loss = sumRows(weight, groups, (n) => crossEntropy(row(logits, n), target.at(n)));
      return { loss: NdArray.fill([groups], (g) => (total.at(g) === 0 ? 0 : loss.at(g) / total.at(g))) };
    },
    grad: (b, p, attrs) => ({
      logits: softmax_cross_entropy_grad(b, p.in.logits, p.in.target, p.in.weight, p.d.loss as Value, attrs),
    }),
  });

/**
 * dlogits [N, K] = dloss[g] weight / (sum of the group's weights) * (softmax(logits) - onehot(target)), with dloss [G].
 * Rows of weight 0 get 0; rows with a weight and a target outside 0..K-1 get NaN.
 */
export const softmax_cross_entropy_grad: Op<
  readonly ["logits", "target", "weight", "dloss"],
  readonly ["dlogits"],
  GroupAttrs
> = defineOp({
  name: "softmax_cross_entropy_grad",
  inputs: ["logits", "target", "weight", "dloss"],
  outputs: ["dlogits"],
  attrs: ["groups"],
  types: { logits: f32, target: i64, weight: f32, dloss: f32 },
  kind: "kernel",
  onnx: "moproc::SoftmaxCrossEntropyGrad",
  batch: { rows: ["logits", "target", "weight", "dloss"] },
  infer: ({ logits, target, weight, dloss }, { groups }: GroupAttrs) => {
    checkLabels(logits, target, weight, groups);
    wantShape("dloss", dloss, [groups]);
    return { dlogits: logits };
  },
  reference: ({ logits, target, weight, dloss }, { groups }) => {
    const total = sumRows(weight, groups, () => 1);
    const size = dim(logits, 0) / groups;
    const dlogits = NdArray.fill(logits.shape, () => 0);
    weight.data.forEach((w, n) => {
      if (w === 0) return;
      const g = Math.floor(n / size);
      const f = (dloss.at(g) * w) / total.at(g);
      const t = target.at(n);
      const valid = t >= 0 && t < dim(logits, 1);
      row(dlogits, n).set(softmaxRow(row(logits, n)).map((s, k) => (valid ? f * (s - (k === t ? 1 : 0)) : Number.NaN)));
    });
    return { dlogits };
  },
});

const norm = (x: Float64Array): number => Math.sqrt(x.reduce((s, v) => s + v * v, 0));

function wantEps(eps: number): void {
  if (!(eps > 0)) throw new Error(`eps must be positive, not ${eps}`);
}

/** x [N, D] -> y [N, D]: each row divided by the larger of its Euclidean norm and eps. Throws unless eps > 0. */
export const l2_normalize: Op<readonly ["x"], readonly ["y"], EpsAttrs> = defineOp({
  name: "l2_normalize",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["eps"],
  types: { x: f32 },
  kind: "kernel",
  onnx: "moproc::L2Normalize",
  batch: { rows: ["x"] },
  infer: ({ x }, { eps }: EpsAttrs) => {
    checkMatrix({ x });
    wantEps(eps);
    return { y: x };
  },
  reference: ({ x }, { eps }) => {
    const y = NdArray.fill(x.shape, () => 0);
    for (let n = 0; n < dim(x, 0); n++) {
      const by = Math.max(norm(row(x, n)), eps);
      row(y, n).set(row(x, n).map((v) => v / by));
    }
    return { y };
  },
  grad: (b, p, attrs) => ({ x: l2_normalize_grad(b, p.in.x, p.d.y as Value, attrs) }),
});

/** x, dy [N, D] -> dx [N, D] = (dy - y (y . dy)) / norm with y = x / norm; dx = dy / eps in rows with norm < eps. */
export const l2_normalize_grad: Op<readonly ["x", "dy"], readonly ["dx"], EpsAttrs> = defineOp({
  name: "l2_normalize_grad",
  inputs: ["x", "dy"],
  outputs: ["dx"],
  attrs: ["eps"],
  types: { x: f32, dy: f32 },
  kind: "kernel",
  onnx: "moproc::L2NormalizeGrad",
  batch: { rows: ["x", "dy"] },
  infer: ({ x, dy }, { eps }: EpsAttrs) => {
    checkMatrix({ x, dy });
    wantEps(eps);
    wantShape("dy", dy, x.shape);
    return { dx: dy };
  },
  reference: ({ x, dy }, { eps }) => {
    const dx = NdArray.fill(x.shape, () => 0);
    for (let n = 0; n < dim(x, 0); n++) {
      const [xs, ds] = [row(x, n), row(dy, n)];
      const length = norm(xs);
      const along = length < eps ? 0 : xs.reduce((s, v, i) => s + (v / length) * (ds[i] as number), 0);
      const by = Math.max(length, eps);
      row(dx, n).set(ds.map((d, i) => (d - ((xs[i] as number) / by) * along) / by));
    }
    return { dx };
  },
});

/**
 * logits [N, K], target i64[N], weight f32[N] -> correct f32[G]: for each group, the sum of the weights of the rows
 * whose target is among the k largest logits. Of equal logits the first counts as the larger. A NaN counts as larger
 * than every number, but a target whose own logit is NaN is never correct.
 */
export const top_k_correct: Op<readonly ["logits", "target", "weight"], readonly ["correct"], TopAttrs> = defineOp({
  name: "top_k_correct",
  inputs: ["logits", "target", "weight"],
  outputs: ["correct"],
  attrs: ["k", "groups"],
  types: { logits: f32, target: i64, weight: f32 },
  kind: "kernel",
  onnx: "moproc::TopKCorrect",
  batch: { rows: ["logits", "target", "weight"] },
  infer: ({ logits, target, weight }, { k, groups }: TopAttrs) => {
    checkLabels(logits, target, weight, groups);
    wantInteger("k", k, 1);
    return { correct: vector(groups) };
  },
  reference: ({ logits, target, weight }, { k, groups }) => ({
    correct: sumRows(weight, groups, (n) => (rank(row(logits, n), target.at(n)) < k ? 1 : 0)),
  }),
});

/** The number of logits larger than the target's; Infinity if the target is not a column or its logit is NaN. */
function rank(l: Float64Array, t: number): number {
  const own = l[t];
  if (own === undefined || Number.isNaN(own)) return Infinity;
  return l.filter((v, j) => Number.isNaN(v) || v > own || (v === own && j < t)).length;
}

/**
 * MoPro's label correction: cls_logits and proto_logits [N, K], target i64[N], alpha and threshold f32[] -> target_new
 * i64[N], kept f32[N]. With s = alpha softmax(cls_logits) + (1 - alpha) softmax(proto_logits) in each row: if max s >
 * threshold, the label becomes the first argmax and kept is 1; otherwise, if s[target] > 1 / K, the label stays and
 * kept is 1; otherwise the label stays and kept is 0.
 */
export const correct_labels: Op<
  readonly ["cls_logits", "proto_logits", "target", "alpha", "threshold"],
  readonly ["target_new", "kept"],
  NoAttrs
> = defineOp({
  name: "correct_labels",
  inputs: ["cls_logits", "proto_logits", "target", "alpha", "threshold"],
  outputs: ["target_new", "kept"],
  types: { cls_logits: f32, proto_logits: f32, target: i64, alpha: f32, threshold: f32 },
  kind: "kernel",
  onnx: "moproc::CorrectLabels",
  batch: { rows: ["cls_logits", "proto_logits", "target"] },
  infer: ({ cls_logits, proto_logits, target, alpha, threshold }, _: NoAttrs) => {
    checkMatrix({ cls_logits, proto_logits });
    wantShape("proto_logits", proto_logits, cls_logits.shape);
    wantShape("target", target, [dim(cls_logits, 0)]);
    wantScalar("alpha", alpha);
    wantScalar("threshold", threshold);
    return { target_new: target, kept: vector(dim(cls_logits, 0)) };
  },
  reference: ({ cls_logits, proto_logits, target, alpha, threshold }) => {
    const target_new = new NdArray(target.shape, target.data.slice());
    const kept = NdArray.fill(target.shape, () => 0);
    const a = alpha.at();
    for (let n = 0; n < target.data.length; n++) {
      const proto = softmaxRow(row(proto_logits, n));
      const s = softmaxRow(row(cls_logits, n)).map((v, k) => a * v + (1 - a) * (proto[k] as number));
      const top = Math.max(...s);
      if (top > threshold.at()) target_new.set([n], s.indexOf(top));
      if (top > threshold.at() || (s[target.at(n)] ?? 0) > 1 / s.length) kept.set([n], 1);
    }
    return { target_new, kept };
  },
});
