// Replaces composite ops (batch_norm and its gradient, normalize_image) by the simpler ops of their own records.

import { Builder } from "../ir/builder.js";
import type { Graph, Node, Pass, Value } from "../ir/types.js";
import { named, opOf } from "../ops/op.js";
import { substitute } from "./rewrite.js";

export const expand: Pass = {
  name: "expand",
  run(g: Graph): Graph {
    if (!g.nodes.some((n) => opOf(n.op).expand)) return g;
    const b = Builder.resume(g);
    const renamed = new Map<Value, Value>();
    const work = [...g.nodes].reverse();
    for (let old = work.pop(); old; old = work.pop()) {
      const n: Node = { ...old, inputs: old.inputs.map((v) => renamed.get(v) ?? v) };
      const op = opOf(n.op);
      if (!op.expand) {
        b.keep(n);
        continue;
      }
      const before = b.nodes.length;
      const outs = op.expand(b.at(n.scope), named(op.inputs, n.inputs) as never, n.attrs) as Record<string, Value>;
      n.outputs.forEach((v, i) => renamed.set(v, outs[op.outputs[i]] as Value));
      if (b.nodes.slice(before).some((m) => opOf(m.op).expand)) {
        throw new Error(`internal: expand: ${n.op} expands to another composite`);
      }
    }
    return substitute(g, b.nodes, renamed);
  },
};
