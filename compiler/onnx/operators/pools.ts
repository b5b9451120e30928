// Pooling: the largest, the mean or the norm of windows and of whole images, and what reverses it.

import type { Builder } from "../../ir/builder.js";
import { elements, sameShape, type Value } from "../../ir/types.js";
import { compute, converted, filled } from "../../ops/composed/compute.js";
import { padded, reshaped } from "../../ops/composed/layout.js";
import { wider } from "../../ops/composed/reduce.js";
import { attrsOf, evenly, windowMeans, windowSums } from "../../ops/composed/window.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { type Build, type Rules, since } from "./rule.js";
import { kernelOf, pixelsOf, windowOf } from "./window.js";

/** -infinity, f32[], which is no literal of an f32 constant. */
const lowest = (b: Builder): Value => op.div(b, op.scalar(b, -1), op.scalar(b, 0));

const maxPool: Build = (at) => {
  const b = at.builder;
  const columns = at.int("storage_order", 0) === 1;
  const pixels = pixelsOf(at);
  const w = windowOf(at, pixels);
  const x = at.in(0);
  const even = at.wants(1) || new Set(w.kernel).size > 1 ? undefined : evenly(b, x, w, () => lowest(b));
  const [kernel] = w.kernel as [number];
  if (even && 2 * even.pad <= kernel) return op.max_pool(b, even.x, { kernel, stride: even.stride, pad: even.pad });
  const { parts: _, ...attrs } = attrsOf(w, 1);
  const { y, positions } = op.max_pool_nd(b, x, { ...attrs, kernel: w.kernel });
  return [y, at.wants(1) ? numbered(b, positions, pixels, columns) : undefined];
};

/** Positions in row-major planes as positions in the whole tensor; `columns`: in planes stored column by column. */
function numbered(b: Builder, positions: Value, pixels: readonly number[], columns: boolean): Value {
  const planes = `mul(add(mul(i0,${positions.type.shape[1]}),i1),${elements(pixels)})`;
  if (!columns) return op.map(b, [positions], { expr: `add(x0,${planes})` });
  const terms = pixels.map((d, axis) => {
    const along = `mod(div(x0,${elements(pixels.slice(axis + 1))}),${d})`;
    return `mul(${along},${elements(pixels.slice(0, axis))})`;
  });
  return op.map(b, [positions], { expr: terms.reduce((e, term) => `add(${e},${term})`, planes) });
}

const averagePool: Build = (at) => {
  const pixels = pixelsOf(at);
  const w = windowOf(at, pixels);
  const withPadding = at.int("count_include_pad", 0) === 1;
  const unpadded = [...w.before, ...w.after].every((p) => p === 0);
  if (unpadded && sameShape(w.kernel, pixels) && w.dilations.every((d) => d === 1)) return meanOfPixels(at);
  return windowMeans(at.builder, at.in(0), w, withPadding);
};

/** The mean over all pixels, which keep their axes. */
function meanOfPixels(at: At): Value {
  const [b, x] = [at.builder, at.in(0)];
  const { shape } = x.type;
  const n = elements(pixelsOf(at));
  const axes = pixelAxes(at);
  return wider(b, x, (v) => {
    if (v.type.dtype !== "f32") return compute(b, `div(x0,${n})`, op.fold(b, v, { of: "sum", axes, keepdims: true }));
    if (shape.length === 4) return op.reshape(b, op.global_avg_pool(b, v), { shape: [...shape.slice(0, 2), 1, 1] });
    return op.mean(b, v, { axes, keepdims: true });
  });
}

const pixelAxes = (at: At): number[] => pixelsOf(at).map((_, i) => i + 2);

/** The p-norm of what `sum` adds, which is the powers of x. */
function norm(at: At, x: Value, p: number, sum: (powers: Value) => Value): Value {
  const b = at.builder;
  return wider(b, x, (v) => {
    if (p === 1) return sum(compute(b, "abs(x0)", v));
    if (p === 2) return compute(b, "sqrt(x0)", sum(compute(b, "mul(x0,x0)", v)));
    return compute(b, `pow(x0,${1 / p})`, sum(compute(b, `pow(abs(x0),${p})`, v)));
  });
}
/** The exponent, which was a float in version 1. */
const exponent = (at: At): number => (at.version < 2 ? at.float("p", 2) : at.int("p", 2));

const lpPool: Build = (at) => {
  const p = exponent(at);
  const w = windowOf(at, pixelsOf(at));
  return norm(at, at.in(0), p, (v) => windowSums(at.builder, v, w));
};

const globalLpPool: Build = (at) => {
  const axes = pixelAxes(at);
  return norm(at, at.in(0), exponent(at), (v) =>
    v.type.dtype === "f32"
      ? op.sum(at.builder, v, { axes, keepdims: true })
      : op.fold(at.builder, v, { of: "sum", axes, keepdims: true }),
  );
};

/** Elements put back where a max pooling found them; all others are 0. */
const maxUnpool: Build = (at) => {
  const b = at.builder;
  const pixels = pixelsOf(at);
  const { kernel, strides, pads } = kernelOf(at, pixels.length);
  const extents = pixels.map((d, i) => {
    const pad = (pads?.[i] ?? 0) + (pads?.[i + pixels.length] ?? 0);
    return (d - 1) * (strides[i] as number) + (kernel[i] as number) - pad;
  });
  const [x, positions] = [at.in(0), at.in(1)];
  const [n, c] = x.type.shape as [number, number];
  const full = [n, c, ...extents];
  const shape = at.has(2) ? at.integers(2) : full;
  if (shape.length !== full.length || shape[0] !== n || shape[1] !== c)
    at.refuse(`output_shape [${shape}] does not fit [${full}]`);
  const size = elements(x.type.shape);
  const line = filled(b, x.type.dtype, [elements(full)], 0);
  const y = op.scatter_rows(b, line, reshaped(b, positions, [size]), reshaped(b, x, [size]), { axis: 0, of: "set" });
  return fitted(b, reshaped(b, y, full), shape);
};

/** x with zeros after the ends of its axes, or cut there, so that it has this shape. */
function fitted(b: Builder, x: Value, shape: readonly number[]): Value {
  const cut = shape.reduce(
    (y, d, axis) => (d < (y.type.shape[axis] as number) ? op.slice(b, y, { axis, start: 0, end: d }) : y),
    x,
  );
  const { shape: from, dtype } = cut.type;
  if (sameShape(from, shape)) return cut;
  const more = shape.map((d, i) => d - (from[i] as number));
  const none = from.map(() => 0);
  if (dtype === "f32") return padded(b, cut, none, more, op.scalar(b, 0));
  return more.reduce((y, m, axis) => {
    if (m === 0) return y;
    return op.concat(b, [y, filled(b, dtype, y.type.shape.with(axis, m), 0)], { axis });
  }, cut);
}

/** The largest element of each of the cells into which a region of interest is divided; 0 if a cell is empty. */
const maxRoiPool: Build = (at) => {
  const b = at.builder;
  const [ph, pw] = at.ints("pooled_shape") ?? at.refuse("it does not name its pooled_shape");
  const scale = at.float("spatial_scale", 1);
  const [h, w] = pixelsOf(at) as [number, number];
  const [x, rois] = [at.in(0), at.in(1)];
  const { dtype } = x.type;
  const [regions] = rois.type.shape as [number];
  const column = (i: number): Value => reshaped(b, op.slice(b, rois, { axis: 1, start: i, end: i + 1 }), [regions]);
  const images = op.gather(b, x, converted(b, column(0), "i64"), { axis: 0 });
  /** The masked maximum along the axis `axis` of y, whose positions are divided into `cells`. */
  const along = (y: Value, first: Value, last: Value, cells: number, extent: number, axis: number): Value => {
    const { shape } = y.type;
    const inner = [...shape.slice(0, axis), 1, ...shape.slice(axis)];
    const bound = (v: Value): Value => reshaped(b, v, [regions, ...shape.map(() => 1)]);
    const scaled = (i: number): string => `mul(x${i},${scale})`;
    // a half is rounded away from 0
    const corner = (i: number): string => `mul(sign(${scaled(i)}),floor(add(abs(${scaled(i)}),0.5)))`;
    const size = `div(max(add(sub(${corner(2)},${corner(1)}),1),1),${cells})`;
    const [cell, at_] = [`to_${dtype}(i${axis})`, `to_${dtype}(i${axis + 1})`];
    const begin = `add(floor(mul(${cell},${size})),${corner(1)})`;
    const end = `add(ceil(mul(add(${cell},1),${size})),${corner(1)})`;
    const inside = `and(greater_equal(${at_},${begin}),less(${at_},${end}))`;
    const masked = op.map(b, [reshaped(b, y, inner), bound(first), bound(last)], {
      expr: `where(${inside},x0,-Infinity)`,
      shape: inner.with(axis, cells).with(axis + 1, extent),
    });
    return op.fold(b, masked, { of: "max", axes: [axis + 1] });
  };
  const rows = along(images, column(2), column(4), ph as number, h, 2);
  const y = along(rows, column(1), column(3), pw as number, w, 3);
  return compute(b, "where(equal(x0,-Infinity),0,x0)", y);
};

export const pools: Rules = {
  MaxPool: since(1, maxPool),
  AveragePool: since(1, averagePool),
  LpPool: since(1, lpPool),
  GlobalAveragePool: since(1, meanOfPixels),
  GlobalMaxPool: since(1, (at) => {
    const [x, over] = [at.in(0), { axes: pixelAxes(at), keepdims: true }];
    return x.type.dtype === "f32" ? op.max(at.builder, x, over) : op.fold(at.builder, x, { of: "max", ...over });
  }),
  GlobalLpPool: since(1, globalLpPool),
  MaxUnpool: since(9, maxUnpool),
  MaxRoiPool: since(1, maxRoiPool),
};
