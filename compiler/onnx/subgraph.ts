// Graphs inside of others: the branches and bodies of control flow, and model-local functions. An instance is a copy
// whose names are unique, so that its nodes can stand in the graph around it.

import type { Attribute, OnnxFunction, OnnxGraph, OnnxNode, Tensor } from "./model.js";

/** What an instance is made of; a function has no initializers. */
export type Body = Pick<OnnxGraph, "nodes" | "initializers"> & {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
};

export const bodyOfGraph = (g: OnnxGraph): Body => ({
  nodes: g.nodes,
  initializers: g.initializers,
  inputs: g.inputs.map((v) => v.name),
  outputs: g.outputs.map((v) => v.name),
});

/** The graphs in the attributes of a node. */
export const graphsOf = (n: OnnxNode): OnnxGraph[] =>
  Object.values(n.attributes).flatMap((a) => (a.kind === "graph" ? [a.value] : []));

/** The names that a node itself reads: its inputs, and what it differentiates. */
export const namesOf = (n: OnnxNode): readonly string[] => [
  ...n.inputs.filter((name) => name !== ""),
  ...(n.op === "Gradient" && n.attributes.y?.kind === "string" ? [n.attributes.y.value] : []),
];

/** The names that a node reads, with what its graphs read from around it. */
export const readsOf = (n: OnnxNode): readonly string[] => [...namesOf(n), ...graphsOf(n).flatMap(freeNames)];

/** The names that a graph reads, but does not define. */
export function freeNames(g: OnnxGraph): string[] {
  const own = definedIn(bodyOfGraph(g));
  const read = [...g.nodes.flatMap(readsOf), ...g.outputs.map((v) => v.name)];
  return [...new Set(read.filter((name) => !own.has(name)))];
}

const definedIn = (b: Body): Set<string> =>
  new Set([...b.inputs, ...b.initializers.map((t) => t.name), ...b.nodes.flatMap((n) => n.outputs)]);

export interface Instance {
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly Tensor[];
  readonly outputs: readonly string[]; // their names in the instance
}

/**
 * A copy of a body in which inputs have the names of `given` ("": not given) and everything else that it defines begins
 * with `prefix`. `attributes` replace what its nodes take from the call of a function; what the call lacks is left out.
 */
export function instance(
  b: Body,
  prefix: string,
  given: ReadonlyMap<string, string>,
  attributes: Readonly<Record<string, Attribute>> = {},
): Instance {
  const own = definedIn(b);
  const name = (old: string): string => given.get(old) ?? (own.has(old) && old !== "" ? `${prefix}${old}` : old);
  return {
    nodes: b.nodes.map((n) => renamed(n, name, prefix, attributes)),
    initializers: b.initializers.map((t) => ({ ...t, name: name(t.name) })),
    outputs: b.outputs.map(name),
  };
}

function renamed(
  n: OnnxNode,
  name: (old: string) => string,
  prefix: string,
  given: Readonly<Record<string, Attribute>>,
): OnnxNode {
  const attributes = Object.entries(n.attributes).flatMap(([key, a]): [string, Attribute][] => {
    if (a.kind === "reference") return Object.hasOwn(given, a.value) ? [[key, given[a.value] as Attribute]] : [];
    return [[key, a.kind === "graph" ? { ...a, value: inside(a.value, name, prefix, given) } : a]];
  });
  return {
    ...n,
    name: n.name && `${prefix}${n.name}`,
    inputs: n.inputs.map(name),
    outputs: n.outputs.map(name),
    attributes: Object.fromEntries(attributes),
  };
}

/** A graph in an attribute: the names that it reads from around it are renamed; its own wait for its own instance. */
function inside(
  g: OnnxGraph,
  name: (old: string) => string,
  prefix: string,
  given: Readonly<Record<string, Attribute>>,
): OnnxGraph {
  const free = new Set(freeNames(g));
  const outer = (old: string): string => (free.has(old) ? name(old) : old);
  return {
    ...g,
    nodes: g.nodes.map((n) => ({ ...renamed(n, outer, prefix, given), name: n.name })),
    outputs: g.outputs.map((v) => ({ ...v, name: outer(v.name) })),
  };
}

/** The body of a model-local function. */
export const bodyOfFunction = (f: OnnxFunction): Body => ({
  nodes: f.nodes,
  initializers: [],
  inputs: f.inputs,
  outputs: f.outputs,
});

/** The name under which a function is called. */
export const functionKey = (domain: string, name: string): string => `${domain || "ai.onnx"}::${name}`;
