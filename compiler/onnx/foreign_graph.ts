// The order and names of a foreign graph: every name is defined once, before its uses. And which nodes the outputs
// need.

import type { OnnxGraph, OnnxNode } from "./model.js";
import { readsOf } from "./subgraph.js";

/** The node in the words of messages. */
export const where = (n: OnnxNode): string =>
  `node ${n.name || `of ${n.outputs.join(", ") || "nothing"}`} (operator ${n.op} of domain ${n.domain || "ai.onnx"})`;

/** Throws unless every name is defined once, and before its first use. */
export function checkGraph(g: OnnxGraph): void {
  const defined = new Set<string>();
  const define = (name: string, what: string): void => {
    if (defined.has(name)) throw new Error(`${what} ${name} is defined twice`);
    defined.add(name);
  };
  for (const t of g.initializers) define(t.name, "initializer");
  const given = new Set(defined);
  const inputs = new Set<string>();
  for (const v of g.inputs) {
    if (inputs.has(v.name)) throw new Error(`input ${v.name} is defined twice`);
    inputs.add(v.name);
    if (!given.has(v.name)) define(v.name, "input"); // older models list initializers as inputs, too
  }
  const later = new Set(g.nodes.flatMap((n) => n.outputs));
  for (const n of g.nodes) {
    for (const name of readsOf(n))
      if (!defined.has(name))
        throw new Error(
          later.has(name)
            ? `${where(n)}: its input ${name} is made by a later node, or by one that needs this one`
            : `${where(n)}: nothing makes its input ${name}`,
        );
    if (n.outputs.every((name) => name === "")) throw new Error(`${where(n)} has no outputs`);
    for (const name of n.outputs) if (name !== "") define(name, `${where(n)}: its output`);
  }
  if (g.outputs.length === 0) throw new Error("the model has no outputs");
  const returned = new Set<string>();
  for (const { name } of g.outputs) {
    if (!defined.has(name)) throw new Error(`nothing makes the output ${name}`);
    if (returned.has(name)) throw new Error(`output ${name} is listed twice`);
    returned.add(name);
  }
}

/** The nodes that these names depend on, in order. */
export function liveNodes(nodes: readonly OnnxNode[], outputs: readonly string[]): OnnxNode[] {
  const needed = new Set(outputs);
  const live: OnnxNode[] = [];
  for (const n of nodes.toReversed()) {
    if (!n.outputs.some((name) => name !== "" && needed.has(name))) continue;
    live.push(n);
    for (const name of readsOf(n)) needed.add(name);
  }
  return live.toReversed();
}
