// The largest element, in f32. It is not in the file of the sums, because its gradient compares elements, and those of
// comparisons are sums.

import { f32 } from "../ir/element_types.js";
import type { Value } from "../ir/types.js";
import { extremeGradient } from "./general/map.js";
import { defineOp } from "./op.js";
import { type AxesAttrs, foldElements, type Reduction, resultShape } from "./reduce.js";
import { wantAxis } from "./shape.js";

/** The largest element over `axes`; NaN if one of the elements is NaN. Equal ones share the gradient. */
export const max: Reduction = defineOp({
  name: "max",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["axes", "keepdims?"],
  types: { x: f32 },
  kind: "kernel",
  onnx: "ReduceMax",
  batch: ({ axes }, rank) => (axes.every((a) => wantAxis(a, rank) !== 0) ? { rows: ["x"] } : undefined),
  infer: ({ x }, attrs: AxesAttrs) => ({ y: { dtype: x.dtype, shape: resultShape(x.shape, attrs) } }),
  reference: ({ x }, attrs) => ({
    y: foldElements(x, attrs, -Infinity, (m, v) => (Number.isNaN(m) || v <= m ? m : v)),
  }),
  grad: (b, p, { axes }) => ({ x: extremeGradient(b, p.in.x, p.out.y, p.d.y as Value, axes) }),
});
