// Which values of a graph have the batch as axis 0, and whether a graph compiled for one batch size means the same for
// every other. Rows must not meet, which the ops' records say; and the number of rows must appear nowhere, which a
// comparison of the ONNX nodes for two batch sizes shows.

import type { Graph, Node, Value } from "../ir/types.js";
import { opOf } from "../ops/op.js";
import { attrsForRows, rowsOf } from "../ops/rows.js";
import { functionOf } from "./library.js";
import { encodeFunction } from "./proto.js";

/**
 * The values whose axis 0 is the batch, if the ops are written for this operator set. Throws at the first node that
 * another batch size would change, and if inputs differ in their number of rows.
 */
export function batchedValues(g: Graph, opset: number): ReadonlySet<Value> {
  const batched = new Set<Value>(g.inputs.filter((v) => v.type.shape.length > 0));
  const sizes = new Set([...batched].map((v) => v.type.shape[0]));
  if (sizes.size > 1) throw new Error(`inputs of ${g.name} have different batch sizes: ${[...sizes].join(", ")}`);
  for (const n of g.nodes) {
    if (!n.inputs.some((v) => batched.has(v))) continue;
    const why = obstacle(n, (v) => batched.has(v)) ?? countsRows(n, (v) => batched.has(v), opset);
    if (why) throw new Error(`${n.op} in ${n.scope || "<top>"}: ${why}, so ${g.name} has no dynamic batch`);
    for (const v of n.outputs) batched.add(v);
  }
  return batched;
}

/** Why the node mixes rows or takes them in groups; undefined for one that computes each row by itself. */
function obstacle(n: Node, batched: (v: Value) => boolean): string | undefined {
  const rows = rowsOf(n);
  if (!rows) return "it needs all rows at once";
  const size = n.inputs.find(batched)?.type.shape[0];
  for (const [i, v] of n.inputs.entries()) {
    if (batched(v) && !rows.operands[i]) return `%${v.name} has the batch where the op takes no rows`;
    const repeated = opOf(n.op).kind === "elementwise" && v.type.shape[0] === 1; // the same row for all
    if (!batched(v) && rows.operands[i] && !repeated) return `%${v.name} has an extent along the batch`;
  }
  if (rows.sums.includes(true)) return "the rows of the batch are summed over";
  if (rows.grouped) return "the rows are taken in groups";
  if (n.outputs.some((v) => v.type.shape[0] !== size)) return "the rows are divided anew";
  return undefined;
}

/** Why the ONNX nodes of the op would be others for twice as many rows; undefined if they are the same. */
function countsRows(n: Node, batched: (v: Value) => boolean, opset: number): string | undefined {
  const twice = (v: Value): Value => ({
    ...v,
    type: { ...v.type, shape: v.type.shape.map((d, i) => (i ? d : 2 * d)) },
  });
  const larger: Node = {
    ...n,
    attrs: attrsForRows(
      n.attrs,
      (rows) => 2 * rows,
      (groups) => groups,
    ),
    inputs: n.inputs.map((v) => (batched(v) ? twice(v) : v)),
    outputs: n.outputs.map(twice),
  };
  const [one, other] = [n, larger].map((m) => Buffer.from(encodeFunction(functionOf(m, opset, true))));
  return one && other && one.equals(other) ? undefined : "its ONNX nodes depend on the number of rows";
}
