// Merges nodes that have the same op, attributes and operands into the first of them. This is correct because every op
// is a pure function.

import type { Graph, Node, Pass, Value } from "../ir/types.js";
import { substitute } from "../rewrite/rules.js";

export const cse: Pass = {
  name: "cse",
  run(g: Graph): Graph {
    const renamed = new Map<Value, Value>();
    const first = new Map<string, Node>();
    const nodes: Node[] = [];
    for (const old of g.nodes) {
      const n = { ...old, inputs: old.inputs.map((v) => renamed.get(v) ?? v) };
      const attrs = Object.entries(n.attrs).sort(([a], [b]) => (a < b ? -1 : 1));
      const key = JSON.stringify([n.op, attrs, n.inputs.map((v) => v.name)]);
      const same = first.get(key);
      if (same) {
        n.outputs.forEach((v, i) => renamed.set(v, same.outputs[i] as Value));
      } else {
        first.set(key, n);
        nodes.push(n);
      }
    }
    return renamed.size === 0 ? g : substitute(g, nodes, renamed);
  },
};
