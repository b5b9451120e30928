// The optimizers of ai.onnx.preview.training: inputs are the rate R, the number of updates before T, and then, for n
// tensors, n values, n gradients and n of each state.

import type { Value } from "../../ir/types.js";
import { converted } from "../../ops/composed/compute.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { type Rules, since } from "./rule.js";

interface Tensors {
  readonly rate: Value;
  readonly count: Value; // T
  readonly x: Value;
  readonly states: readonly Value[];
  readonly gradient: Value;
}

/** One update per tensor; `update` returns the new value and the new states. */
function optimizer(at: At, states: number, update: (t: Tensors) => readonly Value[]): Value[] {
  const each = (at.count - 2) / (2 + states);
  if (!Number.isInteger(each) || each < 1) at.refuse(`${at.count} inputs are not those of some tensors`);
  const [rate, count] = [at.in(0), at.in(1)];
  const results = Array.from({ length: each }, (_, i) => {
    const part = (k: number): Value => at.in(2 + k * each + i);
    const x = part(0);
    const b = at.builder;
    return update({
      rate: converted(b, rate, x.type.dtype),
      count: converted(b, count, x.type.dtype),
      x,
      gradient: part(1),
      states: Array.from({ length: states }, (_, k) => part(2 + k)),
    });
  });
  return Array.from({ length: 1 + states }, (_, k) => results.map((r) => r[k] as Value)).flat();
}

function adagrad(at: At): Value[] {
  const [norm, decay, eps] = [at.float("norm_coefficient", 0), at.float("decay_factor", 0), at.float("epsilon", 1e-6)];
  const b = at.builder;
  return optimizer(at, 1, ({ rate, count, x, gradient, states: [h] }) => {
    const g = op.map(b, [x, gradient], { expr: `add(mul(x0,${norm}),x1)` });
    const sum = op.map(b, [h as Value, g], { expr: "add(x0,mul(x1,x1))" });
    const expr = `sub(x0,div(mul(div(x1,add(1,mul(x2,${decay}))),x3),add(sqrt(x4),${eps})))`;
    return [op.map(b, [x, rate, count, g, sum], { expr }), sum];
  });
}

function adam(at: At): Value[] {
  const [alpha, beta, eps] = [at.float("alpha", 0.9), at.float("beta", 0.999), at.float("epsilon", 1e-6)];
  const [norm, after] = [at.float("norm_coefficient", 0), at.float("norm_coefficient_post", 0)];
  const b = at.builder;
  return optimizer(at, 2, ({ rate, count, x, gradient, states: [v, h] }) => {
    const g = op.map(b, [x, gradient], { expr: `add(mul(x0,${norm}),x1)` });
    const first = op.map(b, [v as Value, g], { expr: `add(mul(x0,${alpha}),mul(x1,${1 - alpha}))` });
    const second = op.map(b, [h as Value, g], { expr: `add(mul(x0,${beta}),mul(mul(x1,x1),${1 - beta}))` });
    const unbiased = `div(mul(x0,sqrt(sub(1,pow(${beta},x1)))),sub(1,pow(${alpha},x1)))`;
    const r = op.map(b, [rate, count], { expr: `where(greater(x1,0),${unbiased},x0)` });
    const expr = `mul(sub(x0,div(mul(x1,x2),add(sqrt(x3),${eps}))),${1 - after})`;
    return [op.map(b, [x, r, first, second], { expr }), first, second];
  });
}

function momentum(at: At): Value[] {
  const [alpha, beta, norm] = [at.float("alpha", 0), at.float("beta", 0), at.float("norm_coefficient", 0)];
  const mode = at.text("mode", "");
  if (mode !== "standard" && mode !== "nesterov") at.refuse(`mode "${mode}" is not standard or nesterov`);
  const b = at.builder;
  return optimizer(at, 1, ({ rate, count, x, gradient, states: [v] }) => {
    const g = op.map(b, [x, gradient], { expr: `add(mul(x0,${norm}),x1)` });
    const share = `mul(x1,where(greater(x2,0),${beta},1))`;
    const next = op.map(b, [v as Value, g, count], { expr: `add(mul(x0,${alpha}),${share})` });
    const by = mode === "nesterov" ? `add(x3,mul(x2,${alpha}))` : "x2";
    return [op.map(b, [x, rate, next, g], { expr: `sub(x0,mul(x1,${by}))` }), next];
  });
}

const DOMAIN = "ai.onnx.preview.training";
export const training: Rules = {
  [`${DOMAIN}::Adagrad`]: since(1, adagrad),
  [`${DOMAIN}::Adam`]: since(1, adam),
  [`${DOMAIN}::Momentum`]: since(1, momentum),
};
