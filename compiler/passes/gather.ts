// Moves the all_gathers of a graph that no other all_gather depends on next to each other, to the place where all their
// operands are computed. They are small (losses, labels, queries), so their cost depends on their number. The runtime
// sends neighbouring gathers as one message (runtime/cuda/collectives.h), and the backward pass, which does not read
// their results, runs meanwhile.

import type { Graph, Node, Pass, Value } from "../ir/types.js";
import { all_gather } from "../ops/collective.js";

export const gather: Pass = {
  name: "gather",
  run(g: Graph): Graph {
    const gathers = g.nodes.filter((n) => n.op === all_gather.name);
    const needed = needs(g.nodes, gathers);
    const moved = gathers.filter((n) => !needed.has(n));
    if (moved.length < 2) return g;
    const first = needs(g.nodes, moved);
    const nodes = [
      ...g.nodes.filter((n) => first.has(n)),
      ...moved,
      ...g.nodes.filter((n) => !first.has(n) && !moved.includes(n)),
    ];
    return nodes.every((n, i) => n === g.nodes[i]) ? g : { ...g, nodes };
  },
};

/** All nodes that the operands of `of` depend on. */
function needs(nodes: readonly Node[], of: readonly Node[]): ReadonlySet<Node> {
  const values = new Set<Value>(of.flatMap((n) => n.inputs));
  const found = new Set<Node>();
  for (const n of nodes.toReversed()) {
    if (!n.outputs.some((v) => values.has(v))) continue;
    found.add(n);
    for (const v of n.inputs) values.add(v);
  }
  return found;
}
