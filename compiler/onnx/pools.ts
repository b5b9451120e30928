// Which constants of a model are trained. Usually a weight is an initializer, also if a node reshapes it before it is
// used: the initializer is trained. But some models cut all weights from a common pool of numbers: there the weights
// are trained, and not the pool.

import { elements } from "../ir/types.js";
import { isFloat } from "../ops/general/expression.js";
import type { OnnxGraph, Tensor } from "./model.js";
import { readsOf } from "./subgraph.js";

/** Whether a constant is what training changes: numbers of a float type. A single number is a setting. */
export const isTrained = (t: Tensor): boolean => isFloat(t.type) && elements(t.dims) > 1;

/** The values that follow from constants alone, initializers included. */
export function constantNames(g: OnnxGraph): ReadonlySet<string> {
  const names = new Set(g.initializers.map((t) => t.name));
  for (const n of g.nodes)
    if (readsOf(n).every((name) => names.has(name))) for (const name of n.outputs) names.add(name);
  return names;
}

/**
 * The constants from which several others are made that nodes of the network read, but which none of these nodes reads
 * itself; and those in between.
 */
export function pools(g: OnnxGraph): ReadonlySet<string> {
  const constants = constantNames(g);
  const leaves = new Map<string, Set<string>>(); // of each constant: the constants made of it that the network reads
  const add = (name: string, more: Iterable<string>): void => {
    const all = leaves.get(name) ?? new Set();
    for (const leaf of more) all.add(leaf);
    leaves.set(name, all);
  };
  for (const n of g.nodes.toReversed()) {
    const reads = readsOf(n).filter((name) => constants.has(name));
    if (n.outputs.some((name) => !constants.has(name))) for (const name of reads) add(name, [name]);
    else
      for (const name of reads)
        add(
          name,
          n.outputs.flatMap((out) => [...(leaves.get(out) ?? [])]),
        );
  }
  const made = new Set([...leaves].filter(([name, to]) => to.size > 1 && !to.has(name)).map(([name]) => name));
  for (const n of g.nodes)
    if (readsOf(n).some((name) => made.has(name)) && n.outputs.every((name) => constants.has(name)))
      for (const name of n.outputs) if (!leaves.get(name)?.has(name)) made.add(name);
  return made;
}
