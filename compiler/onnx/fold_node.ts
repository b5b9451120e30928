// Evaluates a node of constants by its rule and the reference of the ops that the rule appends: conditions, extents and
// other small numbers that constants.ts has no function for.

import { Builder } from "../ir/builder.js";
import { evaluate } from "../ir/evaluate.js";
import { NdArray } from "../ir/nd.js";
import { elements, type Value } from "../ir/types.js";
import { isFloat } from "../ops/general/expression.js";
import { At, type Held } from "./at.js";
import { type Memory, MOST_NODES } from "./memory.js";
import type { OnnxNode, Tensor } from "./model.js";
import { isExact, numbersIn, tensorFrom } from "./numbers.js";
import type { Rule } from "./operators/rule.js";

const MOST = 65536; // elements of operands and results, because the reference is slow
const MOST_FLOATS = 64; // likewise if the result is floating point: weights stay what is trained

/**
 * The results of a node whose inputs are constants; undefined if they are to be computed when the program runs: they
 * are large, or a reference in f64 would not give the same numbers. Throws what the rule throws.
 */
export function foldNode(
  n: OnnxNode,
  version: number,
  rule: Rule,
  given: readonly (Held | undefined)[],
  wanted: (name: string) => boolean,
  memory: Memory,
): (Tensor | undefined)[] | undefined {
  const tensors = given.flatMap((h) => (h?.tensor ? [h.tensor] : []));
  const size = tensors.reduce((s, t) => s + elements(t.dims), 0);
  if (tensors.length < given.filter((h) => h).length || size > MOST || !tensors.every(isExact)) return undefined;
  if (tensors.some((t) => t.dims.some((d) => d > MOST))) return undefined; // of no elements
  const b = Builder.create("fold");
  b.limit(MOST_NODES.each);
  const feed = new Map<Value, NdArray>();
  const inputs = given.map((h, i): Held | undefined => {
    if (!h?.tensor) return undefined;
    const { tensor } = h;
    const v = b.input(`x${i}`, { dtype: tensor.type, shape: tensor.dims });
    feed.set(v, new NdArray(tensor.dims, numbersIn(tensor)));
    return { type: h.type, tensor, value: () => v };
  });
  const at = new At(n, version, b, inputs, wanted, memory);
  const results = [rule.build(at)].flat() as (Value | undefined)[];
  at.end();
  const made = results.filter((v) => v !== undefined);
  const fits = (v: Value): boolean => {
    const count = elements(v.type.shape);
    return count <= (isFloat(v.type.dtype) ? MOST_FLOATS : MOST);
  };
  if (!made.every(fits)) return undefined;
  for (const v of made) memory.reserve(v.type.dtype, v.type.shape);
  const env = evaluate(b.finish(made), feed);
  const computed = results.map((v, i) => {
    const tensor = v && tensorFrom(v.type.dtype, v.type.shape, (env.get(v) as NdArray).data);
    return tensor && { ...tensor, name: n.outputs[i] ?? "" };
  });
  return computed.every((t) => !t || isExact(t)) ? computed : undefined;
}
