// Folds a batch_norm_inference into the convolution before it: conv(x, w s) + t with s = gamma / sqrt(var + eps) and
// t = beta - mean s, computed in f64. A convolution has no bias with which t would be merged, so t is rounded only
// once. If all of t is 0, nothing is added.

import { NdArray } from "../ir/nd.js";
import type { Node, State, Value } from "../ir/types.js";
import { batch_norm_inference } from "../ops/batch_norm.js";
import { conv } from "../ops/conv.js";
import { add } from "../ops/elementwise.js";
import { changed, producers, scaledWeight, uses, type Valued } from "../rewrite/valued.js";

/**
 * Folds every batch_norm_inference whose operand is the result of a convolution, if nothing else reads that result or
 * the convolution's weight; others stay. The weight keeps its name. The new bias [1, K, 1, 1] has the weight's name
 * with `bias` for `weight`. Throws if an element of a result is not finite in f32; the message names the tensor.
 */
export function foldBatchNorm(from: Valued): Valued {
  const { graph: g, values } = from;
  const readers = uses(g);
  const maker = producers(g);
  const states = new Map<Value, State>(g.state.map((s) => [s, s]));
  const nodes = new Map<Node, readonly Node[]>();
  const replaced = new Map<Value, readonly (readonly [State, NdArray])[]>();
  const names = new Set([...g.inputs, ...g.state, ...g.nodes.flatMap((n) => n.outputs)].map((v) => v.name));
  for (const n of g.nodes) {
    if (n.op !== batch_norm_inference.name) continue;
    const [y, ...tables] = n.inputs as [Value, Value, Value, Value, Value];
    const c = maker.get(y);
    const w = c && states.get(c.inputs[1] as Value);
    const known = tables.map((v) => states.has(v) && values.get(v.name)).filter((x) => x instanceof NdArray);
    if (c?.op !== conv.name || !w || readers.get(y) !== 1 || readers.get(w) !== 1 || known.length !== 4) continue;
    const old = values.get(w.name);
    if (!old) continue;
    const { slope, bias } = lineOf(known, n.attrs.eps as number);
    const weight: State = { ...w };
    const scaled = scaledWeight(old, (k) => slope[k] as number);
    const now: (readonly [State, NdArray])[] = [[weight, finite(w.name, scaled)]];
    if (bias.every((t) => t === 0)) {
      nodes.set(c, [{ ...c, inputs: [c.inputs[0] as Value, weight], outputs: n.outputs }]).set(n, []);
    } else {
      const shift = biasOf(w, bias, names);
      now.push([shift, finite(shift.name, new NdArray(shift.type.shape, bias))]);
      nodes.set(c, [{ ...c, inputs: [c.inputs[0] as Value, weight] }]);
      nodes.set(n, [{ op: add.name, inputs: [y, shift], attrs: {}, outputs: n.outputs, scope: c.scope }]);
    }
    replaced.set(w, now);
  }
  return changed(from, { nodes, states: replaced });
}

/** The slope and bias, per channel, of a batch_norm_inference written as y = slope x + bias. */
function lineOf(
  [gamma, beta, mean, variance]: readonly NdArray[],
  eps: number,
): { slope: Float64Array; bias: Float64Array } {
  const at = (x: NdArray | undefined, k: number): number => x?.data[k] as number;
  const slope = Float64Array.from(gamma?.data ?? [], (g, k) => g / Math.sqrt(at(variance, k) + eps));
  return { slope, bias: slope.map((s, k) => at(beta, k) - at(mean, k) * s) };
}

function biasOf(w: State, bias: Float64Array, names: Set<string>): State {
  const base = w.name.replace(/(^|\.)weight$/, "$1bias");
  let name = base === w.name ? `${w.name}.bias` : base;
  while (names.has(name)) name += "_";
  names.add(name);
  return {
    name,
    type: { dtype: w.type.dtype, shape: [1, bias.length, 1, 1] },
    init: { kind: "constant", value: 0 },
    role: "param",
  };
}

function finite(name: string, x: NdArray): NdArray {
  const at = x.data.findIndex((v) => !Number.isFinite(Math.fround(v)));
  if (at >= 0)
    throw new Error(`fold_batch_norm: element ${at} of ${name} would be ${x.data[at]}, which is not finite in f32`);
  return x;
}
