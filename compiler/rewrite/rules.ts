// Local rewriting. A rule consists of a law, the pattern of its left side, and a function that builds its right side.

import { Builder } from "../ir/builder.js";
import type { Graph, Node, Value } from "../ir/types.js";
import type { AnyOp } from "../ops/op.js";
import { debug } from "../util/debug.js";

export type Pattern =
  | { readonly any: string }
  | { readonly op: string; readonly inputs: readonly Pattern[]; readonly as?: string };
/** Matches any value and binds it to `name`; two places with one name match only the same value. */
export const any = (name: string): Pattern => ({ any: name });
/** Matches a result of a node of `op` whose first operands match `inputs`. */
export const match = (op: AnyOp, ...inputs: Pattern[]): Pattern => ({ op: op.name, inputs });
/** As `match`, but binds the node to `as`, so that a rule can read its attributes. */
export const bound = (as: string, op: AnyOp, ...inputs: Pattern[]): Pattern => ({ op: op.name, inputs, as });

export interface Match {
  readonly values: Readonly<Record<string, Value>>;
  readonly nodes: Readonly<Record<string, Node>>;
}
/** Returned by a rule that matches but does not apply, with the reason, which MOPROC_DEBUG=3 prints. */
export class Skip {
  constructor(readonly why: string) {}
}
export interface Rule {
  readonly law: string; // "relu(relu(x)) => relu(x)"
  readonly pattern: Pattern;
  apply(b: Builder, m: Match, root: Node): Value | Skip;
}

const MAX_ROUNDS = 50;

/**
 * Applies `rules` to the nodes in order, and repeats this until nothing changes. At each node it takes the first rule
 * that applies. Returns `g` itself if none applies. Throws if the graph still changes after 50 rounds.
 */
export function rewrite(g: Graph, rules: readonly Rule[]): Graph {
  const fired: string[] = [];
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const next = once(g, rules, fired);
    if (next === g) return g;
    g = next;
  }
  const laws = [...new Set(fired.slice(-20))].join("; ");
  throw new Error(`internal: rewriting ${g.name} did not settle in ${MAX_ROUNDS} rounds; last laws: ${laws}`);
}

function once(g: Graph, rules: readonly Rule[], fired: string[]): Graph {
  const producer = new Map<Value, Node>();
  const renamed = new Map<Value, Value>();
  const b = Builder.resume(g);
  let seen = 0;
  let changed = false;
  for (const old of g.nodes) {
    const n = { ...old, inputs: old.inputs.map((v) => renamed.get(v) ?? v) };
    const replacement = applyFirst(rules, b, n, producer, fired);
    if (replacement) renamed.set(n.outputs[0] as Value, replacement);
    else b.keep(n);
    changed ||= replacement !== undefined;
    for (; seen < b.nodes.length; seen++) {
      const made = b.nodes[seen] as Node;
      for (const v of made.outputs) producer.set(v, made);
    }
  }
  return changed ? substitute(g, b.nodes, renamed) : g;
}

function applyFirst(
  rules: readonly Rule[],
  b: Builder,
  n: Node,
  producer: ReadonlyMap<Value, Node>,
  fired: string[],
): Value | undefined {
  for (const r of rules) {
    const m = bind(r.pattern, n, producer);
    if (!m) continue;
    const got = r.apply(b.at(n.scope), m, n);
    if (got instanceof Skip) {
      debug(3, () => `declined: ${r.law} at ${n.scope}: ${got.why}`);
      continue;
    }
    debug(3, () => `applied: ${r.law} at ${n.scope}`);
    fired.push(r.law);
    return got;
  }
  return undefined;
}

/** `g` with `nodes` as its nodes; outputs and updates that are keys of `renamed` are replaced by its values. */
export function substitute(g: Graph, nodes: readonly Node[], renamed: ReadonlyMap<Value, Value>): Graph {
  const to = (v: Value): Value => renamed.get(v) ?? v;
  return {
    ...g,
    nodes: [...nodes],
    outputs: g.outputs.map(to),
    updates: new Map([...g.updates].map(([s, v]) => [s, to(v)])),
  };
}

function bind(p: Pattern, root: Node, producer: ReadonlyMap<Value, Node>): Match | undefined {
  const values: Record<string, Value> = {};
  const nodes: Record<string, Node> = {};
  const value = (q: Pattern, v: Value): boolean => {
    if ("any" in q) {
      values[q.any] ??= v;
      return values[q.any] === v;
    }
    const n = producer.get(v);
    return n !== undefined && node(q, n);
  };
  const node = (q: Pattern, n: Node): boolean => {
    if ("any" in q || n.op !== q.op || !q.inputs.every((sub, i) => value(sub, n.inputs[i] as Value))) return false;
    if (q.as) nodes[q.as] = n;
    return true;
  };
  return node(p, root) ? { values, nodes } : undefined;
}
