// Pooling. max_pool_grad finds the maximum of each window again, so that no indices are stored. Of equal maxima the
// first in row-major order gets the gradient. Padding is never the maximum.

import { floats } from "../ir/element_types.js";
import { NdArray } from "../ir/nd.js";
import type { Value } from "../ir/types.js";
import { scale } from "./constant.js";
import { windows } from "./conv.js";
import { defineOp, type Op } from "./op.js";
import { channelsOf, dim, wantInteger, wantRank, wantShape } from "./shape.js";

type PoolAttrs = { kernel: number; stride: number; pad: number };
type Shaped = { readonly shape: readonly number[] };

function pooledShape(x: Shaped, attrs: PoolAttrs): number[] {
  const { kernel, pad } = attrs;
  wantInteger("kernel", kernel, 1);
  if (2 * pad > kernel)
    throw new Error(`padding ${pad} is more than half the kernel ${kernel}: a window could be empty`);
  return [dim(x, 0), dim(x, 1), windows(dim(x, 2), kernel, attrs), windows(dim(x, 3), kernel, attrs)];
}

/** Calls f(o, i) for each element o of the result with the index i of its window's first maximum, or its last NaN. */
function eachMaximum(x: NdArray, attrs: PoolAttrs, f: (o: number, i: number) => void): void {
  const { kernel, stride, pad } = attrs;
  const [n, c, p, q] = pooledShape(x, attrs) as [number, number, number, number];
  const [h, w] = [dim(x, 2), dim(x, 3)];
  for (let plane = 0, o = 0; plane < n * c; plane++)
    for (let y = 0; y < p; y++)
      for (let z = 0; z < q; z++, o++) {
        let best = -1;
        for (let i = Math.max(0, y * stride - pad); i < Math.min(h, y * stride - pad + kernel); i++)
          for (let j = Math.max(0, z * stride - pad); j < Math.min(w, z * stride - pad + kernel); j++) {
            const at = (plane * h + i) * w + j;
            const v = x.data[at] as number;
            if (best < 0 || v > (x.data[best] as number) || Number.isNaN(v)) best = at;
          }
        f(o, best);
      }
}

/** x [N, C, H, W] -> y [N, C, P, Q]: the maximum of each kernel x kernel window. Throws if 2 pad > kernel. */
export const max_pool: Op<readonly ["x"], readonly ["y"], PoolAttrs> = defineOp({
  name: "max_pool",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["kernel", "stride", "pad"],
  types: { x: floats },
  kind: "kernel",
  onnx: "MaxPool",
  batch: { rows: ["x"] },
  infer: ({ x }, attrs: PoolAttrs) => {
    wantRank("x", x, 4);
    return { y: { dtype: x.dtype, shape: pooledShape(x, attrs) } };
  },
  reference: ({ x }, attrs) => {
    const y = NdArray.fill(pooledShape(x, attrs), () => 0);
    eachMaximum(x, attrs, (o, i) => {
      y.data[o] = x.data[i] as number;
    });
    return { y };
  },
  grad: (b, p, attrs) => ({ x: max_pool_grad(b, p.in.x, p.d.y as Value, attrs) }),
});

/** x [N, C, H, W], dy [N, C, P, Q] -> dx like x: each element of dy is added at the first maximum of its window. */
export const max_pool_grad: Op<readonly ["x", "dy"], readonly ["dx"], PoolAttrs> = defineOp({
  name: "max_pool_grad",
  inputs: ["x", "dy"],
  outputs: ["dx"],
  attrs: ["kernel", "stride", "pad"],
  types: { x: floats, dy: floats },
  kind: "kernel",
  onnx: "moproc::MaxPoolGrad",
  batch: { rows: ["x", "dy"] },
  infer: ({ x, dy }, attrs: PoolAttrs) => {
    wantRank("x", x, 4);
    wantShape("dy", dy, pooledShape(x, attrs));
    return { dx: { dtype: dy.dtype, shape: x.shape } };
  },
  reference: ({ x, dy }, attrs) => {
    const dx = NdArray.fill(x.shape, () => 0);
    eachMaximum(x, attrs, (o, i) => {
      dx.data[i] = (dx.data[i] as number) + (dy.data[o] as number);
    });
    return { dx };
  },
});

/** x [N, C, H, W] -> y [N, C]: the mean over the pixels of each image, per channel. */
export const global_avg_pool: Op<readonly ["x"], readonly ["y"], Record<never, never>> = defineOp({
  name: "global_avg_pool",
  inputs: ["x"],
  outputs: ["y"],
  types: { x: floats },
  kind: "kernel",
  onnx: "moproc::GlobalAveragePool",
  batch: { rows: ["x"] }, // ONNX's own GlobalAveragePool keeps the two axes of pixels
  infer: ({ x }, _: Record<never, never>) => {
    wantRank("x", x, 4);
    return { y: { dtype: x.dtype, shape: [dim(x, 0), dim(x, 1)] } };
  },
  reference: ({ x }) => {
    const { n, c, pixels } = channelsOf(x);
    return {
      y: NdArray.fill([n, c], (i) => x.data.subarray(i * pixels, (i + 1) * pixels).reduce((s, v) => s + v, 0) / pixels),
    };
  },
  grad: (b, p) => {
    const [h, w] = [dim(p.in.x.type, 2), dim(p.in.x.type, 3)];
    return { x: spread_pixels(b, scale(b, p.d.y as Value, { factor: 1 / (h * w) }), { h, w }) };
  },
});

type SizeAttrs = { h: number; w: number };
/** x [N, C] -> y [N, C, h, w]: each value at every pixel of its image and channel. */
export const spread_pixels: Op<readonly ["x"], readonly ["y"], SizeAttrs> = defineOp({
  name: "spread_pixels",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["h", "w"],
  types: { x: floats },
  kind: "elementwise",
  onnx: "moproc::SpreadPixels",
  access: { x: "row_channel" },
  infer: ({ x }, { h, w }: SizeAttrs) => {
    wantRank("x", x, 2);
    wantInteger("h", h, 1);
    wantInteger("w", w, 1);
    return { y: { dtype: x.dtype, shape: [dim(x, 0), dim(x, 1), h, w] } };
  },
  reference: ({ x }, { h, w }) => ({
    y: NdArray.fill([dim(x, 0), dim(x, 1), h, w], (i) => x.data[Math.floor(i / (h * w))] as number),
  }),
  grad: (b, p, { h, w }) => ({ x: scale(b, global_avg_pool(b, p.d.y as Value), { factor: h * w }) }),
  code: ([x]) => [x as string],
});
