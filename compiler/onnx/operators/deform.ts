// Convolution at positions that an input moves, which are read by linear interpolation between neighbouring pixels.

import type { Builder } from "../../ir/builder.js";
import { type DType, elements, sameShape, type Value } from "../../ir/types.js";
import { compute, converted, spread } from "../../ops/composed/compute.js";
import { biased } from "../../ops/composed/convolution.js";
import { reshaped } from "../../ops/composed/layout.js";
import { wider } from "../../ops/composed/reduce.js";
import type { Window } from "../../ops/composed/window.js";
import * as op from "../../ops/index.js";
import { type Build, type Rules, since } from "./rule.js";
import { pixelsOf, windowOf } from "./window.js";

/** The position along axis `i` of a row-major number `flat` in `extents`, as text. */
const along = (flat: string, extents: readonly number[], i: number): string =>
  `mod(div(${flat},${elements(extents.slice(i + 1))}),${extents[i]})`;

/** Where along axis `i` each tap of each window reads: [N, groups, taps, windows]. */
function placesAlong(b: Builder, offset: Value, w: Window, i: number): Value {
  const [n, groups, taps, , windows] = offset.type.shape as [number, number, number, number, number];
  const own = reshaped(b, op.slice(b, offset, { axis: 3, start: i, end: i + 1 }), [n, groups, taps, windows]);
  const window = `mul(${along("i3", w.out, i)},${w.strides[i]})`;
  const tap = `mul(${along("i2", w.kernel, i)},${w.dilations[i]})`;
  return op.map(b, [own], {
    expr: `add(x0,to_${own.type.dtype}(sub(add(${window},${tap}),${w.before[i]})))`,
  });
}

/** The elements of x [N, C, pixels] at the places, 0 outside of it: [N, C, taps * windows]. */
function sampled(b: Builder, x: Value, pixels: readonly number[], places: readonly Value[], mask?: Value): Value {
  const [n, channels] = x.type.shape as [number, number];
  const [, groups, taps, windows] = (places[0] as Value).type.shape as [number, number, number, number];
  const size = taps * windows;
  /** A value per group of channels, for each channel. */
  const each = (v: Value): Value => {
    const rows = reshaped(b, v, [n, groups, 1, size]);
    return reshaped(b, spread(b, rows, [n, groups, channels / groups, size]), [n, channels, size]);
  };
  const corners = Array.from({ length: 2 ** pixels.length }, (_, corner) => {
    const upper = pixels.map((_, i) => (corner >> i) & 1);
    const at = upper.map((up, i) => `add(to_i64(floor(x${i})),${up})`);
    const inside = at.flatMap((p, i) => [`greater_equal(${p},0)`, `less(${p},${pixels[i]})`]);
    const flat = at.reduce((e, p, i) => (i === 0 ? p : `add(mul(${e},${pixels[i]}),${p})`), "");
    const all = inside.reduce((e, c) => `and(${e},${c})`);
    const index = op.map(b, places, { expr: `where(${all},${flat},${elements(pixels)})` });
    const shares = upper.map((up, i) => (up ? `sub(x${i},floor(x${i}))` : `sub(1,sub(x${i},floor(x${i})))`));
    const factors = mask ? [...shares, `x${pixels.length}`] : shares;
    const share = op.map(b, mask ? [...places, mask] : places, { expr: factors.reduce((e, f) => `mul(${e},${f})`) });
    return compute(b, "mul(x0,x1)", op.gather_elements(b, x, each(index), { axis: 2 }), each(share));
  });
  return corners.reduce((sum, c) => compute(b, "add(x0,x1)", sum, c));
}

const MOST_AXES = 8; // 256 elements are read for each of the result

const deformConv: Build = (at) => {
  const b = at.builder;
  const pixels = pixelsOf(at);
  if (pixels.length > MOST_AXES) at.refuse(`it has more than ${MOST_AXES} axes of pixels`);
  const window = windowOf(at, pixels, at.shape(1).slice(2));
  const [groups, offsetGroups] = [at.int("group", 1), at.int("offset_group", 1)];
  const [x, weights, offset] = [at.in(0), at.in(1), at.in(2)];
  const bias = at.has(3) ? at.in(3) : undefined;
  const mask = at.has(4) ? at.in(4) : undefined;
  const [n, c] = x.type.shape as [number, number];
  const [m, per] = weights.type.shape as [number, number];
  const [taps, windows, axes] = [elements(window.kernel), elements(window.out), pixels.length];
  if (c !== per * groups || m % groups !== 0 || c % offsetGroups !== 0)
    at.refuse(`weights [${weights.type.shape}] do not fit [${x.type.shape}] in ${groups} and ${offsetGroups} groups`);
  if (!sameShape(offset.type.shape, [n, offsetGroups * taps * axes, ...window.out]))
    at.refuse(`offsets [${offset.type.shape}] do not fit [${n},${offsetGroups * taps * axes},${window.out}]`);
  return wider(b, x, (v) => {
    const like = (t: Value): Value => converted(b, t, v.type.dtype as DType);
    const offsets = reshaped(b, like(offset), [n, offsetGroups, taps, axes, windows]);
    const places = pixels.map((_, i) => placesAlong(b, offsets, window, i));
    const by = mask && reshaped(b, like(mask), [n, offsetGroups, taps, windows]);
    const columns = sampled(b, reshaped(b, v, [n, c, elements(pixels)]), pixels, places, by);
    const left = reshaped(b, like(weights), [1, groups, m / groups, per * taps]);
    const y = op.batch_matmul(b, left, reshaped(b, columns, [n, groups, per * taps, windows]));
    const result = reshaped(b, y, [n, m, ...window.out]);
    return bias ? biased(at.builder, result, like(bias)) : result;
  });
};

export const deformations: Rules = { DeformConv: since(19, deformConv) };
