// Convolution and its two gradients. Logical layouts: images N, C, H, W; weights O, I, R, S (stored O, R, S, I).
// Padding contributes zeros, also if a fused prologue would map zeros to something else.

import { f32, floats } from "../ir/element_types.js";
import { NdArray } from "../ir/nd.js";
import type { TensorType, Value } from "../ir/types.js";
import { defineOp, type Op } from "./op.js";
import { dim, wantGroups, wantInteger, wantRank } from "./shape.js";

type WindowAttrs = { stride: number; pad: number };
type DgradAttrs = WindowAttrs & { h: number; w: number };
type WgradAttrs = WindowAttrs & { r: number; s: number; groups: number };

/** The number of positions of a window of `size` on `extent` elements with `pad` on both sides. Throws if it is 0. */
export function windows(extent: number, size: number, { stride, pad }: WindowAttrs): number {
  wantInteger("stride", stride, 1);
  wantInteger("pad", pad, 0);
  const n = Math.floor((extent + 2 * pad - size) / stride) + 1;
  if (n < 1) throw new Error(`a window of ${size} does not fit ${extent} elements padded by ${pad}`);
  return n;
}

interface Sizes {
  readonly n: number;
  readonly c: number;
  readonly h: number;
  readonly w: number;
  readonly k: number;
  readonly r: number;
  readonly s: number;
  readonly p: number;
  readonly q: number;
}

/**
 * Calls f(x, w, y, length) for each run of products that contribute to consecutive elements of a row of y: element y +
 * i gets x[x + i * stride] * w[w] for i < length. Products with padding are left out. A call per run instead of per
 * product keeps the f64 references fast enough for tests.
 */
function eachRun(
  d: Sizes,
  { stride, pad }: WindowAttrs,
  f: (x: number, w: number, y: number, length: number) => void,
): void {
  for (let n = 0; n < d.n; n++)
    for (let k = 0; k < d.k; k++)
      for (let c = 0; c < d.c; c++)
        for (let r = 0; r < d.r; r++)
          for (let s = 0; s < d.s; s++) {
            const begin = Math.max(0, Math.ceil((pad - s) / stride));
            const end = Math.min(d.q, Math.floor((d.w - 1 + pad - s) / stride) + 1);
            for (let p = 0; p < d.p && begin < end; p++) {
              const h = p * stride - pad + r;
              if (h < 0 || h >= d.h) continue;
              const x = ((n * d.c + c) * d.h + h) * d.w + begin * stride - pad + s;
              f(x, ((k * d.c + c) * d.r + r) * d.s + s, ((n * d.k + k) * d.p + p) * d.q + begin, end - begin);
            }
          }
}

type Shaped = { readonly shape: readonly number[] };
const sizes = (x: Shaped, w: Shaped, y: Shaped): Sizes => ({
  n: dim(x, 0),
  c: dim(x, 1),
  h: dim(x, 2),
  w: dim(x, 3),
  k: dim(w, 0),
  r: dim(w, 2),
  s: dim(w, 3),
  p: dim(y, 2),
  q: dim(y, 3),
});

function outputShape(x: Shaped, w: Shaped, attrs: WindowAttrs): number[] {
  return [dim(x, 0), dim(w, 0), windows(dim(x, 2), dim(w, 2), attrs), windows(dim(x, 3), dim(w, 3), attrs)];
}

function checkImages(operands: Readonly<Record<string, TensorType>>): void {
  for (const [name, t] of Object.entries(operands)) wantRank(name, t, 4);
}

/** x [N, C, H, W], w [K, C, R, S] -> y [N, K, P, Q]: cross-correlation, which networks call convolution. */
export const conv: Op<readonly ["x", "w"], readonly ["y"], WindowAttrs> = defineOp({
  name: "conv",
  inputs: ["x", "w"],
  outputs: ["y"],
  attrs: ["stride", "pad"],
  types: { x: floats, w: f32 },
  kind: "kernel",
  onnx: "Conv",
  batch: { rows: ["x"] },
  infer: ({ x, w }, attrs: WindowAttrs) => {
    checkImages({ x, w });
    if (dim(x, 1) !== dim(w, 1)) throw new Error(`x has ${dim(x, 1)} channels, w takes ${dim(w, 1)}`);
    return { y: { dtype: x.dtype, shape: outputShape(x, w, attrs) } };
  },
  reference: ({ x, w }, attrs) => {
    const y = NdArray.fill(outputShape(x, w, attrs), () => 0);
    const [xs, ws, ys] = [x.data, w.data, y.data];
    eachRun(sizes(x, w, y), attrs, (i, j, o, length) => {
      const by = ws[j] as number;
      for (let l = 0; l < length; l++) ys[o + l] = (ys[o + l] as number) + (xs[i + l * attrs.stride] as number) * by;
    });
    return { y };
  },
  grad: (b, p, { stride, pad }) => {
    const [x, w, dy] = [p.in.x.type, p.in.w.type, p.d.y as Value];
    return {
      x: conv_dgrad(b, dy, p.in.w, { stride, pad, h: dim(x, 2), w: dim(x, 3) }),
      w: conv_wgrad(b, dy, p.in.x, { stride, pad, r: dim(w, 2), s: dim(w, 3), groups: b.groups }),
    };
  },
});

/**
 * dy [N, K, P, Q], w [K, C, R, S] -> dx [N, C, h, w]: the gradient of conv's x, which has h x w pixels. As an op of its
 * own it is a transposed convolution, whose gradients are convolutions.
 */
export const conv_dgrad: Op<readonly ["dy", "w"], readonly ["dx"], DgradAttrs> = defineOp({
  name: "conv_dgrad",
  inputs: ["dy", "w"],
  outputs: ["dx"],
  attrs: ["stride", "pad", "h", "w"],
  types: { dy: floats, w: f32 },
  kind: "kernel",
  onnx: "moproc::ConvDgrad",
  batch: { rows: ["dy"] },
  infer: ({ dy, w }, attrs: DgradAttrs) => {
    checkImages({ dy, w });
    if (dim(dy, 1) !== dim(w, 0)) throw new Error(`dy has ${dim(dy, 1)} channels, w makes ${dim(w, 0)}`);
    const dx = { dtype: dy.dtype, shape: [dim(dy, 0), dim(w, 1), attrs.h, attrs.w] };
    checkOutput(dy, dx, w, attrs);
    return { dx };
  },
  reference: ({ dy, w }, attrs) => {
    const dx = NdArray.fill([dim(dy, 0), dim(w, 1), attrs.h, attrs.w], () => 0);
    const [dxs, ws, dys] = [dx.data, w.data, dy.data];
    eachRun(sizes(dx, w, dy), attrs, (i, j, o, length) => {
      const by = ws[j] as number;
      for (let l = 0; l < length; l++) {
        dxs[i + l * attrs.stride] = (dxs[i + l * attrs.stride] as number) + (dys[o + l] as number) * by;
      }
    });
    return { dx };
  },
  grad: (b, p, { stride, pad }) => {
    const [w, dx] = [p.in.w.type, p.d.dx as Value];
    return {
      dy: conv(b, dx, p.in.w, { stride, pad }),
      w: conv_wgrad(b, p.in.dy, dx, { stride, pad, r: dim(w, 2), s: dim(w, 3), groups: b.groups }),
    };
  },
});

/**
 * dy [N, K, P, Q], x [N, C, H, W] -> dw f32[K, C, r, s]: the gradient of conv's weights. It is summed over the images
 * of each of `groups` groups first, then over the groups in a balanced tree.
 */
export const conv_wgrad: Op<readonly ["dy", "x"], readonly ["dw"], WgradAttrs> = defineOp({
  name: "conv_wgrad",
  inputs: ["dy", "x"],
  outputs: ["dw"],
  attrs: ["stride", "pad", "r", "s", "groups"],
  types: { dy: floats, x: floats },
  kind: "kernel",
  onnx: "moproc::ConvWgrad",
  batch: { rows: ["dy", "x"], sums: ["dw"] },
  infer: ({ dy, x }, attrs: WgradAttrs) => {
    checkImages({ dy, x });
    wantGroups(dim(x, 0), attrs.groups);
    const dw = { dtype: "f32" as const, shape: [dim(dy, 1), dim(x, 1), attrs.r, attrs.s] };
    checkOutput(dy, x, dw, attrs);
    return { dw };
  },
  reference: ({ dy, x }, attrs) => {
    const dw = NdArray.fill([dim(dy, 1), dim(x, 1), attrs.r, attrs.s], () => 0);
    const [xs, dws, dys] = [x.data, dw.data, dy.data];
    eachRun(sizes(x, dw, dy), attrs, (i, j, o, length) => {
      let sum = 0;
      for (let l = 0; l < length; l++) sum += (dys[o + l] as number) * (xs[i + l * attrs.stride] as number);
      dws[j] = (dws[j] as number) + sum;
    });
    return { dw };
  },
});

/** Throws unless dy has the shape of conv's result for x and w. */
function checkOutput(dy: TensorType, x: Shaped, w: Shaped, attrs: WindowAttrs): void {
  const want = outputShape(x, w, attrs);
  if (want.join() !== dy.shape.join()) throw new Error(`dy must have shape [${want}], not [${dy.shape}]`);
}
