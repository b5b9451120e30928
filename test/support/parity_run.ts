// The recorded run of the published code repeated by compiled programs, all steps in a row from the recorded
// start, and what that computes in the terms of the recording.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Artefact, Values } from "node-cuda-rt";
import type { NdArray } from "../../compiler/ir/nd.js";
import type { Graph } from "../../compiler/ir/types.js";
import { root } from "../../compiler/util/root.js";
import { toValues } from "./compiled.js";
import { phaseOf, type Trace, traceInputs, type TraceRank, traceStates, type TraceStep } from "./parity.js";

/**
 * The largest difference of a quantity ("rel_loss_cls", "rel_grad_l2:all", "relL2_BN_q", ...) at a step
 * between runs of the published code that should be equal. Throws for an unknown quantity.
 */
export function loadGrowth(): (step: number, quantity: string) => number {
  const text = readFileSync(join(root, "test", "fixtures", "parity-trace", "growth.json"), "utf8");
  const steps = (JSON.parse(text) as { a: { per_step_max: Record<string, number>[] } }).a.per_step_max;
  return (step, quantity) => {
    const x = steps[step]?.[quantity];
    if (x === undefined) throw new Error(`growth.json has no ${quantity} at step ${step}`);
    return x;
  };
}

/** Norm, mean and first elements of a state tensor. */
export interface Summary {
  readonly l2: number;
  readonly mean: number;
  readonly first: readonly number[];
}

type OwnRank = Omit<TraceRank, "target_in">;

/** A step as the recording has it, where we have the same: one rank, gradient norms before weight decay. */
export interface OwnStep {
  readonly rank: OwnRank;
  readonly grad_l2: Readonly<Record<string, number>>;
  readonly state: Readonly<
    Record<"q_l2" | "k_l2" | "bn_q_l2" | "bn_k_l2" | "queue_l2" | "proto_l2" | "queue_ptr", number>
  >;
  readonly tensors: ReadonlyMap<string, Summary>; // all states, after the last step of a phase
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
      state: stateNorms(params, after),
      tensors: new Map(
        trace.steps[i + 1]?.phase === recorded.phase ? [] : [...after].map(([name, x]) => [name, summary(x)]),
      ),
      finite: Number(out["finite"]?.[0]),
    });
    before = after;
  }
  return steps;
}

type State = ReadonlyMap<string, Values>;
const snapshot = (a: Artefact): State =>
  new Map(a.state.filter((s) => s.role !== "derived").map((s) => [s.name, a.get(s.name)]));

function rankOf(out: Readonly<Record<string, Values>>, step: TraceStep, batch: number): OwnRank {
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
  params: readonly string[],
  before: State,
  after: State,
  momentum: number,
  wd: number,
): Readonly<Record<string, number>> {
  const sums = params.map((p) => {
    const [x, v, next] = [
      before.get(p),
      before.get(`optimizer.momentum.${p}`),
      after.get(`optimizer.momentum.${p}`),
    ] as [Float32Array, Float32Array, Float32Array];
    let s = 0;
    for (let i = 0; i < x.length; i++)
      s += ((next[i] as number) - momentum * (v[i] as number) - wd * (x[i] as number)) ** 2;
    return [p.replace("encoder_q.", ""), s] as const;
  });
  const all = sums.reduce((sum, [, s]) => sum + s, 0);
  return Object.fromEntries([["all", all] as const, ...sums].map(([name, s]) => [name, Math.sqrt(s)]));
}

/** Norms over all parameters or running averages of an encoder, as the recording sums them up. */
function stateNorms(params: readonly string[], state: State): OwnStep["state"] {
  const norm = (names: readonly string[]): number =>
    Math.sqrt(names.reduce((s, n) => s + squares(state.get(n) as Values), 0));
  const running = (encoder: string): string[] =>
    [...state.keys()].filter((n) => n.startsWith(`${encoder}.`) && /running_(mean|var)$/.test(n));
  return {
    q_l2: norm(params),
    k_l2: norm(params.map((p) => p.replace("encoder_q.", "encoder_k."))),
    bn_q_l2: norm(running("encoder_q")),
    bn_k_l2: norm(running("encoder_k")),
    queue_l2: norm(["queue"]),
    proto_l2: norm(["prototypes"]),
    queue_ptr: Number(state.get("queue_ptr")?.[0]),
  };
}

function squares(x: Values): number {
  let s = 0;
  for (let i = 0; i < x.length; i++) s += Number(x[i]) ** 2;
  return s;
}

function summary(x: Values): Summary {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += Number(x[i]);
  return {
    l2: Math.sqrt(squares(x)),
    mean: sum / x.length,
    first: Array.from({ length: Math.min(4, x.length) }, (_, i) => Number(x[i])),
  };
}
