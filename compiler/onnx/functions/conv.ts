// Matrix products and convolutions. The gradients of a convolution are convolutions, too: that of the images is a
// transposed convolution; that of the weights is one in which images and channels are exchanged and the stride becomes
// the dilation.

import * as op from "../../ops/index.js";
import { type Body, bodyOf, extent } from "./body.js";

const both = (x: number): readonly number[] => [x, x];
const pads = (pad: number): readonly number[] => [pad, pad, pad, pad];

export const conv: readonly Body[] = [
  // `groups` only fixes the order of the sum
  bodyOf(op.matmul, (w, { a, b }, { attrs: { ta, tb } }) =>
    w.op("Gemm", [a, b], { ...(ta && { transA: 1 }), ...(tb && { transB: 1 }) }),
  ),
  bodyOf(op.conv, (w, { x, w: weight }, { attrs: { stride, pad } }) =>
    w.op("Conv", [x, weight], {
      kernel_shape: weight.type.shape.slice(2),
      strides: both(stride),
      pads: pads(pad),
    }),
  ),
  bodyOf(op.conv_dgrad, (w, { dy, w: weight }, { attrs: { stride, pad, h, w: width } }) => {
    // rows or columns at the end of the image that no window covers
    const rest = (size: number, axis: number): number =>
      size - ((extent(dy, axis) - 1) * stride + extent(weight, axis) - 2 * pad);
    return w.op("ConvTranspose", [dy, weight], {
      kernel_shape: weight.type.shape.slice(2),
      strides: both(stride),
      pads: pads(pad),
      output_padding: [rest(h, 2), rest(width, 3)],
    });
  }),
  bodyOf(op.conv_wgrad, (w, { dy, x }, { attrs: { stride, pad, r, s } }) => {
    // x as C images of N channels, dy as K filters of N channels and P x Q taps. The result is larger than r x s if
    // some rows or columns of x are in no window.
    const dw = w.op("Conv", [w.transpose(x, [1, 0, 2, 3]), w.transpose(dy, [1, 0, 2, 3])], {
      kernel_shape: dy.type.shape.slice(2),
      dilations: both(stride),
      pads: pads(pad),
    });
    return w.transpose(w.slice(w.slice(dw, 2, 0, r), 3, 0, s), [1, 0, 2, 3]); // [C, K, ...] to [K, C, r, s]
  }),
];
