// Which values of a graph have the batch as axis 0, and whether a graph compiled for one batch size means the
// same for every other: rows must not meet, and no table may have a batch's length.

import type { Graph, Node, Value } from "../ir/types.js";

/** Ops whose row n of the result comes from row n of the operands alone. */
const rowwise = new Set([
  "relu",
  "exp",
  "log",
  "sqrt",
  "tanh",
  "sigmoid",
  "abs",
  "neg",
  "square",
  "scale",
  "cast",
  "normalize_image",
  "conv",
  "max_pool",
  "global_avg_pool",
  "batch_norm_inference",
  "softmax",
  "l2_normalize",
  "spread_pixels",
]);
const elementwise = new Set(["add", "sub", "mul", "div"]);

/** The values whose axis 0 is the batch. Throws at the first node that another batch size would change. */
export function batchedValues(g: Graph): ReadonlySet<Value> {
  const batched = new Set<Value>(g.inputs.filter((v) => v.type.shape.length > 0));
  const sizes = new Set([...batched].map((v) => v.type.shape[0]));
  if (sizes.size > 1) throw new Error(`inputs of ${g.name} have different batch sizes: ${[...sizes].join(", ")}`);
  for (const n of g.nodes) {
    if (!n.inputs.some((v) => batched.has(v))) continue;
    const why = obstacle(n, (v) => batched.has(v));
    if (why) throw new Error(`${n.op} in ${n.scope || "<top>"}: ${why}, so ${g.name} has no dynamic batch`);
    for (const v of n.outputs) batched.add(v);
  }
  return batched;
}

/** Why the node mixes rows or knows their number; undefined for one that does not. */
function obstacle(n: Node, batched: (v: Value) => boolean): string | undefined {
  const [x, ...others] = n.inputs as [Value, ...Value[]];
  const out = n.outputs[0] as Value;
  const rank = x.type.shape.length;
  const axis = (a: unknown): number => ((a as number) + rank) % rank;
  if (rowwise.has(n.op))
    return batched(x) && !others.some(batched) ? undefined : "an operand that is not the first has the batch";
  if (elementwise.has(n.op)) {
    const fixed = n.inputs.find(
      (v) => !batched(v) && v.type.shape.length === out.type.shape.length && v.type.shape[0] !== 1,
    );
    return fixed && `%${fixed.name} has an extent along the batch`;
  }
  switch (n.op) {
    case "matmul":
      return n.attrs.ta || !batched(x) || others.some(batched) ? "the rows of the batch are summed over" : undefined;
    case "reshape":
      return out.type.shape[0] === x.type.shape[0] ? undefined : "the rows are divided anew";
    case "concat":
      return axis(n.attrs.axis) === 0 || !n.inputs.every(batched)
        ? "other rows are put below those of the batch"
        : undefined;
    case "slice":
      return axis(n.attrs.axis) === 0 ? "some rows are taken" : undefined;
    case "transpose":
      return (n.attrs.perm as readonly number[])[0] === 0 ? undefined : "axis 0 moves";
    case "sum":
    case "mean":
    case "max":
      return (n.attrs.axes as readonly number[]).some((a) => axis(a) === 0) ? "the rows are reduced" : undefined;
    case "affine":
      return others.every((t) => !batched(t) && t.type.shape[0] === 1)
        ? undefined
        : "groups of rows have tables of their own";
    default:
      return "it may mix rows";
  }
}
