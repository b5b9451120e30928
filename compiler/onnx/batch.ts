// Finds the values of a graph whose axis 0 is the batch, or several positions of each of its rows (tokens, heads), and
// whether the graph's ONNX nodes are right for every batch size. Two conditions are checked. No row of a result may
// depend on other rows, which the ops' records say. The number of rows may not appear in the nodes, which is found by
// comparing the nodes for two batch sizes.

import type { Graph, Node, Value } from "../ir/types.js";
import { opOf } from "../ops/op.js";
import { attrsForRows, operandNameOf, rowsOf } from "../ops/rows.js";
import { functionOf } from "./library.js";
import { encodeFunction } from "./proto.js";

/**
 * The values of `g` whose axis 0 is the batch, each with the number of positions per row, if its ops are written in
 * operator set `opset`. Throws at the first node that would be different for another batch size, and if inputs have
 * different numbers of rows.
 */
export function batchedValues(g: Graph, opset: number): ReadonlyMap<Value, number> {
  const batched = new Set<Value>(g.inputs.filter((v) => v.type.shape.length > 0));
  const sizes = new Set([...batched].map((v) => v.type.shape[0] as number));
  if (sizes.size > 1) throw new Error(`inputs of ${g.name} have different batch sizes: ${[...sizes].join(", ")}`);
  const [size = 1] = sizes;
  for (const n of g.nodes) {
    if (!n.inputs.some((v) => batched.has(v))) continue;
    const why = obstacle(n, (v) => batched.has(v), size) ?? countsRows(n, (v) => batched.has(v), opset);
    if (why) throw new Error(`${n.op} in ${n.scope || "<top>"}: ${why}, so ${g.name} has no dynamic batch`);
    for (const v of n.outputs) batched.add(v);
  }
  return new Map([...batched].map((v) => [v, (v.type.shape[0] as number) / size]));
}

/** How the node mixes rows or depends on groups of them; undefined if it computes each row by itself. */
function obstacle(n: Node, batched: (v: Value) => boolean, batch: number): string | undefined {
  const rows = rowsOf(n);
  if (!rows) return "it needs all rows at once";
  for (const [i, v] of n.inputs.entries()) {
    if (batched(v) && !rows.operands[i] && !isOnlyRow(n, i))
      return `its operand %${v.name} has the batch, and the op does not take it row by row`;
    const repeated = rows.broadcasts && v.type.shape[0] === 1; // the same for all rows
    if (!batched(v) && rows.operands[i] && !repeated)
      return `its operand %${v.name} has a fixed extent along the batch`;
  }
  if (rows.sums.includes(true)) return "it sums over the rows of the batch";
  if (rows.grouped) return "it takes the rows in groups";
  // a view may give each row several positions
  if (n.outputs.some(({ type }) => (type.shape[0] ?? 0.5) % batch !== 0))
    return "its result has another number of rows";
  return undefined;
}

/** Whether operand i broadcasts by its shape and is the only row of the example batch, which looks like a scalar. */
function isOnlyRow(n: Node, i: number): boolean {
  const { kind, access } = opOf(n.op);
  const [own, result] = [n.inputs[i], n.outputs[0]].map((v) => v?.type.shape ?? []) as [
    readonly number[],
    readonly number[],
  ];
  const byShape = kind === "elementwise" && access?.[operandNameOf(n, i)] === undefined;
  return byShape && own.length === result.length && own[0] === 1 && result[0] === 1;
}

/** Why the ONNX nodes of the op would be different for twice as many rows; undefined if they are the same. */
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
