// A graph together with the values of its states, for passes that compute new states from old ones.

import { NdArray } from "../ir/nd.js";
import type { Graph, Node, State, Value } from "../ir/types.js";

export interface Valued {
  readonly graph: Graph;
  readonly values: ReadonlyMap<string, NdArray>; // by the state's name, in f64
}

/** How often each value is used in `g`: as an operand, an output or the new value of a state. */
export function uses(g: Graph): ReadonlyMap<Value, number> {
  const count = new Map<Value, number>();
  for (const v of [...g.nodes.flatMap((n) => n.inputs), ...g.outputs, ...g.updates.values()])
    count.set(v, (count.get(v) ?? 0) + 1);
  return count;
}

/** The node that computes each value of `g`. */
export const producers = (g: Graph): ReadonlyMap<Value, Node> =>
  new Map(g.nodes.flatMap((n) => n.outputs.map((v) => [v, n] as const)));

/** A change of a Valued: nodes are replaced by lists of nodes (empty: removed), states by states with values. */
export interface Change {
  readonly nodes: ReadonlyMap<Node, readonly Node[]>;
  readonly states: ReadonlyMap<Value, readonly (readonly [State, NdArray])[]>;
}

/** `from` with the change made, and without the states that nothing reads any more. */
export function changed(from: Valued, { nodes, states }: Change): Valued {
  if (nodes.size === 0) return from;
  const values = new Map(from.values);
  const state = from.graph.state.flatMap((s) => states.get(s)?.map(([now]) => now) ?? [s]);
  for (const replaced of states.values()) for (const [s, x] of replaced) values.set(s.name, x);
  return withoutUnread({
    graph: { ...from.graph, nodes: from.graph.nodes.flatMap((n) => nodes.get(n) ?? [n]), state },
    values,
  });
}

/** The same without the states that nothing reads, and without their values. */
export function withoutUnread({ graph, values }: Valued): Valued {
  const read = uses(graph);
  const state = graph.state.filter((s) => read.has(s));
  const kept = new Set(state.map((s) => s.name));
  return { graph: { ...graph, state }, values: new Map([...values].filter(([name]) => kept.has(name))) };
}

/** A copy of w [K, C, R, S] with each element [k, c, r, s] multiplied by factor(k, c). */
export function scaledWeight(w: NdArray, factor: (k: number, c: number) => number): NdArray {
  const [, channels = 1, r = 1, s = 1] = w.shape;
  const window = r * s;
  return NdArray.fill(w.shape, (i) => {
    const filter = Math.floor(i / window);
    return (w.data[i] as number) * factor(Math.floor(filter / channels), filter % channels);
  });
}
