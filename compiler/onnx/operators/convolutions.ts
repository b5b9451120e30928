// Convolutions, transposed ones, and blocks of images.

import { elements, type Value } from "../../ir/types.js";
import { converted, filled } from "../../ops/composed/compute.js";
import { biased, convolution, transposedConvolution } from "../../ops/composed/convolution.js";
import { reshaped } from "../../ops/composed/layout.js";
import { wider } from "../../ops/composed/reduce.js";
import type { Window } from "../../ops/composed/window.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { type Build, type Rules, since } from "./rule.js";
import { kernelOf, pixelsOf, shared, windowOf } from "./window.js";

type Shape = readonly number[];

const conv: Build = (at) => {
  const b = at.builder;
  const window = windowOf(at, pixelsOf(at), at.shape(1).slice(2));
  const groups = at.int("group", 1);
  const [x, w] = [at.in(0), at.in(1)];
  if (!at.has(2)) return convolution(b, x, w, window, groups);
  const { dtype } = x.type;
  const wide = (v: Value): Value => (dtype === "f16" || dtype === "bf16" ? converted(b, v, "f32") : v);
  const bias = at.in(2);
  return wider(b, x, (v) => biased(b, convolution(b, v, wide(w), window, groups), wide(bias)));
};

/** The padding before each axis and the extents of the result of a transposed convolution. */
function transposedExtents(at: At, pixels: Shape, kernel: Shape): { window: Window; out: Shape } {
  const n = pixels.length;
  const { pads, auto, ...w } = kernelOf(at, n, kernel);
  const more = at.ints("output_padding") ?? pixels.map(() => 0);
  const asked = at.ints("output_shape");
  if (more.length !== n || (asked && asked.length !== n && asked.length !== n + 2))
    at.refuse(`output_padding [${more}] or output_shape [${asked ?? ""}] are not for ${n} axes of pixels`);
  const full = pixels.map((d, i) => {
    const [k, s, dilation] = [w.kernel[i], w.strides[i], w.dilations[i]] as [number, number, number];
    return s * (d - 1) + (more[i] as number) + (k - 1) * dilation + 1;
  });
  const same = auto.startsWith("SAME") ? pixels.map((d, i) => d * (w.strides[i] as number)) : undefined;
  const wanted = asked?.slice(-n) ?? same;
  const total = wanted?.map((d, i) => Math.max(0, (full[i] as number) - d));
  const zeros = pixels.map(() => 0);
  const given = { before: pads?.slice(0, n) ?? zeros, after: pads?.slice(n) ?? zeros };
  const { before, after } = total ? shared(auto, total) : given;
  const out = wanted ?? full.map((d, i) => d - (before[i] as number) - (after[i] as number));
  if (out.some((d) => d < 1)) at.refuse(`its result would have extents [${out}]`);
  return { window: { ...w, before, after, out: pixels }, out };
}

const convTranspose: Build = (at) => {
  const b = at.builder;
  const { window, out } = transposedExtents(at, pixelsOf(at), at.shape(1).slice(2));
  const groups = at.int("group", 1);
  const [x, w] = [at.in(0), at.in(1)];
  if (w.type.shape[0] !== x.type.shape[1] || (x.type.shape[1] as number) % groups !== 0)
    at.refuse(`weights [${w.type.shape}] do not fit [${x.type.shape}] in ${groups} groups`);
  const bias = at.has(2) ? at.in(2) : undefined;
  const { dtype } = x.type;
  const wide = (v: Value): Value => (dtype === "f16" || dtype === "bf16" ? converted(b, v, "f32") : v);
  return wider(b, x, (v) => {
    const y = transposedConvolution(b, v, wide(w), window, groups, out);
    return bias ? biased(b, y, wide(bias)) : y;
  });
};

/** Columns [N, C * block, L] added to the pixels of images that the blocks were cut from. */
const col2im: Build = (at) => {
  const b = at.builder;
  const [image, block] = [at.integers(1), at.integers(2)];
  const n = image.length;
  const strides = at.ints("strides") ?? image.map(() => 1);
  const dilations = at.ints("dilations") ?? image.map(() => 1);
  const pads = at.ints("pads") ?? [...image, ...image].map(() => 0);
  const x = at.in(0);
  const [images, rows, columns] = x.type.shape as [number, number, number];
  if (block.length !== n || strides.length !== n || dilations.length !== n || pads.length !== 2 * n)
    at.refuse(`block_shape [${block}], strides, dilations or pads are not for ${n} axes of pixels`);
  const out = image.map((d, i) => {
    const free =
      d + (pads[i] as number) + (pads[n + i] as number) - (dilations[i] as number) * ((block[i] as number) - 1);
    return Math.floor((free - 1) / (strides[i] as number)) + 1;
  });
  const [taps, positions, pixels] = [elements(block), elements(out), elements(image)];
  if (x.type.shape.length !== 3 || rows % taps !== 0 || columns !== positions)
    at.refuse(`[${x.type.shape}] are no blocks of [${block}] at [${out}] positions`);
  const along = image.map((_, i) => `sub(add(mul(i${n + i},${strides[i]}),mul(i${i},${dilations[i]})),${pads[i]})`);
  const inside = along
    .map((p, i) => `and(greater_equal(${p},0),less(${p},${image[i]}))`)
    .reduce((e, c) => `and(${e},${c})`);
  const plane = along.reduce((e, p, i) => (i === 0 ? p : `add(mul(${e},${image[i]}),${p})`), "");
  const index = op.map(b, [], { expr: `where(${inside},${plane},${pixels})`, shape: [...block, ...out] });
  const c = rows / taps;
  const sums = op.scatter_rows(
    b,
    filled(b, x.type.dtype, [images, c, pixels], 0),
    reshaped(b, index, [taps * positions]),
    reshaped(b, x, [images, c, taps * positions]),
    { axis: 2, of: "add" },
  );
  return reshaped(b, sums, [images, c, ...image]);
};

export const convolutions: Rules = {
  Conv: since(1, conv),
  ConvTranspose: since(1, convTranspose),
  Col2Im: since(18, col2im),
};
