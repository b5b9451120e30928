// Pooling. The gradient of max pooling is scattered to the indices that MaxPool returns: the position of the first
// maximum in row-major order, counted in the whole tensor.

import { elements } from "../../ir/types.js";
import * as op from "../../ops/index.js";
import { type Body, bodyOf } from "./body.js";

interface Window {
  readonly kernel: number;
  readonly stride: number;
  readonly pad: number;
}
const attributes = ({ kernel, stride, pad }: Window) => ({
  kernel_shape: [kernel, kernel],
  strides: [stride, stride],
  pads: [pad, pad, pad, pad],
});

export const pool: readonly Body[] = [
  bodyOf(op.max_pool, (w, { x }, { attrs }) => w.op("MaxPool", [x], attributes(attrs))),
  bodyOf(op.max_pool_grad, (w, { x, dy }, { attrs }) => {
    w.need(16, "ScatterElements with reduction");
    const [, at] = w.node("MaxPool", [x], attributes(attrs), 2);
    const zeros = w.op("ConstantOfShape", [w.i64([elements(x.type.shape)])]);
    const flat = w.op("ScatterElements", [zeros, w.reshape(at as string, [-1]), w.reshape(dy, [-1])], {
      axis: 0,
      reduction: "add",
    });
    return w.reshape(flat, x.type.shape);
  }),
  bodyOf(op.global_avg_pool, (w, { x }) => w.op("Flatten", [w.op("GlobalAveragePool", [x])], { axis: 1 })),
];
