// Runs the graph of a rank on all ranks at once, in f64, node by node, so that collectives have the values of all
// ranks.

import { type Env, evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Node, Value } from "../../compiler/ir/types.js";
import { opOf } from "../../compiler/ops/op.js";
import { rows } from "./training.js";

/** All values of `g` on each rank; `feeds` has inputs and states by name, one map per rank. */
export function evaluateRanks(g: Graph, feeds: readonly ReadonlyMap<string, NdArray>[]): Env[] {
  const envs = feeds.map(
    (feed): Env => new Map([...g.inputs, ...g.state].map((v) => [v, feed.get(v.name) as NdArray])),
  );
  for (const n of g.nodes) {
    if (opOf(n.op).kind === "collective") {
      const results = together(
        n,
        envs.map((e) => e.get(n.inputs[0] as Value) as NdArray),
      );
      envs.forEach((e, r) => e.set(n.outputs[0] as Value, results[r] as NdArray));
      continue;
    }
    for (const env of envs) {
      const single: Graph = {
        ...g,
        inputs: n.inputs.filter((v, i) => n.inputs.indexOf(v) === i),
        state: [],
        nodes: [n],
        outputs: [],
        updates: new Map(),
      };
      const made = evaluate(single, env);
      for (const v of n.outputs) env.set(v, made.get(v) as NdArray);
    }
  }
  return envs;
}

function together(n: Node, xs: readonly NdArray[]): NdArray[] {
  const [first] = xs as [NdArray];
  switch (n.op) {
    case "all_reduce": {
      const sum = new NdArray(
        first.shape,
        first.data.map((_, i) => xs.reduce((s, x) => s + (x.data[i] as number), 0)),
      );
      return xs.map(() => sum);
    }
    case "all_gather": {
      const data = Float64Array.from(xs.flatMap((x) => [...x.data]));
      return xs.map(() => new NdArray(first.shape.with(0, (first.shape[0] as number) * xs.length), data));
    }
    case "own_rows": {
      const size = (first.shape[0] as number) / xs.length;
      return xs.map((x, r) => rows(x, r * size, (r + 1) * size));
    }
    default:
      throw new Error(`${n.op} is no collective`);
  }
}
