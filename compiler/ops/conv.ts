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

/** The taps of one position: where the weights and the other image are read, as offsets in their planes. */
interface Taps {
  readonly weights: Int32Array;
  readonly pixels: Int32Array;
  count: number;
}
const noTaps = ({ r, s }: Sizes): Taps => ({ weights: new Int32Array(r * s), pixels: new Int32Array(r * s), count: 0 });

/**
 * out[n, o, at] = the sum over channels i and taps of in[n, i, pixel] * w[o, i, tap], added in this order. `find` sets
 * the taps of a position. The sums of four channels of `out` are computed together, which is what makes this f64
 * reference fast enough for tests.
 */
function gather(
  images: number,
  of: { readonly data: Float64Array; readonly channels: number; readonly pixels: number },
  to: { readonly data: Float64Array; readonly channels: number; readonly pixels: number },
  w: { readonly data: Float64Array; readonly perIn: number; readonly perOut: number },
  taps: Taps,
  find: (at: number) => void,
): void {
  const { weights, pixels } = taps;
  const [ws, step] = [w.data, w.perOut];
  for (let at = 0; at < to.pixels; at++) {
    find(at);
    const { count } = taps;
    for (let n = 0; n < images; n++)
      for (let o = 0; o < to.channels; o += 4) {
        let [a, b, c, d] = [0, 0, 0, 0];
        const most = Math.min(4, to.channels - o);
        const [second, third, fourth] = [most > 1 ? step : 0, most > 2 ? 2 * step : 0, most > 3 ? 3 * step : 0];
        for (let i = 0; i < of.channels; i++) {
          const [plane, first] = [(n * of.channels + i) * of.pixels, o * step + i * w.perIn];
          for (let t = 0; t < count; t++) {
            const x = of.data[plane + (pixels[t] as number)] as number;
            const j = first + (weights[t] as number);
            a += x * (ws[j] as number);
            b += x * (ws[j + second] as number);
            c += x * (ws[j + third] as number);
            d += x * (ws[j + fourth] as number);
          }
        }
        const y = (n * to.channels + o) * to.pixels + at;
        to.data[y] = a;
        if (most > 1) to.data[y + to.pixels] = b;
        if (most > 2) to.data[y + 2 * to.pixels] = c;
        if (most > 3) to.data[y + 3 * to.pixels] = d;
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

const images = (x: NdArray) => ({ data: x.data, channels: dim(x, 1), pixels: dim(x, 2) * dim(x, 3) });

/** Adds to dw the products of all images, row by row of dy; the rows of four channels of dy are read together. */
function sumRows(d: Sizes, { stride, pad }: WindowAttrs, xs: Float64Array, dws: Float64Array, dys: Float64Array): void {
  const [plane, filter] = [d.p * d.q, d.c * d.r * d.s];
  for (let n = 0; n < d.n; n++)
    for (let k = 0; k < d.k; k += 4) {
      const most = Math.min(4, d.k - k);
      const [second, third, fourth] = [most > 1 ? plane : 0, most > 2 ? 2 * plane : 0, most > 3 ? 3 * plane : 0];
      for (let c = 0; c < d.c; c++)
        for (let r = 0; r < d.r; r++)
          for (let s = 0; s < d.s; s++) {
            const begin = Math.max(0, Math.ceil((pad - s) / stride));
            const end = Math.min(d.q, Math.floor((d.w - 1 + pad - s) / stride) + 1);
            const to = k * filter + (c * d.r + r) * d.s + s;
            for (let p = 0; p < d.p; p++) {
              const h = p * stride - pad + r;
              if (h < 0 || h >= d.h) continue;
              const row = ((n * d.c + c) * d.h + h) * d.w - pad + s;
              const from = (n * d.k + k) * plane + p * d.q;
              let [e0, e1, e2, e3] = [0, 0, 0, 0];
              for (let q = begin; q < end; q++) {
                const x = xs[row + q * stride] as number;
                e0 += (dys[from + q] as number) * x;
                e1 += (dys[from + q + second] as number) * x;
                e2 += (dys[from + q + third] as number) * x;
                e3 += (dys[from + q + fourth] as number) * x;
              }
              dws[to] = (dws[to] as number) + e0;
              if (most > 1) dws[to + filter] = (dws[to + filter] as number) + e1;
              if (most > 2) dws[to + 2 * filter] = (dws[to + 2 * filter] as number) + e2;
              if (most > 3) dws[to + 3 * filter] = (dws[to + 3 * filter] as number) + e3;
            }
          }
    }
}

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
    const d = sizes(x, w, y);
    const taps = noTaps(d);
    const weights = { data: w.data, perIn: d.r * d.s, perOut: d.c * d.r * d.s };
    gather(d.n, images(x), images(y), weights, taps, (at) => {
      const [h, v] = [Math.floor(at / d.q) * attrs.stride - attrs.pad, (at % d.q) * attrs.stride - attrs.pad];
      taps.count = 0;
      for (let r = Math.max(0, -h); r < Math.min(d.r, d.h - h); r++)
        for (let s = Math.max(0, -v); s < Math.min(d.s, d.w - v); s++) {
          taps.weights[taps.count] = r * d.s + s;
          taps.pixels[taps.count++] = (h + r) * d.w + v + s;
        }
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
    const d = sizes(dx, w, dy);
    const taps = noTaps(d);
    const weights = { data: w.data, perIn: d.c * d.r * d.s, perOut: d.r * d.s };
    /** The position whose window has its tap `tap` at `pixel`; -1 if there is none. */
    const window = (pixel: number, tap: number, extent: number): number => {
      const from = pixel + attrs.pad - tap;
      return from >= 0 && from % attrs.stride === 0 && from / attrs.stride < extent ? from / attrs.stride : -1;
    };
    gather(d.n, images(dy), images(dx), weights, taps, (at) => {
      taps.count = 0;
      for (let r = 0; r < d.r; r++) {
        const p = window(Math.floor(at / d.w), r, d.p);
        for (let s = 0; s < d.s && p >= 0; s++) {
          const q = window(at % d.w, s, d.q);
          if (q < 0) continue;
          taps.weights[taps.count] = r * d.s + s;
          taps.pixels[taps.count++] = p * d.q + q;
        }
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
    sumRows(sizes(x, dw, dy), attrs, x.data, dw.data, dy.data);
    return { dw };
  },
});

/** Throws unless dy has the shape of conv's result for x and w. */
function checkOutput(dy: TensorType, x: Shaped, w: Shaped, attrs: WindowAttrs): void {
  const want = outputShape(x, w, attrs);
  if (want.join() !== dy.shape.join()) throw new Error(`dy must have shape [${want}], not [${dy.shape}]`);
}
