// How a node depends on the rows of the batch. Only this file decides it: `distribute` uses it to divide the batch
// between ranks, and the ONNX exporter to find out whether a model accepts any number of rows.

import type { Attrs, Node, Value } from "../ir/types.js";
import { tryAccessOf } from "./access.js";
import { opOf } from "./op.js";

/** How a node depends on the rows of the batch, if each row of its results needs only the same row of its operands. */
export interface Rows {
  /** For each operand: whether its first axis is the rows or groups of them. */
  readonly operands: readonly boolean[];
  /** For each result: whether it is summed over the rows; if not, its first axis is the rows or groups of them. */
  readonly sums: readonly boolean[];
  /** Whether the node distinguishes groups of rows; their number is an attribute or the extent of a table. */
  readonly grouped: boolean;
  /** Whether an operand with extent 1 along the rows is repeated for all of them. */
  readonly broadcasts: boolean;
}

/** How `n` depends on the rows of the batch; undefined if it needs all rows at once. */
export function rowsOf(n: Node): Rows | undefined {
  const op = opOf(n.op);
  if (op.kind === "elementwise") return rowsByAccess(n);
  const shapes = n.inputs.map((v) => v.type.shape);
  const batch = typeof op.batch === "function" ? op.batch(n.attrs as never, shapes[0]?.length ?? 0, shapes) : op.batch;
  if (!batch) return undefined;
  return {
    operands: n.inputs.map((_, i) => batch.rows.includes(operandNameOf(n, i)) || batch.rows.includes(i)),
    sums: (op.outputs as readonly string[]).map((o) => batch.sums?.includes(o) === true),
    grouped: typeof n.attrs.groups === "number",
    broadcasts: batch.broadcasts === true,
  };
}

/** The op's name for the i-th operand; all values of a trailing "...xs" share the name "xs". */
export function operandNameOf(n: Node, i: number): string {
  const names: readonly string[] = opOf(n.op).inputs;
  return (names[Math.min(i, names.length - 1)] as string).replace("...", "");
}

/**
 * The attributes of a node for another number of rows. The function `groups` maps the attribute `groups` to its new
 * value, and `rows` the first extent of the attribute `shape` if that is not -1.
 */
export function attrsForRows(attrs: Attrs, rows: (count: number) => number, groups: (count: number) => number): Attrs {
  const next = { ...attrs };
  if (typeof next.groups === "number") next.groups = groups(next.groups);
  if (Array.isArray(next.shape) && next.shape[0] !== -1) next.shape = next.shape.with(0, rows(next.shape[0]));
  return next;
}

/** Rows of an elementwise op: every operand that varies along the first axis of the result is divided by rows. */
function rowsByAccess(n: Node): Rows {
  const domain = n.outputs[0]?.type.shape ?? [];
  const access = (v: Value, i: number): string => {
    const { shape } = v.type;
    return tryAccessOf(n, i) ?? (shape.length === domain.length && shape[0] === domain[0] ? "row" : "channel");
  };
  const tables = n.inputs.map((v, i) => access(v, i) === "group_channel" && v.type.shape[0] !== 1);
  const varies = (v: Value, i: number): boolean => {
    if (access(v, i) === "full") return v.type.shape.length === domain.length; // a shorter operand is one row, [C]
    return tables[i] === true || access(v, i) === "row" || access(v, i) === "row_channel";
  };
  return {
    operands: n.inputs.map((v, i) => domain.length > 0 && varies(v, i)),
    sums: n.outputs.map(() => false),
    grouped: tables.includes(true),
    broadcasts: true,
  };
}
