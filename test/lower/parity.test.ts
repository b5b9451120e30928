// Compiled programs against the recorded run of the published code: ResNet-18 at 224 x 224, twelve steps in a
// row. Differences grow from step to step; how fast was measured between runs of the published code itself,
// and ten times that is allowed.

import test from "ava";
import { moproPrograms, phases } from "../../models/mopro.js";
import { compiled } from "../support/compiled.js";
import {
  loadTrace,
  phaseOf,
  traceConfig,
  type TraceRank,
  type TraceStep,
  type TraceTensor,
} from "../support/parity.js";
import { loadGrowth, type OwnStep, repeat, type Summary } from "../support/parity_run.js";

const trace = loadTrace();
const growth = loadGrowth();
const graphs = moproPrograms(traceConfig(trace)).filter((g) => phases.some((p) => p === g.name));
const repeated = compiled("parity", graphs).then((a) => repeat(a, trace, graphs));

const factor = 10;
const bound = (step: number, quantity: string, floor: number): number =>
  Math.max(floor, factor * growth(step, quantity));
const relative = (got: number, want: number): number => Math.abs(got - want) / Math.abs(want);
const exponent = (x: number): string => x.toExponential(1);
const rankOf = (step: TraceStep): TraceRank => step.ranks[0] as TraceRank;

/** The steps of both, side by side. */
const pairs = async (): Promise<readonly (readonly [number, OwnStep, TraceStep])[]> =>
  (await repeated).map((own, i) => [i, own, trace.steps[i] as TraceStep] as const);

test("the first step's losses are the published ones", async (t) => {
  const [own] = await repeated;
  for (const name of ["loss_total", "loss_cls", "loss_inst"] as const) {
    const error = relative(own?.rank[name] as number, rankOf(trace.steps[0] as TraceStep)[name]);
    t.log(`${name}: ${exponent(error)}`);
    t.true(error < 1e-4, `${name} is off by ${error}`);
  }
});

test("losses of all steps", async (t) => {
  for (const [i, own, recorded] of await pairs()) {
    const line: string[] = [];
    for (const name of ["loss_total", "loss_cls", "loss_inst", "loss_proto"] as const) {
      const [got, want] = [own.rank[name], rankOf(recorded)[name]];
      t.is(got === null, want === null, `step ${i}: ${name}`);
      if (got === null || want === null) continue;
      const [error, most] = [relative(got, want), bound(i, `rel_${name}`, 1e-5)];
      line.push(`${name} ${exponent(error)}/${exponent(most)}`);
      t.true(error <= most, `step ${i}: ${name} is ${got}, not ${want}: off by ${error}, allowed ${most}`);
    }
    t.log(`step ${i}, ${phaseOf(recorded)}, off by/allowed: ${line.join(", ")}`);
  }
});

test("labels, kept samples and accuracies of all steps", async (t) => {
  for (const [i, own, recorded] of await pairs()) {
    const want = rankOf(recorded);
    t.is(own.finite, 1);
    for (const name of ["target_out", "n_used", "pseudo_label", "clean_idx"] as const)
      t.deepEqual(own.rank[name], want[name], `step ${i}: ${name}`);
    for (const name of ["acc_cls", "acc_inst", "acc_proto"] as const) {
      const [got, recordedAcc] = [own.rank[name], want[name]];
      t.true(
        got === recordedAcc || Math.abs((got as number) - (recordedAcc as number)) < 1e-3,
        `step ${i}: ${name} is ${got}`,
      );
    }
  }
});

test("gradient norms of all steps", async (t) => {
  for (const [i, own, recorded] of await pairs()) {
    const line: string[] = [];
    for (const [name, want] of Object.entries(recorded.grad_l2)) {
      const [error, most] = [
        relative(own.grad_l2[name] as number, want),
        bound(i, `rel_grad_l2:${name}`, 1e-3),
      ];
      line.push(`${name} ${exponent(error)}/${exponent(most)}`);
      t.true(
        error <= most,
        `step ${i}: the gradient of ${name} has norm ${own.grad_l2[name]}, not ${want}: allowed ${most}`,
      );
    }
    t.log(`step ${i}, off by/allowed: ${line.join(", ")}`);
  }
});

/** Norms of parts of the state, and what measures their growth; the queue is made of keys. */
const parts = {
  q_l2: "relL2_W_q",
  k_l2: "relL2_W_k",
  bn_q_l2: "relL2_BN_q",
  bn_k_l2: "relL2_BN_k",
  queue_l2: "relL2_k",
  proto_l2: "relL2_prototypes",
} as const;

test("norms of the state after every step", async (t) => {
  for (const [i, own, recorded] of await pairs()) {
    const { bn_q_l2, bn_k_l2 } = rankOf(recorded) as TraceRank & {
      readonly bn_q_l2: number;
      readonly bn_k_l2: number;
    };
    const want: Readonly<Record<string, number>> = { ...recorded.state, bn_q_l2, bn_k_l2 };
    t.is(own.state.queue_ptr, Number(want["queue_ptr"]));
    const line: string[] = [];
    for (const [name, quantity] of Object.entries(parts)) {
      const got = own.state[name as keyof typeof parts];
      const [error, most] = [relative(got, want[name] as number), bound(i, quantity, 1e-6)];
      line.push(`${name} ${exponent(error)}/${exponent(most)}`);
      t.true(error <= most, `step ${i}: ${name} is ${got}, not ${want[name]}: allowed ${most}`);
    }
    t.log(`step ${i}, off by/allowed: ${line.join(", ")}`);
  }
});

test("every tensor of the state after each phase: norm and first elements", async (t) => {
  const ours = (name: string): string =>
    name.replace(/^momentum_buffer\.module\./, "optimizer.momentum.").replace(/^module\./, "");
  for (const [phase, step] of [
    [0, 3],
    [1, 7],
    [2, 11],
  ] as const) {
    const { tensors } = (await repeated)[step] as OwnStep;
    const recorded = trace.after_phase[`after_phase${phase}`] as readonly TraceTensor[];
    t.deepEqual([...tensors.keys()].toSorted(), recorded.map(([name]) => ours(name)).toSorted());
    const norm = bound(step, "rel_grad_l2:all", 1e-3);
    const element = bound(step, "relL2_dW_q", 1e-3);
    const norms: number[] = [];
    const elements: number[] = [];
    for (const [name, shape, dtype, l2, , first] of recorded) {
      const got = tensors.get(ours(name)) as Summary;
      if (dtype === "int64") {
        t.deepEqual(got.first, first, name);
        continue;
      }
      // A bias starts at 0 and is as far off as its gradients; elements are as far off as the gradient's
      // vector, which is more than its norm.
      const size = l2 / Math.sqrt(shape.reduce((a, b) => a * b, 1));
      const off = Math.max(...first.map((x, i) => Math.abs(x - (got.first[i] as number)))) / size;
      norms.push(relative(got.l2, l2));
      elements.push(off);
      t.true(relative(got.l2, l2) <= norm, `${name}: norm ${got.l2}, not ${l2}`);
      t.true(off <= element, `${name}: begins ${got.first}, not ${first}`);
    }
    const largest = (all: readonly number[]): string => exponent(Math.max(...all));
    t.log(
      `after step ${step}, off by/allowed: norms ${largest(norms)}/${exponent(norm)}, ` +
        `elements ${largest(elements)}/${exponent(element)} of the tensor's size`,
    );
  }
});
