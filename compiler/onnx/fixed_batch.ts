// Many models are exported for a batch of one size, usually 1, which is then part of constants: the shape of a Reshape,
// or a class token that is concatenated to each image's tokens. This file fits such constants to another batch.

import type { Builder } from "../ir/builder.js";
import { elements } from "../ir/types.js";
import { spread } from "../ops/composed/compute.js";
import type { Held } from "./at.js";
import { elementsOf, type OnnxNode, type Tensor } from "./model.js";
import { tensorFrom } from "./numbers.js";

/** The operators whose second input is a shape that begins with the batch. */
const shapes: ReadonlySet<string> = new Set(["Reshape", "Expand"]);

/**
 * The operands of a node for a batch of `actual`, if the node was made for one of `declared`; undefined if it fits
 * already, or is none of those that this function knows.
 */
export function withBatch(
  n: OnnxNode,
  given: readonly (Held | undefined)[],
  declared: number,
  actual: number,
  b: Builder,
): (Held | undefined)[] | undefined {
  if (n.domain !== "") return undefined;
  if (shapes.has(n.op)) {
    const [x, shape] = given;
    if (!x || !shape?.tensor || shape.tensor.type !== "i64") return undefined;
    const sizes = Array.from(elementsOf(shape.tensor) as BigInt64Array, Number);
    const own = x.type.shape[0] === actual && !x.tensor;
    if (sizes[0] !== declared || !own || (n.op === "Reshape" && !grows(sizes, x.type.shape, actual))) return undefined;
    const fresh = tensorFrom("i64", shape.tensor.dims, [actual, ...sizes.slice(1)]);
    return [x, held({ ...fresh, name: shape.tensor.name }), ...given.slice(2)];
  }
  if (n.op !== "Concat") return undefined;
  const axis = n.attributes.axis?.value;
  if (axis === 0 || !given.some((h) => h && !h.tensor && h.type.shape[0] === actual)) return undefined;
  const narrow = (h: Held | undefined): h is Held => h?.tensor !== undefined && h.type.shape[0] === declared;
  if (declared !== 1 || !given.some(narrow)) return undefined;
  return given.map((h) => (narrow(h) ? wide(b, h, actual) : h));
}

/** Whether a Reshape to these sizes has the elements of x only with the actual batch as first extent. */
function grows(sizes: readonly number[], x: readonly number[], actual: number): boolean {
  const rest = sizes.slice(1).map((d, i) => (d === 0 ? (x[i + 1] ?? 0) : d));
  return rest.includes(-1) || elements(rest) * actual === elements(x);
}

const held = (tensor: Tensor): Held => ({
  type: { dtype: tensor.type, shape: tensor.dims },
  tensor,
  value: () => {
    throw new Error(`internal: ${tensor.name} is a shape`);
  },
});

/** A constant of one image, repeated for each. */
function wide(b: Builder, h: Held, actual: number): Held {
  const shape = [actual, ...h.type.shape.slice(1)];
  return { type: { ...h.type, shape }, tensor: undefined, value: (role) => spread(b, h.value(role), shape) };
}
