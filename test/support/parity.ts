// The recorded run of the published code in fixtures/parity-trace: its initial weights, recomputed from integer hashes,
// its batches as u8 images, and its results. This needs no Python; a digest proves that the weights are equal.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { NdArray } from "../../compiler/ir/nd.js";
import { elements, type Graph, type State } from "../../compiler/ir/types.js";
import { root } from "../../compiler/util/root.js";
import type { MoproConfig, Phase } from "../../models/mopro.js";
import { archOf } from "../../models/trunk.js";
import { type NpyArray, readNpz } from "./npz.js";
import { hyperInputs, type Inputs, type States } from "./training.js";

const folder = join(root, "test", "fixtures", "parity-trace");

export interface TraceMeta {
  readonly arch: string;
  readonly num_class: number;
  readonly low_dim: number;
  readonly queue: number;
  readonly batch: number;
  readonly size: number;
  readonly lr: number;
  readonly wd: number;
  readonly momentum: number;
  readonly moco_m: number;
  readonly proto_m: number;
  readonly temperature: number;
  readonly w_inst: number;
  readonly w_proto: number;
  readonly alpha: number;
  readonly pseudo_th: number;
  readonly cls_scale: number;
  readonly last_gamma: number;
  readonly init_sha256: string;
}

/** The results of one rank in one step; null if the phase has no such result. Accuracies are in percent. */
export interface TraceRank {
  readonly loss_total: number;
  readonly loss_cls: number;
  readonly loss_inst: number;
  readonly loss_proto: number | null;
  readonly acc_cls: number;
  readonly acc_inst: number;
  readonly acc_proto: number | null;
  readonly target_in: readonly number[];
  readonly target_out: readonly number[]; // of the kept samples
  readonly n_used: number;
  readonly pseudo_label?: readonly number[]; // clean phase: of all samples
  readonly clean_idx?: readonly number[]; // clean phase: 1 if kept
}

export interface TraceStep {
  readonly step: number;
  readonly phase: 0 | 1 | 2;
  readonly lr: number;
  readonly idx_shuffle: readonly number[];
  readonly grad_l2: Readonly<Record<string, number>>; // by parameter, without "encoder_q."
  readonly state: Readonly<Record<string, number>>;
  readonly ranks: readonly TraceRank[];
}

/**
 * [name with "module.", shape, dtype, l2, mean, first four values]; momenta as "momentum_buffer.module.NAME".
 */
export type TraceTensor = readonly [string, readonly number[], string, number, number, readonly number[]];

export interface Trace {
  readonly meta: TraceMeta;
  readonly steps: readonly TraceStep[];
  readonly after_phase: Readonly<Record<string, readonly TraceTensor[]>>;
}

/**
 * The largest difference of a quantity ("rel_loss_cls", "rel_grad_l2:all", "relL2_BN_q", ...) at a step between runs of
 * the published code that should be equal. Throws for an unknown quantity.
 */
export function loadGrowth(): (step: number, quantity: string) => number {
  const text = readFileSync(join(folder, "growth.json"), "utf8");
  const steps = (JSON.parse(text) as { a: { per_step_max: Record<string, number>[] } }).a.per_step_max;
  return (step, quantity) => {
    const x = steps[step]?.[quantity];
    if (x === undefined) throw new Error(`growth.json has no ${quantity} at step ${step}`);
    return x;
  };
}

export const loadTrace = (): Trace => JSON.parse(readFileSync(join(folder, "a.json"), "utf8")) as Trace;
export const phaseOf = (s: TraceStep): Phase => (["warmup", "proto", "clean"] as const)[s.phase];

/** The configuration that the trace's programs are compiled for. */
export function traceConfig({ meta }: Trace): MoproConfig {
  const { num_class, low_dim, queue, batch, size } = meta;
  return { arch: archOf(meta.arch), width: 1, num_class, low_dim, queue, image_size: size, batch, groups: 1 };
}

/** The hash that both sides compute: 32 bits of (tensor index, element index). */
function hash(tensor: number, element: number): number {
  let v = Math.imul(element + 1, 0x9e3779b1) ^ Math.imul(tensor + 1, 0x85ebca77);
  v = Math.imul(v ^ (v >>> 16), 0x7feb352d);
  v = Math.imul(v ^ (v >>> 15), 0x846ca68b);
  return (v ^ (v >>> 16)) >>> 0;
}

const unit = (tensor: number, element: number): number => hash(tensor, element) / 2 ** 32 - 0.5;
const spread = (tensor: number, n: number, scale: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => unit(tensor, i) * scale);

/** Parameter `index` of the query encoder, in the order of its declaration. */
function parameter(
  index: number,
  name: string,
  shape: readonly number[],
  fanIn: number,
  meta: TraceMeta,
): Float32Array {
  const n = elements(shape);
  const [out, , r, s] = shape as [number, number, number, number];
  if (shape.length === 4) return spread(index, n, 2 * Math.sqrt(3) * Math.sqrt(2 / (r * s * out)));
  const isClassifier = name === "classifier.weight";
  if (/^(classifier|fc\d)\./.test(name))
    return spread(index, n, (2 / Math.sqrt(fanIn)) * (isClassifier ? meta.cls_scale : 1));
  const value = name.endsWith(".bias") ? 0 : 1;
  return new Float32Array(n).fill(isLastNorm(name, meta.arch) ? meta.last_gamma : value);
}

const isLastNorm = (name: string, arch: string): boolean =>
  name.endsWith(/resnet(10|18|34)$/.test(arch) ? ".bn2.weight" : ".bn3.weight") && name.startsWith("layer");

/** Columns of the queue: hashed, in f64 divided by their norm, rounded to f32. */
function hashedQueue(index: number, rows: number, columns: number): Float32Array {
  const q = Float64Array.from({ length: rows * columns }, (_, i) => unit(index, i));
  return Float32Array.from(q, (v, i) => {
    let square = 0;
    for (let r = 0; r < rows; r++) square += (q[r * columns + (i % columns)] as number) ** 2;
    return v / Math.sqrt(square);
  });
}

/**
 * The state before the first step, for every state of a MoPro program compiled for `traceConfig`. Throws if the
 * weights' digest is not the recorded one.
 */
export function traceStates(trace: Trace, g: Graph): States {
  const { meta } = trace;
  const digest = createHash("sha256");
  const states = new Map<string, NdArray>();
  const put = (s: State, data: Float32Array): void => {
    states.set(s.name, new NdArray(s.type.shape, Float64Array.from(data)));
  };
  const hashed = (s: State, data: Float32Array): void => {
    digest.update(new Uint8Array(data.buffer));
    put(s, data);
  };
  const params = g.state.filter((s) => s.role === "param");
  params.forEach((s, i) => {
    const name = s.name.replace("encoder_q.", "");
    const weight = params.find((w) => w.name === s.name.replace(/bias$/, "weight")) as State;
    hashed(s, parameter(i, name, s.type.shape, weight.type.shape[1] ?? 0, meta));
  });
  for (const s of g.state.filter((s) => s.name === "queue"))
    hashed(s, hashedQueue(params.length, meta.low_dim, meta.queue));
  const got = digest.digest("hex");
  if (got !== meta.init_sha256) throw new Error(`initial weights have digest ${got}, recorded is ${meta.init_sha256}`);
  for (const s of g.state.filter((s) => !states.has(s.name))) {
    const twin = states.get(s.name.replace("encoder_k.", "encoder_q."));
    states.set(s.name, twin ?? NdArray.fill(s.type.shape, () => (s.name.endsWith("running_var") ? 1 : 0)));
  }
  return states;
}

/** Noise added to the enlarged images, -8..7, from integer arithmetic. */
function pixelNoise(id: number, channel: number, y: number, x: number): number {
  let v =
    Math.imul(x + 1, 0x9e3779b1) ^
    Math.imul(y + 1, 0x85ebca77) ^
    Math.imul(channel + 1, 0xc2b2ae3d) ^
    Math.imul(id + 1, 0x27d4eb2f);
  v = Math.imul(v ^ (v >>> 15), 0x2c1b3c6d);
  return ((v ^ (v >>> 12)) & 15) - 8;
}

/**
 * Images [n, 3, 32, 32] of a step as u8 [n, 3, size, size]: pixels repeated, noise added, clipped to 0..255.
 */
function enlarged(small: NpyArray, step: number, batch: number, size: number, aug: boolean): NdArray {
  const k = size / 32;
  return NdArray.fill([batch, 3, size, size], (i) => {
    const [x, y] = [i % size, Math.floor(i / size) % size];
    const plane = Math.floor(i / (size * size)); // image * 3 + channel
    const id = (step * batch + Math.floor(plane / 3)) * 2 + (aug ? 1 : 0);
    const at = ((step * batch * 3 + plane) * 32 + Math.floor(y / k)) * 32 + Math.floor(x / k);
    return Math.min(255, Math.max(0, Number(small.data[at]) + pixelNoise(id, plane % 3, y, x)));
  });
}

/** All inputs of the step program for recorded step `i`. */
export function traceInputs(trace: Trace, i: number): Inputs {
  const { meta } = trace;
  const step = trace.steps[i] as TraceStep;
  const npz = readNpz(readFileSync(join(folder, "a.batches_u8.npz")));
  const array = (name: string): NpyArray => {
    const a = npz.get(name);
    if (!a) throw new Error(`no array ${name} in the recorded batches`);
    return a;
  };
  const rowOf = (name: string): NdArray =>
    new NdArray(
      [meta.batch],
      Float64Array.from([...array(name).data].slice(i * meta.batch, (i + 1) * meta.batch), Number),
    );
  const { momentum, moco_m, proto_m, temperature, alpha, pseudo_th, w_inst, w_proto } = meta;
  return {
    img: enlarged(array("img_u8"), i, meta.batch, meta.size, false),
    img_aug: enlarged(array("img_aug_u8"), i, meta.batch, meta.size, true),
    target: rowOf("target"),
    order: rowOf("idx_shuffle"),
    ...hyperInputs({
      lr: step.lr,
      weight_decay: meta.wd,
      momentum,
      moco_m,
      proto_m,
      temperature,
      alpha,
      pseudo_th,
      w_inst,
      w_proto,
    }),
  };
}
