// What is checked of a foreign model before its first node is read, and why a node was refused.

import { checkCalls } from "./calls.js";
import { checkFunction, checkGraph, liveNodes, where } from "./foreign_graph.js";
import { requireOperators } from "./foreign_operators.js";
import type { Model, OnnxNode } from "./model.js";
import { Unsupported } from "./unsupported.js";

const OPSETS = { least: 1, most: 28 } as const;

/** The nodes that the outputs need. Throws if the model is not valid or has operators without a rule. */
export function checkedNodes(m: Model): OnnxNode[] {
  const opset = m.opsets.get("");
  if (opset !== undefined && (opset < OPSETS.least || opset > OPSETS.most))
    throw new Unsupported(`operator set ${opset} of ai.onnx: known are ${OPSETS.least} to ${OPSETS.most}`);
  if (m.training.length > 0) throw new Unsupported("it has training info, which is not supported in models of others");
  checkGraph(m.graph);
  const nodes = liveNodes(
    m.graph.nodes,
    m.graph.outputs.map((v) => v.name),
  );
  checkCalls(m.functions, nodes);
  for (const f of m.functions) checkFunction(f);
  requireOperators(nodes, m);
  return nodes;
}

/** Why a node is refused for an error. Throws an error that names the node if it is a mistake of this program. */
export function reasonOf(n: OnnxNode, e: unknown, types: readonly string[]): string {
  if (!(e instanceof Error) || /^internal/.test(e.message)) throw e;
  if (e instanceof TypeError) throw new Error(`internal: ${where(n)}: ${e.message}`, { cause: e });
  if (e instanceof RangeError) return `what it makes of ${types.join(", ") || "no inputs"} is too large`;
  return e.message;
}
