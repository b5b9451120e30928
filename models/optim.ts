// Optimizers as graph builders: they declare their own state and update the parameters. If `finite` f32[] is 0, a step
// changes nothing.

import type { Builder } from "../compiler/ir/builder.js";
import type { Value } from "../compiler/ir/types.js";
import * as op from "../compiler/ops/index.js";

/** f32[] values, usually inputs of the program. */
export interface SgdHyper {
  readonly lr: Value;
  readonly momentum: Value;
  readonly weight_decay: Value;
}

export interface UpdateOptions {
  /** The factor on the weight decay of a parameter; absent: 1 for all. See decayMatrices(). */
  readonly decay?: (p: Value) => number;
  /** f32[], a factor on all gradients, such as that of clip_by_norm(). */
  readonly clip?: Value;
}

/** Parameters with at least two axes decay, except those with these names; biases and weights of norms do not. */
export const decayMatrices =
  (except: readonly string[] = []) =>
  (p: Value): number =>
    p.type.shape.length > 1 && !except.some((name) => p.name === name || p.name.endsWith(`.${name}`)) ? 1 : 0;

/** The weight decay of each parameter. Equal factors share one value, so that their updates become one launch. */
function decays(b: Builder, decay: Value, factor: (p: Value) => number = () => 1): (p: Value) => Value {
  const known = new Map([[1, decay]]);
  return (p) => {
    const f = factor(p);
    const made = known.get(f) ?? op.scale(b.at("optimizer.decay"), decay, { factor: f });
    known.set(f, made);
    return made;
  };
}

function checkGradients(params: readonly Value[], grads: readonly Value[]): void {
  if (params.length !== grads.length) throw new Error(`${grads.length} gradients for ${params.length} parameters`);
}

/** A state of zeros for each parameter: optimizer.NAME.PARAMETER. Those of one name lie side by side. */
const moments = (b: Builder, name: string, params: readonly Value[]): Value[] =>
  params.map((p) => b.at(`optimizer.${name}`).state(p.name, p.type, { kind: "constant", value: 0 }, "momentum"));

/**
 * One step of SGD with momentum for each parameter, in order: v = momentum v + (gradScale g + weight_decay p);
 * p -= lr v. The buffers v are the states `optimizer.momentum.NAME`.
 */
export function sgd(
  b: Builder,
  params: readonly Value[],
  grads: readonly Value[],
  hyper: SgdHyper,
  finite: Value,
  gradScale = 1,
  { decay, clip }: UpdateOptions = {},
): void {
  checkGradients(params, grads);
  const { lr, momentum, weight_decay } = hyper;
  const decayOf = decays(b, weight_decay, decay);
  const buffers = moments(b, "momentum", params);
  params.forEach((p, i) => {
    const v = buffers[i] as Value;
    const at = b.at(`optimizer.${p.name}`);
    const g = clip ? op.mul(at, grads[i] as Value, clip) : (grads[i] as Value);
    const next = op.sgd(at, p, v, g, lr, momentum, decayOf(p), finite, { grad_scale: gradScale });
    b.update(p, next.p_new);
    b.update(v, next.v_new);
  });
}

/**
 * The number of steps that changed something before this one: the state `optimizer.step` i64[], which counts them. All
 * that ask for it in one graph get the same.
 */
export function steps(b: Builder, finite: Value): { readonly before: Value; readonly after: Value } {
  const name = "optimizer.step";
  const known = b.states.find((s) => s.name === name);
  const before =
    known ?? b.at("optimizer").state("step", { dtype: "i64", shape: [] }, { kind: "constant", value: 0 }, "buffer");
  const after = b.updateOf(before) ?? op.increment(b.at(name), before, finite);
  if (!b.updateOf(before)) b.update(before, after);
  return { before, after };
}

/** f32[] values, usually inputs of the program. PyTorch's defaults: beta1 0.9, beta2 0.999, eps 1e-8. */
export interface AdamwHyper {
  readonly lr: Value;
  readonly beta1: Value;
  readonly beta2: Value;
  readonly eps: Value;
  readonly weight_decay: Value;
}

/**
 * One step of AdamW (the op adamw) for each parameter, as torch.optim.AdamW. The states are `optimizer.exp_avg.NAME`,
 * `optimizer.exp_avg_sq.NAME` and `optimizer.step`.
 */
export function adamw(
  b: Builder,
  params: readonly Value[],
  grads: readonly Value[],
  hyper: AdamwHyper,
  finite: Value,
  gradScale = 1,
  { decay, clip }: UpdateOptions = {},
): void {
  checkGradients(params, grads);
  const { lr, beta1, beta2, eps, weight_decay } = hyper;
  const at = b.at("optimizer.adamw");
  const { after } = steps(b, finite);
  // in f64, because 1 - beta2 loses digits; before the first step that counts it is 0, and nothing changes
  const correction = (beta: Value): Value =>
    op.map(at, [beta, after], { expr: "to_f32(sub(1,pow(to_f64(x0),to_f64(x1))))" });
  const [c1, c2] = [correction(beta1), correction(beta2)];
  const decayOf = decays(b, weight_decay, decay);
  const factor = clip ?? op.scalar(at, 1);
  const [first, second] = [moments(b, "exp_avg", params), moments(b, "exp_avg_sq", params)];
  params.forEach((p, i) => {
    const [m, v, g] = [first[i], second[i], grads[i]] as [Value, Value, Value];
    const scalars = [lr, beta1, beta2, eps, decayOf(p), c1, c2, factor, finite] as const;
    const next = op.adamw(b.at(`optimizer.${p.name}`), p, m, v, g, ...scalars, { grad_scale: gradScale });
    b.update(p, next.p_new);
    b.update(m, next.m_new);
    b.update(v, next.v_new);
  });
}

/** The 2-norm of all elements of the tensors together, f32[]. */
export function norm(b: Builder, xs: readonly Value[]): Value {
  const squares = xs.map((x) =>
    op.reshape(b, op.sum(b, op.square(b, x), { axes: [...x.type.shape.keys()] }), { shape: [1] }),
  );
  return op.sqrt(b, op.sum(b, op.concat(b, squares, { axis: 0 }), { axes: [0] }));
}

/**
 * The factor, f32[], with which gradients of a larger norm get the norm `most` f32[], and their norm before: the
 * smaller of 1 and most / (norm + 1e-6), as torch.nn.utils.clip_grad_norm_. The norm is that of gradScale g.
 */
export function clip_by_norm(
  b: Builder,
  grads: readonly Value[],
  most: Value,
  gradScale = 1,
): { readonly clip: Value; readonly norm: Value } {
  const at = b.at("optimizer.clip");
  const all = op.scale(at, norm(at, grads), { factor: gradScale });
  const one = op.scalar(at, 1);
  const above = op.div(at, op.add(at, all, op.scalar(at, 1e-6)), most);
  return { clip: op.div(at, one, op.add(at, one, op.relu(at, op.sub(at, above, one)))), norm: all };
}

export interface LarsHyper extends SgdHyper {
  readonly trust: Value; // usually 0.001
}

/**
 * One step of LARS (You, Gitman, Ginsburg: Large Batch Training of Convolutional Networks, 2017) for each parameter:
 * v = momentum v + lr r (gradScale g + weight_decay p); p -= v, where r = trust |p| / (|gradScale g| + weight_decay
 * |p|), or 1 if p or g is 0. Parameters for which `adapts` is false (by default those with one axis) have r = 1 and do
 * not decay. The buffers v are the states `optimizer.momentum.NAME`.
 */
export function lars(
  b: Builder,
  params: readonly Value[],
  grads: readonly Value[],
  hyper: LarsHyper,
  finite: Value,
  gradScale = 1,
  { decay, clip, adapts = (p) => decayMatrices()(p) === 1 }: UpdateOptions & { adapts?: (p: Value) => boolean } = {},
): void {
  checkGradients(params, grads);
  const { lr, momentum, weight_decay, trust } = hyper;
  const decayOf = decays(b, weight_decay, (p) => (adapts(p) ? (decay?.(p) ?? 1) : 0));
  const [one, zero] = [op.scalar(b.at("optimizer"), 1), op.scalar(b.at("optimizer"), 0)];
  const buffers = moments(b, "momentum", params);
  params.forEach((p, i) => {
    const at = b.at(`optimizer.${p.name}`);
    const v = buffers[i] as Value;
    const scaled = op.scale(at, grads[i] as Value, { factor: gradScale });
    const g = clip ? op.mul(at, scaled, clip) : scaled;
    const pull = op.add(at, g, op.mul(at, p, decayOf(p)));
    const ratio = "where(equal(mul(x0,x1),0),1,div(mul(x2,x0),add(x1,mul(x3,x0))))";
    const rate = adapts(p)
      ? op.mul(at, lr, op.map(at, [norm(at, [p]), norm(at, [g]), trust, decayOf(p)], { expr: ratio }))
      : lr;
    const next = op.sgd(at, p, v, op.mul(at, pull, rate), one, momentum, zero, finite, { grad_scale: 1 });
    b.update(p, next.p_new);
    b.update(v, next.v_new);
  });
}

/**
 * Moving averages of the parameters, e = decay e + (1 - decay) p with p after the step; call it after the optimizer.
 * The states are `ema.NAME` and begin as copies. Throws if a parameter has no update.
 */
export function ema(b: Builder, params: readonly Value[], decay: number, finite: Value): void {
  const states = params.map((p) => b.at("ema").state(p.name, p.type, { kind: "copy", of: p.name }, "buffer"));
  params.forEach((p, i) => {
    const next = b.updateOf(p);
    if (!next) throw new Error(`ema of %${p.name}, which has no update: call it after the optimizer`);
    const e = states[i] as Value;
    b.update(e, op.running_average(b.at(e.name), e, next, finite, { momentum: 1 - decay }));
  });
}

/**
 * lr times (s + 1) / count in step s, until that is 1: a linear warm-up over the first `count` steps that change
 * something. lr may itself follow a schedule.
 */
export function warm_up(b: Builder, lr: Value, count: number, finite: Value): Value {
  const { before } = steps(b, finite);
  return op.map(b.at("optimizer.warm_up"), [lr, before], {
    expr: `mul(x0,min(1,div(add(to_f32(x1),1),${count})))`,
  });
}

/** The trained states of the graph so far, in order of declaration. */
export const parameters = (b: Builder): readonly Value[] => b.states.filter((s) => s.role === "param");
