// One compiled training step beside the reference evaluator, from equal state: how far losses, the new state and the
// gradients are off. The evaluator computes in f64 from inputs and states that are f32 numbers, as the kernels get them.

import type { Artefact } from "node-cuda-rt";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Node, Value } from "../../compiler/ir/types.js";
import { type Ran, relativeError, runCompiled, runReference } from "./compiled.js";
import { hyperInputs, type Inputs, type States } from "./training.js";

export type Reference = ReturnType<typeof runReference>;

/** The largest difference of a kind, and where it is. */
export interface Worst {
  readonly error: number;
  readonly at: string;
}

/** Differences of one step. Losses by element, tensors in the 2-norm, each relative to the reference. */
export interface StepCheck {
  readonly loss: Worst;
  readonly state: Worst;
  readonly gradient: Worst;
  readonly differing: readonly string[]; // outputs that are counts, labels or flags and not equal
  readonly margin: number; // distance of the label correction from another decision, Infinity in other phases
  readonly reference: Reference;
}

/** What `g` is fed: its inputs and states by name. Throws for a missing one. */
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

/** Runs a step program compiled and by reference from `states`, which must be f32 numbers. */
export async function checkStep(a: Artefact, g: Graph, states: States, inputs: Inputs): Promise<StepCheck> {
  const feed = feedOf(g, states, inputs);
  const reference = runReference(g, feed);
  const got = await runCompiled(a, g, feed);
  const losses = g.outputs.flatMap((v, i) => (v.name.startsWith("loss") ? [i] : []));
  const element = (i: number, v: Value): Worst[] =>
    [...(reference.outputs[i] as NdArray).data].map((want, k) => ({
      error: Math.abs((got.outputs[i] as NdArray).at(k) - want) / Math.abs(want),
      at: v.name,
    }));
  return {
    loss: worst(losses.flatMap((i) => element(i, g.outputs[i] as Value))),
    state: worst(
      [...reference.state].map(([name, want]) => ({ error: relativeError(got.state.get(name) as NdArray, want), at: name })),
    ),
    gradient: await gradients(a, g, feed, reference),
    differing: g.outputs
      .filter((_, i) => !losses.includes(i))
      .filter((v) => `${outputOf(g, got, v.name).data}` !== `${outputOf(g, reference, v.name).data}`)
      .map((v) => `${v.name} is ${outputOf(g, got, v.name).data}, not ${outputOf(g, reference, v.name).data}`),
    margin: marginOf(g, reference),
    reference,
  };
}

export function outputOf(g: Graph, ran: Ran, name: string): NdArray {
  const x = ran.outputs[g.outputs.findIndex((v) => v.name === name)];
  if (!x) throw new Error(`${g.name} has no output ${name}`);
  return x;
}

/** The largest of the differences; one that is no number comes before all. */
export const worst = (all: readonly Worst[]): Worst =>
  all.reduce((a, b) => (b.error > a.error || Number.isNaN(b.error) ? b : a), { error: 0, at: "" });

/** From momenta of zero and without weight decay, the velocity after the step is the gradient. */
async function gradients(
  a: Artefact, g: Graph, feed: ReadonlyMap<Value, NdArray>, { env }: Reference,
): Promise<Worst> {
  const off = hyperInputs({ weight_decay: 0 });
  const still = new Map([...feed].map(([v, x]) => [v, v.name === "hyper.weight_decay" ? (off[v.name] as NdArray) : x]));
  for (const s of g.state) if (s.role === "momentum") still.set(s, NdArray.fill(s.type.shape, () => 0));
  const got = await runCompiled(a, g, still);
  return worst(
    g.nodes
      .filter((n) => n.op === "sgd")
      .map((n) => {
        const [p, , gradient] = n.inputs as readonly [Value, Value, Value];
        const factor = n.attrs["grad_scale"] as number;
        const want = (env.get(gradient) as NdArray).data.map((v) => v * factor);
        const velocity = got.state.get(`optimizer.momentum.${p.name}`) as NdArray;
        return { error: relativeError(velocity, new NdArray(p.type.shape, want)), at: p.name };
      }),
  );
}

const softmax = (l: readonly number[]): number[] => {
  const e = l.map((v) => Math.exp(v - Math.max(...l)));
  return e.map((v) => v / e.reduce((s, u) => s + u, 0));
};

/** By how little a score would have to change for another label or another verdict on any sample. */
function marginOf(g: Graph, { env }: Reference): number {
  const node = g.nodes.find((n): n is Node => n.op === "correct_labels");
  if (!node) return Number.POSITIVE_INFINITY;
  const [cls, proto, given, alpha, threshold] = node.inputs.map((v) => env.get(v)) as [
    NdArray, NdArray, NdArray, NdArray, NdArray,
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
