// The order and names of a foreign graph, the graphs inside of its nodes, and functions: every name is defined once,
// before its uses. And which nodes the outputs need.

import type { OnnxFunction, OnnxGraph, OnnxNode } from "./model.js";
import { shown } from "./shown.js";
import { type Body, bodyOfFunction, bodyOfGraph, functionKey, namesOf, readsOf } from "./subgraph.js";

/** The node in the words of messages. */
export const where = (n: OnnxNode): string => {
  const name = n.name ? shown(n.name) : `of ${shown(n.outputs.slice(0, 8).join(", ")) || "nothing"}`;
  return `node ${name} (operator ${shown(n.op)} of domain ${shown(n.domain || "ai.onnx")})`;
};

/** Throws unless every name is defined once, and before its first use, also in the graphs inside of nodes. */
export function checkGraph(g: OnnxGraph): void {
  checkBody(bodyOfGraph(g), () => false, "");
  if (g.outputs.length === 0) throw new Error("the model has no outputs");
  const returned = new Set<string>();
  for (const { name } of g.outputs) {
    if (returned.has(name)) throw new Error(`output ${shown(name)} is listed twice`);
    returned.add(name);
  }
}

/** Throws unless every name of a function is defined once, and before its first use. It sees no names but its own. */
export const checkFunction = (f: OnnxFunction): void =>
  checkBody(bodyOfFunction(f), () => false, `function ${shown(functionKey(f.domain, f.name))}: `);

/** `outer`: whether a name is defined around the body. `place` is what messages begin with. */
function checkBody(b: Body, outer: (name: string) => boolean, place: string): void {
  const defined = new Set<string>();
  const define = (name: string, what: string): void => {
    if (defined.has(name)) throw new Error(`${place}${what} ${shown(name)} is defined twice`);
    defined.add(name);
  };
  for (const t of b.initializers) define(t.name, "initializer");
  const given = new Set(defined);
  const inputs = new Set<string>();
  for (const name of b.inputs) {
    if (inputs.has(name)) throw new Error(`${place}input ${shown(name)} is defined twice`);
    inputs.add(name);
    if (!given.has(name)) define(name, "input"); // older models list initializers as inputs, too
  }
  const later = new Set(b.nodes.flatMap((n) => n.outputs));
  const known = (name: string): boolean => defined.has(name) || (!later.has(name) && outer(name));
  for (const n of b.nodes) {
    for (const name of namesOf(n))
      if (!known(name))
        throw new Error(
          later.has(name)
            ? `${place}${where(n)}: its input ${shown(name)} is made by a later node, or by one that needs this one`
            : `${place}${where(n)}: nothing makes its input ${shown(name)}`,
        );
    for (const [key, a] of Object.entries(n.attributes))
      if (a.kind === "graph") checkBody(bodyOfGraph(a.value), known, `${place}${where(n)}: in its ${shown(key)}, `);
    if (n.outputs.every((name) => name === "")) throw new Error(`${place}${where(n)} has no outputs`);
    for (const name of n.outputs) if (name !== "") define(name, `${where(n)}: its output`);
  }
  for (const name of b.outputs) if (!known(name)) throw new Error(`${place}nothing makes the output ${shown(name)}`);
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
