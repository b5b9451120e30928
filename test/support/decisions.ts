// The decisions of a network: the sign before a ReLU, the maximum of a pooling window. If one is close, two correct
// implementations may decide differently, and then their gradients differ by far more than rounding. This file can
// prove that a difference has that cause: the reference, made to decide the other way, must agree again.

import { type Env, evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";

/** One close decision, and the values that reverse it. */
export interface Decision {
  readonly value: Value;
  readonly set: readonly (readonly [index: number, x: number])[];
  readonly margin: number; // how close it is, relative to the root mean square of the value
}

/** Decisions that gradients depend on, closer than `within`; the closest come first. */
export function closeDecisions(g: Graph, env: Env, within: number): Decision[] {
  const read = (op: string, operand: number): Set<Value> =>
    new Set(g.nodes.filter((n) => n.op === op).map((n) => n.inputs[operand] as Value));
  const [signs, maxima] = [read("relu_grad", 1), read("max_pool_grad", 0)];
  return g.nodes
    .flatMap((n) => {
      const value = n.inputs[0] as Value;
      const x = env.get(value) as NdArray;
      if (n.op === "relu" && signs.has(n.outputs[0] as Value)) return closeSigns(value, x, within);
      if (n.op === "max_pool" && maxima.has(value)) return closeMaxima(value, x, n.attrs as unknown as Pool, within);
      return [];
    })
    .toSorted((a, b) => a.margin - b.margin);
}

/** `evaluate` with the given decisions reversed. */
export const decidingOtherwise = (g: Graph, feed: ReadonlyMap<Value, NdArray>, decisions: readonly Decision[]): Env =>
  evaluate(g, feed, (v, x) => {
    const here = decisions.filter((d) => d.value === v);
    if (here.length === 0) return x;
    const data = x.data.slice();
    for (const d of here) for (const [i, changed] of d.set) data[i] = changed;
    return new NdArray(x.shape, data);
  });

const size = (x: NdArray): number => Math.sqrt(x.data.reduce((s, v) => s + v * v, 0) / x.data.length);

function closeSigns(value: Value, x: NdArray, within: number): Decision[] {
  const unit = size(x);
  const close: Decision[] = [];
  x.data.forEach((v, i) => {
    if (v !== 0 && Math.abs(v) < within * unit) close.push({ value, set: [[i, -v]], margin: Math.abs(v) / unit });
  });
  return close;
}

interface Pool {
  readonly kernel: number;
  readonly stride: number;
  readonly pad: number;
}

/** Windows whose two largest elements are nearly equal and above 0; swapping the two reverses the decision. */
function closeMaxima(value: Value, x: NdArray, { kernel, stride, pad }: Pool, within: number): Decision[] {
  const [n, c, h, w] = x.shape as readonly [number, number, number, number];
  const unit = size(x);
  const close: Decision[] = [];
  const begins = (extent: number): number[] =>
    Array.from({ length: Math.floor((extent + 2 * pad - kernel) / stride) + 1 }, (_, i) => i * stride - pad);
  for (let plane = 0; plane < n * c; plane++)
    for (const top of begins(h))
      for (const left of begins(w)) {
        let [first, second] = [-1, -1];
        const at = (i: number): number => (i < 0 ? Number.NEGATIVE_INFINITY : (x.data[i] as number));
        for (let y = Math.max(0, top); y < Math.min(h, top + kernel); y++)
          for (let z = Math.max(0, left); z < Math.min(w, left + kernel); z++) {
            const i = (plane * h + y) * w + z;
            if (at(i) > at(first)) [first, second] = [i, first];
            else if (at(i) > at(second)) second = i;
          }
        const margin = (at(first) - at(second)) / unit;
        if (margin < within && at(second) > 0)
          close.push({
            value,
            set: [
              [first, at(second)],
              [second, at(first)],
            ],
            margin,
          });
      }
  return close;
}
