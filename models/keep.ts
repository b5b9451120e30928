// Programs that return every value they compute, and the gradient of every value that has one. They show where two
// implementations of a step begin to differ. They fuse less and store more, so they are not meant for training.

import type { Builder } from "../compiler/ir/builder.js";
import type { Graph, Value } from "../compiler/ir/types.js";
import { scale } from "../compiler/ops/index.js";
import { opOf } from "../compiler/ops/op.js";

/** Values by the names under which the program returns them. */
export type Named = Readonly<Record<string, Value>>;

/**
 * Appends `grad.NAME` = factor * dv for every value with gradient dv. NAME is the value's key in `results`, or
 * otherwise its own name.
 */
export function keptGradients(b: Builder, adjoints: ReadonlyMap<Value, Value>, factor: number, results: Named): Named {
  const names = new Map(Object.entries(results).map(([name, v]) => [v, name] as const));
  const named = [...adjoints].map(([v, dv]) => [`grad.${names.get(v) ?? v.name}`, dv] as const);
  return Object.fromEntries(named.map(([name, dv]) => [name, scale(b.at(name), dv, { factor })]));
}

/**
 * `g` with all values as outputs, in the order in which they are computed. A gradient comes at the place where it is
 * complete. The optimizer's updates are left out, because they are the state after the step.
 */
export function keepValues(g: Graph): Graph {
  const place = new Map<Value, number>();
  g.nodes.forEach((n, i) => {
    const copy = n.op === "scale" && n.scope.startsWith("grad.");
    for (const v of n.outputs) place.set(v, copy ? (place.get(n.inputs[0] as Value) as number) + 0.5 : i);
  });
  const left = new Set(
    g.nodes.filter((n) => n.op === "constant" || opOf(n.op).flat === true).flatMap((n) => n.outputs),
  );
  const kept = [...place.keys()].filter((v) => g.outputs.includes(v) || !left.has(v));
  return { ...g, outputs: kept.toSorted((a, b) => (place.get(a) as number) - (place.get(b) as number)) };
}
