// Runs a graph in f64 with the reference function of every op. Tests compare passes, kernels and gradients with it.

import type { NdArray } from "./nd.js";
import { named, recordOf } from "./registry.js";
import { type Graph, sameShape, type Value } from "./types.js";

export type Env = Map<Value, NdArray>;

/**
 * Computes all values of `g` from `feed`, which holds every input and state, and returns them with those of `feed`.
 * `change` may replace the result of a node before other nodes read it. Throws if an input or state is missing from
 * `feed` or has another shape there, or if the reference of an op returns a shape that differs from its type.
 */
export function evaluate(
  g: Graph,
  feed: ReadonlyMap<Value, NdArray>,
  change: (v: Value, x: NdArray) => NdArray = (_, x) => x,
): Env {
  const env: Env = new Map();
  for (const v of [...g.inputs, ...g.state]) {
    const x = feed.get(v);
    if (!x) throw new Error(`evaluate ${g.name}: no value for %${v.name}`);
    if (!sameShape(x.shape, v.type.shape))
      throw new Error(`evaluate ${g.name}: %${v.name} is [${v.type.shape}], the value is [${x.shape}]`);
    env.set(v, x);
  }
  for (const n of g.nodes) {
    const op = recordOf(n.op);
    const out = op.reference(
      named(
        op.inputs,
        n.inputs.map((v) => env.get(v) as NdArray),
      ),
      n.attrs,
      named(
        op.inputs,
        n.inputs.map((v) => v.type),
      ),
    );
    n.outputs.forEach((v, i) => {
      const x = out[op.outputs[i] as string] as NdArray;
      if (!sameShape(x.shape, v.type.shape)) throw new Error(`internal: reference of ${n.op} returned [${x.shape}]`);
      env.set(v, change(v, x));
    });
  }
  return env;
}
