// Dropout as a layer. The seed and the number of the step are states, so a run that continues from a checkpoint drops
// the same elements as one that was not interrupted. Both belong to the whole graph.

import type { Builder } from "../compiler/ir/builder.js";
import { elements, type Init, type TensorType, type Value } from "../compiler/ir/types.js";
import { reshaped } from "../compiler/ops/composed/layout.js";
import * as op from "../compiler/ops/index.js";
import type { Net } from "./net.js";

/** FNV-1a of a text, 32 bits. */
const hash = (text: string): number =>
  [...new TextEncoder().encode(text)].reduce((h, byte) => Math.imul(h ^ byte, 0x01000193) >>> 0, 0x811c9dc5);

/** The number of the layer: it depends on its name only, so that other layers can come and go. */
function streamOf(b: Builder): number {
  const used = new Set(b.nodes.filter((n) => n.op === op.dropout.name).map((n) => n.attrs.stream));
  let name = b.scope;
  while (used.has(hash(name))) name += "'";
  return hash(name);
}

/**
 * x with a share p of its elements set to 0, and all others divided by 1 - p; x itself in evaluation. Which elements
 * are dropped depends on the states `dropout.seed` (drawn from the seed of the run) and `dropout.step` (the number of
 * steps that changed something), on the layer's name and on the position in the whole batch: it is the same for any
 * number of ranks. The graph must call commit(). Exists for CPUs only. Throws unless 0 <= p < 1.
 */
export function dropout(net: Net, x: Value, p: number): Value {
  if (!(p >= 0 && p < 1)) throw new Error(`dropout in ${net.b.scope}: p must be at least 0 and less than 1, not ${p}`);
  if (!net.training || p === 0) return x;
  const { b } = net;
  const at = b.at("dropout");
  const state = (name: string, type: TensorType, init: Init): { value: Value; fresh: boolean } => {
    const known = b.states.find((s) => s.name === `dropout.${name}`);
    return { value: known ?? at.state(name, type, init, "buffer"), fresh: known === undefined };
  };
  const seed = state("seed", { dtype: "f32", shape: [] }, { kind: "uniform", bound: 2 ** 31 });
  const step = state("step", { dtype: "i64", shape: [] }, { kind: "constant", value: 0 });
  if (step.fresh) net.later(step.value, "count");
  const { shape } = x.type;
  const columns = shape.at(-1) as number;
  const rows = shape.length === 2 ? x : reshaped(b, x, [elements(shape) / columns, columns]);
  const row = op.map(b, [], { expr: "i0", shape: [rows.type.shape[0] as number] });
  const whole = op.map(at, [seed.value], { expr: "to_i64(x0)" });
  const y = op.dropout(b, rows, row, whole, step.value, { p, stream: streamOf(b) });
  return shape.length === 2 ? y : reshaped(b, y, shape);
}
