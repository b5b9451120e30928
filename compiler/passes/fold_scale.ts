// conv(x s, w) => conv(x, w s) for a constant s per channel, so that scaling the pixels costs nothing at run time.
// Padding stays correct, because 0 times s is 0. A shift could not be folded.

import type { NdArray } from "../ir/nd.js";
import type { Node, State, Value } from "../ir/types.js";
import { constant } from "../ops/constant.js";
import { conv } from "../ops/conv.js";
import { mul } from "../ops/elementwise.js";
import { changed, producers, scaledWeight, uses, type Valued } from "../rewrite/valued.js";

/**
 * Folds every such product, computed in f64, if only the convolution reads the product and its weight, and s is a
 * constant of shape [1, C, 1, 1]; others stay.
 */
export function foldScale(from: Valued): Valued {
  const { graph: g, values } = from;
  const readers = uses(g);
  const maker = producers(g);
  const nodes = new Map<Node, readonly Node[]>();
  const states = new Map<Value, readonly (readonly [State, NdArray])[]>();
  for (const n of g.nodes) {
    const product = n.op === conv.name ? maker.get(n.inputs[0] as Value) : undefined;
    const [x, by] = product?.op === mul.name ? product.inputs : [];
    const table = by && maker.get(by);
    const w = g.state.find((s) => s === n.inputs[1]);
    const old = w && values.get(w.name);
    if (!product || !x || !by || table?.op !== constant.name || !w || !old) continue;
    const channels = x.type.shape[1] as number;
    if (
      by.type.shape.join() !== `1,${channels},1,1` ||
      readers.get(product.outputs[0] as Value) !== 1 ||
      readers.get(w) !== 1
    )
      continue;
    const factors = table.attrs.values as readonly number[];
    const weight: State = { ...w };
    states.set(w, [[weight, scaledWeight(old, (_, c) => factors[factors.length === 1 ? 0 : c] as number)]]);
    nodes.set(product, []).set(n, [{ ...n, inputs: [x, weight] }]);
  }
  return changed(from, { nodes, states });
}
