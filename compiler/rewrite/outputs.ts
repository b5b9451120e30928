// Gives the outputs of an optimised graph their original names. Whoever reads a program's results looks for them by
// name, but passes replace values: a composite by its expansion, a value by an equal one.

import { Builder } from "../ir/builder.js";
import type { Graph, Node, Value } from "../ir/types.js";
import { reshape } from "../ops/move.js";

/**
 * Returns `g` with its i-th output named as `asked[i]`. If one value is several outputs, it gets one of the names, and
 * a reshape of it each of the others; so does an output that no node makes. A value that is not an output but has one
 * of the names gets another name.
 */
export function nameOutputs(g: Graph, asked: readonly Value[]): Graph {
  if (g.outputs.every((v, i) => v.name === asked[i]?.name)) return g;
  const made = new Set(g.nodes.flatMap((n) => n.outputs));
  const name = (i: number): string => (asked[i] as Value).name;
  const owner = new Map<Value, number>(); // value -> the output whose name it gets
  for (const [i, v] of g.outputs.entries()) if (made.has(v) && v.name === name(i)) owner.set(v, i);
  for (const [i, v] of g.outputs.entries()) if (made.has(v) && !owner.has(v)) owner.set(v, i);
  const renamed = new Map([...owner].map(([v, i]) => [v, { ...v, name: name(i) }] as const));
  const wanted = new Set(asked.map((v) => v.name));
  const all = new Set([...wanted, ...[...g.inputs, ...g.state, ...made].map((v) => v.name)]);
  for (const v of made) if (wanted.has(v.name) && !owner.has(v)) renamed.set(v, { ...v, name: unused(v.name, all) });
  const to = (v: Value): Value => renamed.get(v) ?? v;
  const views = new Map<string, Node>(); // by name, because two outputs may have the same name
  g.outputs.forEach((v, i) => {
    if (owner.get(v) !== i && to(v).name !== name(i)) views.set(name(i), view(g, to(v), name(i)));
  });
  const nodes = g.nodes.map((n) => ({ ...n, inputs: n.inputs.map(to), outputs: n.outputs.map(to) }));
  return {
    ...g,
    nodes: [...nodes, ...views.values()],
    outputs: g.outputs.map((v, i) => views.get(name(i))?.outputs[0] ?? to(v)),
    updates: new Map([...g.updates].map(([s, v]) => [s, to(v)])),
  };
}

/** Returns `name` with the first suffix that makes it new to `all`, and adds it to `all`. */
function unused(name: string, all: Set<string>): string {
  let n = 1;
  while (all.has(`${name}_${n}`)) n++;
  all.add(`${name}_${n}`);
  return `${name}_${n}`;
}

function view(g: Graph, v: Value, name: string): Node {
  const b = Builder.resume({ ...g, nodes: [] });
  reshape(b, v, { shape: v.type.shape });
  const n = b.nodes[0] as Node;
  return { ...n, outputs: [{ name, type: v.type }] };
}
