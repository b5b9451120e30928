// The graph as text, one node per line. Names contain the scope, so a diff between two dumps shows what changed.

import { type AttrValue, type Graph, type Node, showType, type Value } from "./types.js";

/** The text of a whole graph; it ends with a newline. */
export function print(g: Graph): string {
  const groups = g.groups === 1 ? "" : ` groups=${g.groups}`;
  const ranks = g.ranks === undefined ? "" : ` ranks=${g.ranks}`;
  const head = `graph ${g.name}${groups}${ranks}(${g.inputs.map(typed).join(", ")})`;
  return [
    head,
    ...g.state.map((s) => `  state ${typed(s)} ${s.role}`),
    ...g.nodes.map((n) => `  ${printNode(n)}`),
    ...[...g.updates].map(([s, v]) => `  %${s.name} <- %${v.name}`),
    `  return ${g.outputs.map((v) => `%${v.name}`).join(", ")}`,
    "",
  ].join("\n");
}

/** One node as a line without a newline: `%y: f32[4] = relu(%x)`. */
export function printNode(n: Node): string {
  const args = [...n.inputs.map((v) => `%${v.name}`), ...Object.entries(n.attrs).map(([k, v]) => `${k}=${attr(v)}`)];
  return `${n.outputs.map(typed).join(", ")} = ${n.op}(${args.join(", ")})`;
}

const typed = (v: Value): string => `%${v.name}: ${showType(v.type)}`;
const attr = (v: AttrValue): string => (Array.isArray(v) ? `[${v.join(",")}]` : JSON.stringify(v));
