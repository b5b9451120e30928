// The recorded run of the published code repeated by compiled programs, all steps in a row from the recorded start, and
// what that computes in the terms of the recording.

import type { Artefact, Values } from "node-cuda-rt";
import type { Graph } from "../../compiler/ir/types.js";
import { toValues } from "./compiled.js";
import { phaseOf, type Trace, traceInputs, type TraceRank, traceStates, type TraceStep } from "./parity.js";
import type { NdArray } from "../../compiler/ir/nd.js";

/** Norm, mean and first elements of a state tensor. */
export interface Summary {
  readonly l2: number;
  readonly mean: number;
  readonly first: readonly number[];
}

/** A step as the recording has it, where we have the same: one rank, gradient norms before weight decay. */
export interface OwnStep {
  readonly rank: Pick<TraceRank, "loss_total" | "loss_cls" | "loss_inst" | "loss_proto" | "acc_cls" | "acc_inst" | "acc_proto"
    | "target_out" | "n_used"> & Pick<TraceRank, "pseudo_label" | "clean_idx">;
  readonly grad_l2: Readonly<Record<string, number>>;
  readonly tensors: ReadonlyMap<string, Summary>; // all states after the step
  readonly finite: number;
}

/** All steps of the recording by the programs of `a`; `graphs` are the three phases. */
export async function repeat(a: Artefact, trace: Trace, graphs: readonly Graph[]): Promise<OwnStep[]> {
  const first = graphs[0] as Graph;
  const states = traceStates(trace, first);
  for (const s of first.state) a.set(s.name, toValues(s.type, states.get(s.name) as NdArray));
  const params = first.state.filter((s) => s.role === "param").map((s) => s.name);
  let before = snapshot(a);
  const steps: OwnStep[] = [];
  for (const [i, recorded] of trace.steps.entries()) {
    const g = graphs.find((g) => g.name === phaseOf(recorded)) as Graph;
    const all = traceInputs(trace, i);
    const inputs = g.inputs.map((v) => [v.name, toValues(v.type, all[v.name] as NdArray)] as const);
    const out = await a.run(g.name, Object.fromEntries(inputs));
    const after = snapshot(a);
    steps.push({
      rank: rankOf(out, recorded, trace.meta.batch),
      grad_l2: gradientNorms(params, before, after, trace.meta.momentum, trace.meta.wd),
      tensors: new Map([...after].map(([name, x]) => [name, summary(x)])),
      finite: Number(out["finite"]?.[0]),
    });
    before = after;
  }
  return steps;
}

type State = ReadonlyMap<string, Values>;
const snapshot = (a: Artefact): State =>
  new Map(a.state.filter((s) => s.role !== "derived").map((s) => [s.name, a.get(s.name)]));

function rankOf(out: Readonly<Record<string, Values>>, step: TraceStep, batch: number): OwnStep["rank"] {
  const [recorded] = step.ranks as readonly [TraceRank];
  const scalar = (name: string): number => Number(out[name]?.[0]);
  const list = (name: string): number[] => Array.from(out[name] as ArrayLike<number | bigint>, Number);
  const labels = "target_out" in out ? list("target_out") : [...recorded.target_in];
  const kept = "kept" in out ? list("kept") : labels.map(() => 1);
  const n_used = kept.filter((k) => k === 1).length;
  return {
    loss_total: scalar("loss"),
    loss_cls: scalar("loss_cls"),
    loss_inst: scalar("loss_inst"),
    loss_proto: "loss_proto" in out ? scalar("loss_proto") : null,
    acc_cls: (100 * scalar("correct_cls")) / n_used,
    acc_inst: (100 * scalar("correct_inst")) / batch,
    acc_proto: "correct_proto" in out ? (100 * scalar("correct_proto")) / n_used : null,
    target_out: labels.filter((_, i) => kept[i] === 1),
    n_used,
    ...("kept" in out && { pseudo_label: labels, clean_idx: kept }),
  };
}

/** g = v' - momentum v - wd p, for each parameter without "encoder_q." and for all together. */
function gradientNorms(
  params: readonly string[], before: State, after: State, momentum: number, wd: number,
): Readonly<Record<string, number>> {
  const squares = params.map((p) => {
    const [x, v, next] = [before.get(p), before.get(`optimizer.momentum.${p}`), after.get(`optimizer.momentum.${p}`)] as
      [Float32Array, Float32Array, Float32Array];
    let s = 0;
    for (let i = 0; i < x.length; i++)
      s += ((next[i] as number) - momentum * (v[i] as number) - wd * (x[i] as number)) ** 2;
    return [p.replace("encoder_q.", ""), s] as const;
  });
  const all = squares.reduce((sum, [, s]) => sum + s, 0);
  return Object.fromEntries([["all", all] as const, ...squares].map(([name, s]) => [name, Math.sqrt(s)]));
}

function summary(values: Values): Summary {
  const x = Float64Array.from(values as ArrayLike<number | bigint>, Number);
  return {
    l2: Math.sqrt(x.reduce((s, v) => s + v * v, 0)),
    mean: x.reduce((s, v) => s + v, 0) / x.length,
    first: [...x.slice(0, 4)],
  };
}
