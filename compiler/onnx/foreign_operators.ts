// The operators of a foreign model: all of them must be known before the first node is read.

import { isEvaluated } from "./constants.js";
import { isControlFlow } from "./control_flow.js";
import { where } from "./foreign_graph.js";
import type { Model, OnnxFunction, OnnxNode } from "./model.js";
import { ruleOf } from "./operators/index.js";
import { functionKey, graphsOf } from "./subgraph.js";
import { Unsupported } from "./unsupported.js";

/** Throws, naming all of them, if there are operators without a rule. */
export function requireOperators(nodes: readonly OnnxNode[], m: Model): void {
  const unknown = unknownNodes(nodes, m.opsets, functionsOf(m));
  if (unknown.length === 0) return;
  const byName = new Map<string, OnnxNode[]>();
  for (const n of unknown) {
    const name = `${n.domain ? `${n.domain}::` : ""}${n.op}`;
    byName.set(name, [...(byName.get(name) ?? []), n]);
  }
  const list = [...byName]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, [first, ...more]]) => `${name} (${more.length + 1}, first in ${where(first as OnnxNode)})`);
  const set = m.opsets.get("") ?? "none";
  throw new Unsupported(
    `${list.length} of its operators are not supported in operator set ${set}: ${list.join("; ")}`,
    [...byName.keys()],
  );
}

export type Opsets = ReadonlyMap<string, number>;
export type Functions = ReadonlyMap<string, OnnxFunction>;
export const functionsOf = (m: Model): Functions => new Map(m.functions.map((f) => [functionKey(f.domain, f.name), f]));

/** The nodes without a rule, also those of graphs inside of nodes and of functions that are called. */
function unknownNodes(nodes: readonly OnnxNode[], opsets: Opsets, functions: Functions): OnnxNode[] {
  const seen = new Set<OnnxFunction>();
  const visit = (n: OnnxNode, versions: Opsets): OnnxNode[] => {
    const f = functions.get(functionKey(n.domain, n.op));
    if (f) {
      if (seen.has(f)) return [];
      seen.add(f);
      return f.nodes.flatMap((m) => visit(m, f.opsets));
    }
    if (isControlFlow(n)) return graphsOf(n).flatMap((g) => g.nodes.flatMap((m) => visit(m, versions)));
    const known = ruleOf(n.domain, n.op, versions.get(n.domain) ?? 0) || (n.domain === "" && isEvaluated(n.op));
    return known ? [] : [n];
  };
  return nodes.flatMap((n) => visit(n, opsets));
}
