// The training binary against the recorded run of the published code: ResNet-18 at 224 x 224, twelve steps in a row, as
// one replay per phase. Differences grow from step to step. Their growth was measured between runs of the published
// code itself, and ten times as much is allowed.

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { load } from "node-cuda-rt";
import type { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, TensorType } from "../../compiler/ir/types.js";
import { moproPrograms } from "../../models/mopro.js";
import { cpuArch } from "../../tools/cli/cpu.js";
import { toValues } from "../support/compiled.js";
import {
  loadGrowth,
  loadTrace,
  phaseOf,
  type TraceRank,
  type TraceStep,
  type TraceTensor,
  traceConfig,
  traceInputs,
  traceStates,
} from "../support/parity.js";
import { compileMopro, type OwnTrace, replay, type Tensor, type TraceEntry, writeReplay } from "../support/replay.js";

const trace = loadTrace();
const growth = loadGrowth();
const config = traceConfig(trace);
const [warmup] = moproPrograms(config) as [Graph];
const phaseSteps = [0, 4, 8] as const; // where phases begin
const epochs = [0, 1, 11] as const;

const factor = 10;
const bound = (step: number, quantity: string, floor: number): number =>
  Math.max(floor, factor * growth(step, quantity));
const relative = (got: number, want: number): number => Math.abs(got - want) / Math.abs(want);
const exponent = (x: number): string => x.toExponential(1);
const rankOf = (step: TraceStep): TraceRank => step.ranks[0] as TraceRank;
const recordedStep = (i: number): TraceStep => trace.steps[i] as TraceStep;

const artefact = compileMopro("published", config);
const tensor = (type: TensorType, x: NdArray): Tensor => ({ shape: x.shape, data: toValues(type, x) });
const u8: TensorType = { dtype: "u8", shape: [] };
const i64: TensorType = { dtype: "i64", shape: [] };

/** The replay file of a phase; the first puts the recorded start into the state. */
function phaseFile(folder: string, phase: number): string {
  const first = phaseSteps[phase] as number;
  const tensors = new Map<string, Tensor>();
  for (let i = 0; i < 4; i++) {
    const { img, img_aug, target, order } = traceInputs(trace, first + i) as Record<string, NdArray>;
    tensors.set(`step${i}.rank0.img`, tensor(u8, img as NdArray));
    tensors.set(`step${i}.rank0.img_aug`, tensor(u8, img_aug as NdArray));
    tensors.set(`step${i}.rank0.target`, tensor(i64, target as NdArray));
    tensors.set(`step${i}.idx_shuffle`, tensor(i64, order as NdArray));
  }
  if (phase === 0) {
    const states = traceStates(trace, warmup);
    for (const s of warmup.state) tensors.set(`step0.state.${s.name}`, tensor(s.type, states.get(s.name) as NdArray));
  }
  const steps = [0, 1, 2, 3].map((i) => {
    const recorded = recordedStep(first + i);
    return { phase: phaseOf(recorded), lr: recorded.lr, epoch: epochs[phase] as number };
  });
  return writeReplay(join(folder, `batches${phase}.safetensors`), steps, tensors);
}

/** All phases by an artefact, each from the checkpoint of the one before. */
async function replayAll(compiled: Promise<string>): Promise<readonly OwnTrace[]> {
  const dir = await compiled;
  const { momentum, wd, moco_m, proto_m, temperature, alpha, pseudo_th, w_inst, w_proto } = trace.meta;
  const hyper = {
    momentum,
    wd,
    moco_m,
    proto_m,
    temperature,
    alpha,
    pseudo_th,
    "w-inst": w_inst,
    "w-proto": w_proto,
  };
  const flags = Object.entries(hyper).flatMap(([name, v]) => [`--${name}`, `${v}`]);
  const folder = `${dir}_runs`; // beside it: an artefact is not replaced if it holds other files
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const traces = epochs.map((_, phase) => {
    const before = join(folder, `checkpoint_${String(epochs[phase - 1]).padStart(4, "0")}_000004.safetensors`);
    const resume = phase === 0 ? [] : ["--resume", before];
    const result = replay(dir, folder, phaseFile(folder, phase), [...flags, ...resume, "--exp-dir", folder]);
    if (phase > 0) rmSync(before); // 150 MB
    return result;
  });
  rmSync(folder, { recursive: true });
  return traces;
}
const replayed = replayAll(artefact);

/** The steps of both, side by side. */
const pairs = async (): Promise<readonly (readonly [number, TraceEntry, TraceStep])[]> =>
  (await replayed).flatMap((t) => t.steps).map((own, i) => [i, own, recordedStep(i)] as const);

const published = {
  loss_total: "loss",
  loss_cls: "loss_cls",
  loss_inst: "loss_inst",
  loss_proto: "loss_proto",
} as const;

test("the first step's losses are the published ones, through the addon", async (t) => {
  const a = load(await artefact, { threads: 2 });
  const states = traceStates(trace, warmup);
  for (const s of warmup.state) a.set(s.name, toValues(s.type, states.get(s.name) as NdArray));
  const all = traceInputs(trace, 0);
  const out = await a.run(
    "warmup",
    Object.fromEntries(warmup.inputs.map((v) => [v.name, toValues(v.type, all[v.name] as NdArray)])),
  );
  for (const name of ["loss_total", "loss_cls", "loss_inst"] as const) {
    const error = relative(Number(out[published[name]]?.[0]), rankOf(recordedStep(0))[name]);
    t.log(`${name}: ${exponent(error)}`);
    t.true(error < 1e-4, `${name} is off by ${error}`);
  }
});

test("losses of all steps", async (t) => {
  t.is((await pairs()).length, 12);
  for (const [i, own, recorded] of await pairs()) {
    const line: string[] = [];
    for (const [name, ours] of Object.entries(published)) {
      const [got, want] = [own[ours][0], rankOf(recorded)[name as keyof typeof published]];
      t.is(got === null, want === null, `step ${i}: ${name}`);
      if (typeof got !== "number" || want === null) continue;
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
    t.true(own.finite);
    t.deepEqual(own.target[0], want.pseudo_label ?? null, `step ${i}: labels`);
    t.deepEqual(own.kept[0], want.clean_idx ?? null, `step ${i}: kept samples`);
    t.is(own.clean[0], want.clean_idx ? want.n_used : null, `step ${i}: count of kept samples`);
    for (const name of ["acc_cls", "acc_inst", "acc_proto"] as const) {
      const [got, recordedAcc] = [own[name][0], want[name]];
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
      const got = own.grad_l2[name === "all" ? name : `encoder_q.${name}`] as number;
      const [error, most] = [relative(got, want), bound(i, `rel_grad_l2:${name}`, 1e-3)];
      line.push(`${name} ${exponent(error)}/${exponent(most)}`);
      t.true(error <= most, `step ${i}: the gradient of ${name} has norm ${got}, not ${want}: allowed ${most}`);
    }
    t.log(`step ${i}, off by/allowed: ${line.join(", ")}`);
  }
});

/**
 * Parts of the state by their norm's name in the recording, what measures their growth, what belongs to them.
 */
const parts: readonly (readonly [string, string, (name: string) => boolean])[] = [
  ["q_l2", "relL2_W_q", (n) => /^encoder_q\..*\.(weight|bias)$/.test(n)],
  ["k_l2", "relL2_W_k", (n) => /^encoder_k\..*\.(weight|bias)$/.test(n)],
  ["bn_q_l2", "relL2_BN_q", (n) => /^encoder_q\..*running_(mean|var)$/.test(n)],
  ["bn_k_l2", "relL2_BN_k", (n) => /^encoder_k\..*running_(mean|var)$/.test(n)],
  ["queue_l2", "relL2_k", (n) => n === "queue"], // it is made of keys
  ["proto_l2", "relL2_prototypes", (n) => n === "prototypes"],
];

test("norms of the state after each phase", async (t) => {
  for (const [phase, { tensors }] of (await replayed).entries()) {
    const step = (phaseSteps[phase] as number) + 3;
    const recorded = recordedStep(step);
    const want: Readonly<Record<string, unknown>> = { ...recorded.state, ...rankOf(recorded) };
    t.is(tensors.queue_ptr?.first[0], Number(want.queue_ptr));
    for (const [name, quantity, belongs] of parts) {
      const got = Math.hypot(
        ...Object.entries(tensors)
          .filter(([n]) => belongs(n))
          .map(([, x]) => x.l2),
      );
      const [error, most] = [relative(got, Number(want[name])), bound(step, quantity, 1e-6)];
      t.log(`after step ${step}: ${name} ${exponent(error)}/${exponent(most)}`);
      t.true(error <= most, `after step ${step}: ${name} is ${got}, not ${want[name]}: allowed ${most}`);
    }
  }
});

test("every tensor of the state after each phase: order, norm and first elements", async (t) => {
  const ours = (name: string): string =>
    name.replace(/^momentum_buffer\.module\./, "optimizer.momentum.").replace(/^module\./, "");
  for (const [phase, { tensors }] of (await replayed).entries()) {
    const step = (phaseSteps[phase] as number) + 3;
    const recorded = trace.after_phase[`after_phase${phase}`] as readonly TraceTensor[];
    t.deepEqual(
      Object.keys(tensors),
      recorded.map(([name]) => ours(name)),
    );
    const norm = bound(step, "rel_grad_l2:all", 1e-3);
    const element = bound(step, "relL2_dW_q", 1e-3);
    let [worstNorm, worstElement] = [0, 0];
    for (const [name, shape, dtype, l2, , first] of recorded) {
      const got = tensors[ours(name)] as OwnTrace["tensors"][string];
      if (dtype === "int64") {
        t.deepEqual(got.first, first, name);
        continue;
      }
      // A bias starts at 0 and is as far off as its gradients; elements are as far off as the gradient's
      // vector, which is more than its norm.
      const size = l2 / Math.sqrt(shape.reduce((a, b) => a * b, 1));
      const off = Math.max(...first.map((x, i) => Math.abs(x - (got.first[i] as number)))) / size;
      [worstNorm, worstElement] = [Math.max(worstNorm, relative(got.l2, l2)), Math.max(worstElement, off)];
      t.true(relative(got.l2, l2) <= norm, `${name}: norm ${got.l2}, not ${l2}`);
      t.true(off <= element, `${name}: begins ${got.first}, not ${first}`);
    }
    t.log(
      `after step ${step}, off by/allowed: norms ${exponent(worstNorm)}/${exponent(norm)}, ` +
        `elements ${exponent(worstElement)}/${exponent(element)} of the tensor's size`,
    );
  }
});

test("in bf16: labels and kept samples are the published ones, losses lie within 3 %", async (t) => {
  const target = { device: "cpu", arch: cpuArch("native", "bf16"), ranks: [1], precision: "bf16" } as const;
  const steps = (await replayAll(compileMopro("published_bf16", config, target))).flatMap((r) => r.steps);
  t.is(steps.length, 12);
  let worst = 0;
  for (const [i, own] of steps.entries()) {
    const want = rankOf(recordedStep(i));
    t.deepEqual(own.target[0], want.pseudo_label ?? null, `step ${i}: labels`);
    t.deepEqual(own.kept[0], want.clean_idx ?? null, `step ${i}: kept samples`);
    for (const [name, ours] of Object.entries(published)) {
      const [got, loss] = [own[ours][0], want[name as keyof typeof published]];
      if (typeof got === "number") worst = Math.max(worst, relative(got, Number(loss)));
    }
  }
  t.log(`losses are off by ${exponent(worst)} at most`);
  t.true(worst > 1e-5 && worst < 3e-2, `${worst}`);
});
