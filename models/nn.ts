// Layers with the parameter names of the published code: "conv1.weight", "bn1.running_mean", "fc1.bias". A Net is a
// place in the graph, and a list of the updates (running averages, counters) that must wait until the step is known to
// be finite.

import type { Builder } from "../compiler/ir/builder.js";
import type { Graph, Init, Role, TensorType, Value } from "../compiler/ir/types.js";
import * as op from "../compiler/ops/index.js";

const f32 = (...shape: readonly number[]): TensorType => ({ dtype: "f32", shape });
const constant = (value: number): Init => ({ kind: "constant", value });

export interface NetOptions {
  /** true: BatchNorm uses batch statistics and updates its running averages. false: it uses the running averages. */
  readonly training: boolean;
  /** Tensors to use instead of declaring state, by full name. The key encoder is built this way. */
  readonly given?: ReadonlyMap<string, Value>;
}

/** An update that waits for `finite`: a batch's value for a running average, or the increment of a step counter. */
interface Commit {
  readonly b: Builder;
  readonly state: Value;
  readonly batch: Value | "count";
  readonly momentum: number; // of a batch in a running average
}

export class Net {
  constructor(
    readonly b: Builder,
    private readonly options: NetOptions,
    private readonly commits: Commit[] = [], // shared by the modules of one network
  ) {}

  get training(): boolean {
    return this.options.training;
  }

  /** The same network, one module deeper. */
  in(part: string): Net {
    return new Net(this.b.in(part), this.options, this.commits);
  }

  /** The same network, at another place of its graph. */
  on(b: Builder): Net {
    return new Net(b, this.options, this.commits);
  }

  /** A trained tensor of this module, f32. */
  param(name: string, shape: readonly number[], init: Init): Value {
    return this.tensor(name, f32(...shape), init, "param");
  }

  /** A tensor of this module that is in checkpoints and is not trained. */
  buffer(name: string, type: TensorType, init: Init): Value {
    return this.tensor(name, type, init, "buffer");
  }

  /**
   * Registers an update for commit(): `batch` enters the running average `state` with the weight `momentum`; "count"
   * increments `state`.
   */
  later(state: Value, batch: Value | "count", momentum = batchMomentum): void {
    this.commits.push({ b: this.b, state, batch, momentum });
  }

  /** Adds all registered updates. Call once, after the backward pass. If `finite` f32[] is 0, no state changes. */
  commit(finite: Value): void {
    for (const { b, state, batch, momentum } of this.commits)
      if (batch !== "count") b.update(state, op.running_average(b, state, batch, finite, { momentum }));
    for (const { b, state, batch } of this.commits) // two loops, so that each kind of update becomes one launch
      if (batch === "count") b.update(state, op.increment(b, state, finite));
  }

  private tensor(name: string, type: TensorType, init: Init, role: Role): Value {
    const full = this.b.in(name).scope;
    const given = this.options.given?.get(full);
    if (given) return given;
    const made = this.b.state(name, type, init, role);
    if (made.name !== full) throw new Error(`the network has two tensors that are called ${full}`);
    return made;
  }
}

export interface Conv2dOptions {
  readonly out: number;
  readonly kernel: number;
  readonly stride?: number; // 1
  readonly pad?: number; // 0
}

/** Convolution without bias. weight [out, in, k, k] is initialised from N(0, sqrt(2 / (k k out))). */
export function conv2d(net: Net, x: Value, { out, kernel, stride = 1, pad = 0 }: Conv2dOptions): Value {
  const std = Math.sqrt(2 / (kernel * kernel * out));
  const weight = net.param("weight", [out, x.type.shape[1] as number, kernel, kernel], {
    kind: "normal",
    std,
  });
  return op.conv(net.b, x, weight, { stride, pad });
}

/** x W^T + b. Initial weight [out, in] and bias [out]: U(+-1 / sqrt(in)), or N(0, std) and 0 if `std` is given. */
export function linear(net: Net, x: Value, out: number, std?: number): Value {
  const features = x.type.shape[1] as number;
  const uniform: Init = { kind: "uniform", bound: 1 / Math.sqrt(features) };
  const weight = net.param("weight", [out, features], std === undefined ? uniform : { kind: "normal", std });
  const bias = net.param("bias", [out], std === undefined ? uniform : constant(0));
  return op.add(net.b, op.matmul(net.b, x, weight, { tb: true }), bias);
}

/** What batch_norm adds to a variance, and the weight of a batch in the running averages. */
const eps = 1e-5;
const batchMomentum = 0.1;

/** The tensors of a batch normalisation, each [C]. */
export interface Normalization {
  readonly gamma: Value;
  readonly beta: Value;
  readonly mean: Value; // running
  readonly variance: Value;
}

/**
 * x [N, C] or [N, C, H, W], each group of the batch normalised by its own statistics. Those of the first group enter
 * the running averages with the weight `momentum`, the variance unbiased. Throws if a group has one value per channel.
 */
export function normalized(
  net: Net,
  x: Value,
  t: Normalization,
  { eps, momentum }: { readonly eps: number; readonly momentum: number },
): Value {
  const { b } = net;
  const channels = x.type.shape[1] as number;
  const { groups } = b;
  const n = x.type.shape.reduce((a, d) => a * d, 1) / channels / groups;
  if (n < 2)
    throw new Error(`batch_norm in ${b.scope}: a variance needs at least 2 values per channel and group, not ${n}`);
  const { y, mean, var: variance } = op.batch_norm(b, x, t.gamma, t.beta, { eps, groups });
  const first = (v: Value): Value =>
    op.reshape(b, groups === 1 ? v : op.slice(b, v, { axis: 0, start: 0, end: 1 }), { shape: [channels] });
  net.later(t.mean, first(mean), momentum);
  net.later(t.variance, first(op.scale(b, variance, { factor: n / (n - 1) })), momentum);
  return y;
}

/**
 * Batch normalisation of x [N, C] or [N, C, H, W]. In training each group of the batch is normalised by its own
 * statistics; those of the first group enter the running averages, the variance unbiased. Otherwise x is normalised by
 * the running averages.
 */
export function batch_norm(net: Net, x: Value): Value {
  const { b } = net;
  const channels = x.type.shape[1] as number;
  const weight = net.param("weight", [channels], constant(1));
  const bias = net.param("bias", [channels], constant(0));
  const runningMean = net.buffer("running_mean", f32(channels), constant(0));
  const runningVar = net.buffer("running_var", f32(channels), constant(1));
  const batches = net.buffer("num_batches_tracked", { dtype: "i64", shape: [] }, constant(0));
  if (!net.training) return op.batch_norm_inference(b, x, weight, bias, runningMean, runningVar, { eps });

  const tables = { gamma: weight, beta: bias, mean: runningMean, variance: runningVar };
  const y = normalized(net, x, tables, { eps, momentum: batchMomentum });
  net.later(batches, "count");
  return y;
}

/** Mean and standard deviation of ImageNet's channels, for pixels scaled to 0..1. */
export const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

/**
 * Ends a graph: each output gets its key as name. Throws unless every output is the result of a node and appears only
 * once.
 */
export function finish(b: Builder, outputs: Readonly<Record<string, Value>>): Graph {
  const g = b.finish(Object.values(outputs));
  const made = new Set(g.nodes.flatMap((n) => n.outputs));
  const renamed = new Map<Value, Value>();
  for (const [name, v] of Object.entries(outputs)) {
    if (!made.has(v)) throw new Error(`output ${name} of ${g.name} is not computed by it`);
    if (renamed.has(v)) throw new Error(`output ${name} of ${g.name} is also output ${renamed.get(v)?.name}`);
    renamed.set(v, { ...v, name });
  }
  const now = (v: Value): Value => renamed.get(v) ?? v;
  return {
    ...g,
    nodes: g.nodes.map((n) => ({ ...n, inputs: n.inputs.map(now), outputs: n.outputs.map(now) })),
    outputs: g.outputs.map(now),
    updates: new Map([...g.updates].map(([state, v]) => [state, now(v)])),
  };
}
