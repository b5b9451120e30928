// One compiled training step beside the reference evaluator, from equal state: the differences of losses, new state and
// gradients. The evaluator computes in f64, but from inputs and states that are f32 numbers, as the kernels get them.

import type { Artefact } from "node-cuda-rt";
import { type Env, evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";
import { type Ran, relativeError, runCompiled } from "./compiled.js";
import { closeDecisions, type Decision, decidingOtherwise } from "./decisions.js";
import type { Inputs, States } from "./training.js";

/** The largest difference of a kind, and its position. */
export interface Worst {
  readonly error: number;
  readonly at: string;
}

/** Differences of losses by element, of tensors in the 2-norm; each relative to the reference. */
export interface Differences {
  readonly loss: Worst;
  readonly state: Worst;
  readonly gradient: Worst;
  readonly unequal: readonly string[]; // counts, labels and flags that are not equal
}

export interface StepCheck extends Differences {
  readonly margin: number; // of the label correction, see marginOf; Infinity in other phases
  readonly otherwise: readonly Decision[]; // ReLU and pooling: reversed in the reference
  readonly reference: Env; // of the decisions as they are in f64
}

/** The largest differences that a step may have. */
export const allowed = { loss: 1e-5, state: 1e-4, gradient: 1e-3 } as const;
/** A decision this close, relative to the values around it, may fall the other way in f32. */
const close = 5e-6;

/** The feed of `g`: its inputs and states by name. Throws if one is missing. */
export function feedOf(g: Graph, states: States, inputs: Inputs): ReadonlyMap<Value, NdArray> {
  const needed = (v: Value, x: NdArray | undefined): readonly [Value, NdArray] => {
    if (!x) throw new Error(`no value for %${v.name} of ${g.name}`);
    return [v, x];
  };
  return new Map([
    ...g.inputs.map((v) => needed(v, inputs[v.name])),
    ...g.state.map((s) => needed(s, states.get(s.name))),
  ]);
}

/**
 * Runs a step program, compiled and by reference, from `states`, which must be f32 numbers. If they differ by more than
 * is allowed, close decisions are reversed in the reference, one or two at a time, until they agree.
 */
export async function checkStep(a: Artefact, g: Graph, states: States, inputs: Inputs): Promise<StepCheck> {
  const feed = feedOf(g, states, inputs);
  return checkAgainstReference(g, feed, await runStep(a, g, feed));
}

/** Compares the results of a step with the reference, as `checkStep` does. */
function checkAgainstReference(g: Graph, feed: ReadonlyMap<Value, NdArray>, step: Step): StepCheck {
  const reference = evaluate(g, feed);
  const found = { margin: marginOf(g, reference), reference };
  const plain = differences(g, step, reference);
  if (isAllowed(plain)) return { ...plain, ...found, otherwise: [] };
  const candidates = closeDecisions(g, reference, close).slice(0, 8);
  const pairs = candidates.flatMap((d, i) => candidates.slice(0, i).map((e) => [d, e]));
  for (const otherwise of [...candidates.map((d) => [d]), ...pairs]) {
    const d = differences(g, step, decidingOtherwise(g, feed, otherwise));
    if (isAllowed(d)) return { ...d, ...found, otherwise };
  }
  return { ...plain, ...found, otherwise: [] };
}

/** Whether a step agrees with the reference, with close decisions reversed if that is needed. */
export function agreesWithReference(g: Graph, feed: ReadonlyMap<Value, NdArray>, step: Step): boolean {
  const check = checkAgainstReference(g, feed, step);
  return isAllowed(check) && check.unequal.length === 0;
}

export const isAllowed = (d: Differences): boolean =>
  d.loss.error <= allowed.loss && d.state.error <= allowed.state && d.gradient.error <= allowed.gradient;

/** A step, and its gradients: from momenta of zero and without weight decay they are the momenta after it. */
export interface Step extends Ran {
  readonly gradients: ReadonlyMap<string, NdArray>; // by momentum
}

/** The compiled step. */
export const runStep = (a: Artefact, g: Graph, feed: ReadonlyMap<Value, NdArray>): Promise<Step> =>
  stepBy(g, feed, (f) => runCompiled(a, g, f));

/** Runs a step with any function that runs the program. */
export async function stepBy(
  g: Graph,
  feed: ReadonlyMap<Value, NdArray>,
  run: (feed: ReadonlyMap<Value, NdArray>) => Promise<Ran>,
): Promise<Step> {
  const still = new Map([...feed].map(([v, x]) => [v, v.name === "hyper.weight_decay" ? NdArray.scalar(0) : x]));
  const momenta = g.state.filter((s) => s.role === "momentum");
  for (const s of momenta)
    still.set(
      s,
      NdArray.fill(s.type.shape, () => 0),
    );
  const { state } = await run(still);
  const gradients = new Map(momenta.map((s) => [s.name, state.get(s.name) as NdArray]));
  return { ...(await run(feed)), gradients };
}

function differences(g: Graph, got: Step, want: Env): Differences {
  const value = (v: Value): NdArray => want.get(v) as NdArray;
  const outputs = g.outputs.map((v, i) => ({ name: v.name, got: got.outputs[i] as NdArray, want: value(v) }));
  const isLoss = (o: { readonly name: string }): boolean => o.name.startsWith("loss");
  const losses = outputs
    .filter(isLoss)
    .flatMap((o) => [...o.want.data].map((w, i) => ({ error: relative(o.got.data[i] as number, w), at: o.name })));
  const states = [...g.updates].map(([s, v]) => ({
    error: relativeError(got.state.get(s.name) as NdArray, value(v)),
    at: s.name,
  }));
  const gradients = g.nodes
    .filter((n) => n.op === "sgd")
    .map((n) => {
      const [p, v, gradient] = n.inputs as readonly [Value, Value, Value];
      const scaled = value(gradient).data.map((x) => x * (n.attrs.grad_scale as number));
      const error = relativeError(got.gradients.get(v.name) as NdArray, new NdArray(p.type.shape, scaled));
      return { error, at: p.name };
    });
  return {
    loss: worst(losses),
    state: worst(states),
    gradient: worst(gradients),
    unequal: outputs
      .filter((o) => !isLoss(o) && o.got.data.join() !== o.want.data.join())
      .map((o) => `${o.name} is ${o.got.data}, not ${o.want.data}`),
  };
}

const relative = (got: number, want: number): number => (got === want ? 0 : Math.abs(got - want) / Math.abs(want));

/** The largest of the differences; NaN is larger than any number. */
export const worst = (all: readonly Worst[]): Worst =>
  all.reduce((a, b) => (b.error > a.error || Number.isNaN(b.error) ? b : a), { error: 0, at: "" });

/** The smallest change of a score that would give another label or another verdict on any sample. */
function marginOf(g: Graph, env: Env): number {
  const node = g.nodes.find((n) => n.op === "correct_labels");
  if (!node) return Number.POSITIVE_INFINITY;
  const [cls, proto, given, alpha, threshold] = node.inputs.map((v) => env.get(v)) as [
    NdArray,
    NdArray,
    NdArray,
    NdArray,
    NdArray,
  ];
  const classes = cls.shape[1] as number;
  const row = (x: NdArray, n: number): number[] => softmax([...x.data.subarray(n * classes, (n + 1) * classes)]);
  const margins = [...given.data].map((y, n) => {
    const p = row(proto, n);
    const s = row(cls, n).map((v, k) => alpha.at() * v + (1 - alpha.at()) * (p[k] as number));
    const [top, second] = s.toSorted((a, b) => b - a) as [number, number];
    const decided = Math.abs(top - threshold.at());
    return Math.min(decided, top > threshold.at() ? top - second : Math.abs((s[y] as number) - 1 / classes));
  });
  return Math.min(...margins);
}

function softmax(l: readonly number[]): number[] {
  const e = l.map((v) => Math.exp(v - Math.max(...l)));
  return e.map((v) => v / e.reduce((s, u) => s + u, 0));
}
