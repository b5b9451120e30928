// Losses of classes: the negative logarithm of the probability of each target, as f32 if the scores are f16 or bf16.

import type { Builder } from "../../ir/builder.js";
import type { DType, Value } from "../../ir/types.js";
import { compute, converted } from "../../ops/composed/compute.js";
import { reshaped } from "../../ops/composed/layout.js";
import { logSoftmaxAlong } from "../../ops/composed/reduce.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { type Build, type Rules, since } from "./rule.js";

/** The sum of all elements. */
function total(b: Builder, x: Value): Value {
  const axes = x.type.shape.map((_, i) => i);
  return x.type.dtype === "f32" && axes.length > 0 ? op.sum(b, x, { axes }) : op.fold(b, x, { of: "sum", axes });
}

/** -w[t] * logs[n, t, ...] for the targets t, their mean weighted by w, or their sum. */
function likelihood(at: At, logs: Value): Value {
  const b = at.builder;
  const reduction = at.text("reduction", "mean");
  if (!["none", "mean", "sum"].includes(reduction)) at.refuse(`reduction ${reduction} is not known`);
  const ignored = at.given("ignore_index") ? at.int("ignore_index", 0) : undefined;
  const target = at.in(1);
  const { shape } = logs.type;
  const expected = [shape[0] as number, ...shape.slice(2)];
  if (shape.length < 2 || target.type.shape.join() !== expected.join())
    at.refuse(`targets [${target.type.shape}] do not fit scores [${shape}]`);
  const dtype = logs.type.dtype as DType;
  const counted = ignored === undefined ? undefined : compute(b, `not(equal(x0,${ignored}))`, target);
  const kept = (v: Value): Value => (counted ? op.map(b, [counted, v], { expr: "where(x0,x1,0)" }) : v);
  const rows = reshaped(b, target, [shape[0] as number, 1, ...shape.slice(2)]);
  const picked = reshaped(b, op.gather_elements(b, logs, rows, { axis: 1 }), expected);
  const weights = at.has(2) ? op.gather(b, converted(b, at.in(2), dtype), target, { axis: 0 }) : undefined;
  const loss = kept(weights ? compute(b, "neg(mul(x0,x1))", picked, weights) : compute(b, "neg(x0)", picked));
  if (reduction === "none") return loss;
  if (reduction === "sum") return total(b, loss);
  const one = op.map(b, [], { expr: `to_${dtype}(1)`, shape: expected });
  return compute(b, "div(x0,x1)", total(b, loss), total(b, kept(weights ?? one)));
}

const wide = (at: At): Value => {
  const x = at.in(0);
  return x.type.dtype === "f64" ? x : converted(at.builder, x, "f32");
};

const negativeLogLikelihood: Build = (at) => converted(at.builder, likelihood(at, wide(at)), at.type(0).dtype as DType);

const softmaxCrossEntropy: Build = (at) => {
  const logs = logSoftmaxAlong(at.builder, wide(at), 1);
  const own = (v: Value): Value => converted(at.builder, v, at.type(0).dtype as DType);
  return [own(likelihood(at, logs)), at.wants(1) ? own(logs) : undefined];
};

export const losses: Rules = {
  NegativeLogLikelihoodLoss: since(12, negativeLogLikelihood),
  SoftmaxCrossEntropyLoss: since(12, softmaxCrossEntropy),
};
