// One training step in ONNX Runtime beside the compiled one, from equal state. The two may differ by rounding and by
// ReLU or pooling decisions that rounding reverses. Such a difference is accepted only if each side agrees with the f64
// reference that is made to decide in the same way.

import type { Artefact } from "node-cuda-rt";
import type { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";
import type { Elements } from "../../compiler/onnx/model.js";
import type { Model } from "../../compiler/onnx/proto.js";
import { exportStep } from "../../compiler/onnx/training.js";
import { relativeError, toValues } from "./compiled.js";
import type { OrtModel } from "./ort.js";
import {
  agreesWithReference,
  allowed,
  type Differences,
  feedOf,
  runStep,
  type Step,
  stepBy,
  worst,
} from "./step_check.js";
import type { Inputs, States } from "./training.js";

export const valuesOf = (g: Graph, states: States): ReadonlyMap<string, Elements> =>
  new Map(g.state.map((s) => [s.name, toValues(s.type, states.get(s.name) as NdArray) as Elements]));

/** The model of a step program. */
export const stepModel = (g: Graph, states: States, opset = 18): Model =>
  exportStep(g, { opset, values: valuesOf(g, states), plan: { name: "tiny", meta: {} }, checkpoint: {} });

/**
 * The model for a runtime's binding that cannot feed an input which has an initializer. onnxruntime-node is one: it
 * ignores such a feed without a message. In the returned model, state is an input and has no initializer.
 */
export function withoutDefaults(m: Model): Model {
  const inputs = new Set(m.graph.inputs.map((v) => v.name));
  return {
    ...m,
    graph: { ...m.graph, initializers: m.graph.initializers.filter((t) => !inputs.has(t.name)) },
  };
}

/** The same step by ONNX Runtime. */
export const ortStep = (m: OrtModel, g: Graph, feed: ReadonlyMap<Value, NdArray>): Promise<Step> =>
  stepBy(g, feed, async (f) => {
    const out = await m.run(new Map([...f].map(([v, x]) => [v.name, x])));
    const bound = new Map(m.model.training[0]?.updates);
    return {
      outputs: g.outputs.map((v) => out.get(v.name) as NdArray),
      state: new Map([...g.updates.keys()].map((s) => [s.name, out.get(bound.get(s.name) as string) as NdArray])),
    };
  });

export interface Comparison extends Differences {
  readonly ok: boolean;
  readonly decisions: number; // how many steps only agree after reversed decisions: 0 or 1
  readonly states: States; // after the compiled step
}

/** Runs the step on both sides and compares. */
export async function compareStep(
  a: Artefact,
  m: OrtModel,
  g: Graph,
  states: States,
  inputs: Inputs,
): Promise<Comparison> {
  const feed = feedOf(g, states, inputs);
  const ours = await runStep(a, g, feed);
  const theirs = await ortStep(m, g, feed);
  const d = differences(g, theirs, ours);
  const after = new Map([...states, ...ours.state]);
  const ok =
    d.unequal.length === 0 &&
    d.loss.error <= allowed.loss &&
    d.state.error <= allowed.state &&
    d.gradient.error <= allowed.gradient;
  if (ok) return { ...d, ok, decisions: 0, states: after };
  const explained = agreesWithReference(g, feed, ours) && agreesWithReference(g, feed, theirs);
  return { ...d, ok: explained, decisions: 1, states: after };
}

function differences(g: Graph, got: Step, want: Step): Differences {
  const pairs = g.outputs.map((v, i) => ({
    at: v.name,
    got: got.outputs[i] as NdArray,
    want: want.outputs[i] as NdArray,
  }));
  const isLoss = (p: { readonly at: string }): boolean => p.at.startsWith("loss");
  const relative = (x: number, y: number): number => (x === y ? 0 : Math.abs(x - y) / Math.abs(y));
  const tensors = (a: ReadonlyMap<string, NdArray>, b: ReadonlyMap<string, NdArray>) =>
    worst([...b].map(([at, y]) => ({ at, error: relativeError(a.get(at) as NdArray, y) })));
  return {
    loss: worst(
      pairs
        .filter(isLoss)
        .flatMap((p) => [...p.want.data].map((y, i) => ({ at: p.at, error: relative(p.got.data[i] as number, y) }))),
    ),
    state: tensors(got.state, want.state),
    gradient: tensors(got.gradients, want.gradients),
    unequal: pairs
      .filter((p) => !isLoss(p) && p.got.data.join() !== p.want.data.join())
      .map((p) => `${p.at} is ${p.got.data}, not ${p.want.data}`),
  };
}
