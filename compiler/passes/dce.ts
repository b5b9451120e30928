// Removes nodes whose results no output or update depends on. States stay, because programs share them by name.

import type { Graph, Pass, Value } from "../ir/types.js";

export const dce: Pass = {
  name: "dce",
  run(g: Graph): Graph {
    const live = new Set<Value>([...g.outputs, ...g.updates.values()]);
    const nodes = g.nodes.toReversed().filter((n) => {
      if (!n.outputs.some((v) => live.has(v))) return false;
      for (const v of n.inputs) live.add(v);
      return true;
    });
    return nodes.length === g.nodes.length ? g : { ...g, nodes: nodes.reverse() };
  },
};
