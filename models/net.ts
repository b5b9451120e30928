// A place in the graph of a network, and a list of the updates (running averages, counters) that must wait until the
// step is known to be finite. Names of parameters are those of the published code: "conv1.weight".

import type { Builder } from "../compiler/ir/builder.js";
import type { Graph, Init, Role, TensorType, Value } from "../compiler/ir/types.js";
import * as op from "../compiler/ops/index.js";

export const f32 = (...shape: readonly number[]): TensorType => ({ dtype: "f32", shape });
export const constant = (value: number): Init => ({ kind: "constant", value });

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

/** The weight of a batch in running averages. */
export const batchMomentum = 0.1;

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
