// The calls of model-local functions: they must end, and what they write out must be of a size that can be read.

import { liveNodes } from "./foreign_graph.js";
import type { OnnxFunction, OnnxNode } from "./model.js";
import { shown } from "./shown.js";
import { functionKey, graphsOf } from "./subgraph.js";
import { Unsupported } from "./unsupported.js";

export const MAX_NODES = 1e6; // of a model, after calls and iterations are written out
const MAX_CALLS = 100; // in each other

/** Throws because a model would be too large. */
export function tooManyNodes(): never {
  throw new Unsupported(`written out, the model has more than ${MAX_NODES} nodes`);
}

/** Nodes that are read in place of a function's call, but for those in its graphs, and how deep its calls nest. */
interface Extent {
  readonly nodes: number;
  readonly depth: number;
}

interface Visit {
  readonly key: string;
  readonly f: OnnxFunction;
  readonly calls: readonly string[];
  next: number; // in `calls`
}

/**
 * Throws if two functions have one name, or a function calls itself, directly or through others, and Unsupported if
 * calls nest too deeply or write out too many nodes in place of `nodes`.
 */
export function checkCalls(functions: readonly OnnxFunction[], nodes: readonly OnnxNode[]): void {
  const byKey = new Map<string, OnnxFunction>();
  for (const f of functions) {
    const key = functionKey(f.domain, f.name);
    if (byKey.has(key)) throw new Error(`function ${shown(key)} is there twice`);
    byKey.set(key, f);
  }
  const keyOf = (n: OnnxNode): string => functionKey(n.domain, n.op);
  const all = (list: readonly OnnxNode[]): OnnxNode[] =>
    list.flatMap((n) => [n, ...graphsOf(n).flatMap((g) => all(g.nodes))]);
  const opened = (key: string, f: OnnxFunction): Visit => {
    const calls = [...new Set(all(f.nodes).map(keyOf))].filter((k) => byKey.has(k));
    return { key, f, calls, next: 0 };
  };
  const done = new Map<string, Extent>();
  const size = (list: readonly OnnxNode[]): number =>
    list.reduce((s, n) => s + 1 + (done.get(keyOf(n))?.nodes ?? 0), 0);
  for (const [key, f] of byKey) {
    const path = done.has(key) ? [] : [opened(key, f)];
    const on = new Set([key]);
    for (let top = path.at(-1); top; top = path.at(-1)) {
      if (path.length > MAX_CALLS)
        throw new Unsupported(
          `function ${shown(key)}: its calls are more than ${MAX_CALLS} functions deep, or endless`,
        );
      const called = top.calls[top.next++];
      if (called === undefined) {
        done.set(top.key, {
          nodes: size(liveNodes(top.f.nodes, top.f.outputs)),
          depth: 1 + top.calls.reduce((d, k) => Math.max(d, done.get(k)?.depth ?? 0), 0),
        });
        on.delete(top.key);
        path.pop();
      } else if (on.has(called)) {
        const through = [...path.map((v) => v.key), called].join(", ");
        throw new Error(`function ${shown(called)} calls itself, through ${shown(through, 400)}`);
      } else if (!done.has(called)) {
        path.push(opened(called, byKey.get(called) as OnnxFunction));
        on.add(called);
      }
    }
  }
  const deep = [...done].find(([, e]) => e.depth > MAX_CALLS);
  if (deep) throw new Unsupported(`function ${shown(deep[0])}: its calls are more than ${MAX_CALLS} functions deep`);
  if (size(nodes) > MAX_NODES) tooManyNodes();
}
