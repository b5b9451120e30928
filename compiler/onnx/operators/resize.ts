// Resize and Upsample: interpolation along one axis after the other, because all their filters are products over the
// axes. Where each element of the result comes from is computed when the model is imported.

import type { Builder } from "../../ir/builder.js";
import { type DType, elements, type Value } from "../../ir/types.js";
import { converted, filled } from "../../ops/composed/compute.js";
import { isFloat } from "../../ops/general/expression.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { numbersIn } from "../numbers.js";
import { type Build, type Rules, since } from "./rule.js";
import { numbers, takenAt } from "./take.js";

/** How one axis is resized. */
interface Axis {
  readonly axis: number;
  readonly from: number;
  readonly to: number; // extents
  readonly scale: number;
  readonly roi: readonly [start: number, end: number];
}

/** The filter: its weights for the elements around a coordinate whose fraction is `ratio`, first the leftmost. */
type Filter = (ratio: number, scale: number) => readonly number[];

/** For each position of the result along an axis: the elements that it is made of, by position, and their weights. */
interface Taps {
  readonly width: number; // elements for each position
  readonly places: readonly number[]; // [position, element]
  readonly weights: readonly number[];
  readonly outside: readonly boolean[]; // positions that have the extrapolation value
}

const cubicAt = (a: number, distance: number): number => {
  const x = Math.abs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
};
const linearAt = (distance: number): number => Math.max(0, 1 - Math.abs(distance));

const MOST_TAPS = 2 ** 12; // of one position
const MOST_PLACES = 2 ** 24; // that are read along one axis

/** A kernel of this radius; `stretched`: it is wider by 1 / scale if the result is smaller, and its sum becomes 1. */
function filterOf(kernel: (distance: number) => number, radius: number, stretched: boolean): Filter {
  return (ratio, scale) => {
    const by = stretched ? Math.min(scale, 1) : 1;
    const first = Math.floor(-radius / by) + 1;
    if (2 - 2 * first > MOST_TAPS) throw new Error(`its filter reads more than ${MOST_TAPS} elements of an axis`);
    const weights = Array.from({ length: 2 - 2 * first }, (_, i) => kernel((first + i - ratio) * by));
    const sum = weights.reduce((s, w) => s + w, 0);
    return stretched ? weights.map((w) => w / sum) : weights;
  };
}

const nearest: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** Where the position `x` of the result lies in the original axis. */
const coordinates: Readonly<Record<string, (x: number, a: Axis) => number>> = {
  half_pixel: (x, { scale }) => (x + 0.5) / scale - 0.5,
  half_pixel_symmetric: (x, { from, to, scale }) => (from / 2) * (1 - to / (scale * from)) + (x + 0.5) / scale - 0.5,
  pytorch_half_pixel: (x, { to, scale }) => (to > 1 ? (x + 0.5) / scale - 0.5 : 0),
  align_corners: (x, { from, to, scale }) => {
    const width = scale * from;
    return to === 1 || width === 1 ? 0 : (x * (from - 1)) / (width - 1);
  },
  asymmetric: (x, { scale }) => x / scale,
  tf_half_pixel_for_nn: (x, { scale }) => (x + 0.5) / scale, // of version 11 only
  tf_crop_and_resize: (x, { from, to, scale, roi: [start, end] }) =>
    to > 1
      ? start * (from - 1) + (x * (end - start) * (from - 1)) / (scale * from - 1)
      : 0.5 * (start + end) * (from - 1),
};

interface Method {
  readonly coordinate: (x: number, a: Axis) => number;
  readonly crop: boolean; // coordinates outside of the axis have the extrapolation value
  readonly extrapolation: number;
  readonly filter: Filter | undefined; // undefined: the nearest element
  readonly rounded: (x: number, scale: number) => number;
  readonly excludeOutside: boolean;
}

function tapsOf(a: Axis, m: Method): Taps {
  const places: number[] = [];
  const weights: number[] = [];
  const outside: boolean[] = [];
  const inside = (p: number): number => Math.min(Math.max(p, 0), a.from - 1);
  let width = 1;
  for (let x = 0; x < a.to; x++) {
    if (a.to > MOST_PLACES || places.length > MOST_PLACES)
      throw new Error(`it reads more than ${MOST_PLACES} elements along an axis of ${a.to} positions`);
    const at = m.coordinate(x, a);
    outside.push(m.crop && !(at >= 0 && at <= a.from - 1));
    if (!m.filter) {
      places.push(inside(m.rounded(at, a.scale)));
      weights.push(1);
      continue;
    }
    const left = Math.ceil(at) - 1; // the fraction is in (0, 1]
    const own = m.filter(at - left, a.scale);
    width = own.length;
    const all = own.map((_, i) => left + i + 1 - width / 2);
    const kept = own.map((w, i) => (m.excludeOutside && all[i] !== inside(all[i] as number) ? 0 : w));
    const sum = m.excludeOutside ? kept.reduce((s, w) => s + w, 0) : 1;
    places.push(...all.map(inside));
    weights.push(...kept.map((w) => w / (sum === 0 ? 1 : sum)));
  }
  return { width, places, weights, outside };
}

/** x resized along an axis; x is f32 or f64 unless each position of the result is one element. */
function resized(b: Builder, x: Value, axis: number, t: Taps): Value {
  const { shape, dtype } = x.type;
  const to = t.places.length / t.width;
  if (t.width === 1) return takenAt(b, x, axis, t.places);
  const column = (extents: readonly number[]): number[] => [...extents, ...shape.slice(axis + 1).map(() => 1)];
  if (t.width <= 4) {
    const part = (list: readonly number[], i: number): number[] => list.filter((_, j) => j % t.width === i);
    const taps = Array.from({ length: t.width }, (_, i) => [
      takenAt(b, x, axis, part(t.places, i)),
      numbers(b, part(t.weights, i), column([to]), dtype),
    ]);
    const terms = taps.map((_, i) => `mul(x${2 * i},x${2 * i + 1})`);
    return op.map(b, taps.flat(), { expr: terms.reduce((sum, e) => `add(${sum},${e})`) });
  }
  const list = op.constant(b, { values: t.places, shape: [to, t.width], dtype: "i64" });
  const weights = numbers(b, t.weights, column([to, t.width]), dtype);
  const products = op.map(b, [op.gather(b, x, list, { axis }), weights], { expr: "mul(x0,x1)" });
  return op.fold(b, products, { of: "sum", axes: [axis + 1] });
}

/** Computed numbers as elements of a whole type: the nearest that it has. */
const saturated = (b: Builder, y: Value, dtype: DType): Value => {
  const bits = Number(dtype.slice(1));
  const [low, high] = dtype.startsWith("i") ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
  return converted(
    b,
    bits > 32 ? op.map(b, [y], { expr: "round(x0)" }) : op.map(b, [y], { expr: `max(min(round(x0),${high}),${low})` }),
    dtype,
  );
};

function interpolate(b: Builder, x: Value, axes: readonly Axis[], m: Method): Value {
  const { dtype } = x.type;
  if (axes.some((a) => a.to === 0) || x.type.shape.includes(0)) {
    const shape = axes.reduce((s, a) => s.with(a.axis, a.to), [...x.type.shape]);
    if (elements(shape) > 0) throw new Error("nothing can be resized to something");
    return filled(b, dtype, shape, 0);
  }
  const wide: DType = dtype === "f64" || /^[iu](32|64)$/.test(dtype) ? "f64" : "f32";
  const taps = axes.map((a) => tapsOf(a, m));
  const start = m.filter ? converted(b, x, wide) : x;
  const y = axes.reduce((v, a, i) => resized(b, v, a.axis, taps[i] as Taps), start);
  const masks = taps.flatMap(({ outside }, i) => {
    if (!outside.includes(true)) return [];
    const { axis, to } = axes[i] as Axis;
    return [
      op.map(b, [numbers(b, outside.map(Number), [to, ...x.type.shape.slice(axis + 1).map(() => 1)], "f32")], {
        expr: "greater(x0,0.5)",
      }),
    ];
  });
  const any = masks.reduce((e, _, i) => (i === 0 ? "x1" : `or(${e},x${i + 1})`), "");
  const z = any ? op.map(b, [y, ...masks], { expr: `where(${any},${m.extrapolation},x0)` }) : y;
  if (z.type.dtype === dtype) return z;
  return isFloat(dtype) || dtype === "bool" ? converted(b, z, dtype) : saturated(b, z, dtype);
}

/** The numbers of input `i`, or undefined if it is not given or empty. */
function listAt(at: At, i: number): readonly number[] | undefined {
  if (!at.has(i)) return undefined;
  if (at.shape(i).join() === "0") at.typeOnly(i);
  else return Array.from(numbersIn(at.constant(i)));
  return undefined;
}

/** The axes that change, for scales or sizes of the axes `named`. */
function axesOf(at: At, from: readonly number[], named: readonly number[], given: Given): Axis[] {
  const { scales, sizes, roi, policy } = given;
  const list = scales ?? sizes ?? at.refuse("neither its scales nor its sizes are given");
  if (list.length !== named.length || (roi && roi.length !== 2 * named.length))
    at.refuse(`[${list}] or its region do not fit axes [${named}]`);
  if (list.some((v) => !(v >= 0) || (scales && v === 0))) at.refuse(`a scale or size of [${list}] is negative or 0`);
  const ratios = named.map((a, i) => (sizes ? (sizes[i] as number) / (from[a] as number) : (list[i] as number)));
  const one = policy === "not_larger" ? Math.min(...ratios) : Math.max(...ratios);
  const stretch = policy === "stretch" || !sizes;
  return named.map((axis, i) => {
    const [extent, own] = [from[axis] as number, stretch ? (ratios[i] as number) : one];
    const range = [roi?.[i] ?? 0, roi?.[named.length + i] ?? 1] as const;
    const asked = stretch && sizes ? (sizes[i] as number) : undefined;
    // a region does not change the extent, as in ONNX's own inference of shapes, which computes in f32
    const rounded = sizes ? Math.floor(own * extent + 0.5) : Math.floor(Math.fround(extent * own));
    return { axis, from: extent, to: asked ?? rounded, scale: own, roi: range };
  });
}

interface Given {
  readonly scales: readonly number[] | undefined;
  readonly sizes: readonly number[] | undefined;
  readonly roi: readonly number[] | undefined;
  readonly policy: string;
}

/** Axes of the same extent and scale, whose whole range is taken, do not change. */
const changes = ({ from, to, scale, roi: [start, end] }: Axis): boolean =>
  !(from === to && Math.abs(scale - 1) < 1e-9 && start === 0 && end === 1);

const resize: Build = (at) => {
  const [b, x] = [at.builder, at.in(0)];
  const [mode, transform] = [at.text("mode", "nearest"), at.text("coordinate_transformation_mode", "half_pixel")];
  const rounding = at.text("nearest_mode", "round_prefer_floor");
  const a = at.float("cubic_coeff_a", -0.75);
  const stretched = at.int("antialias", 0) === 1;
  const crop = transform === "tf_crop_and_resize";
  const filters: Readonly<Record<string, Filter | undefined>> = {
    nearest: undefined,
    linear: filterOf(linearAt, 1, stretched),
    cubic: filterOf((d) => cubicAt(a, d), 2, stretched),
  };
  if (!Object.hasOwn(filters, mode)) at.refuse(`mode ${mode} is not known`);
  if (!Object.hasOwn(coordinates, transform)) at.refuse(`coordinate_transformation_mode ${transform} is not known`);
  if (!Object.hasOwn(nearest, rounding)) at.refuse(`nearest_mode ${rounding} is not known`);
  const { shape } = x.type;
  const named = at.axes(at.ints("axes") ?? [...shape.keys()], shape.length);
  if (!crop && at.has(1)) at.typeOnly(1);
  const given: Given = {
    roi: crop ? listAt(at, 1) : undefined,
    scales: listAt(at, 2),
    sizes: listAt(at, 3),
    policy: at.text("keep_aspect_ratio_policy", "stretch"),
  };
  if (given.scales && given.sizes) at.refuse("both its scales and its sizes are given");
  if (crop && !given.roi) at.refuse("its region is not given");
  const method: Method = {
    coordinate: coordinates[transform] as Method["coordinate"],
    crop,
    extrapolation: at.float("extrapolation_value", 0),
    filter: filters[mode],
    rounded: nearest[rounding] as Method["rounded"],
    excludeOutside: at.int("exclude_outside", 0) === 1,
  };
  return interpolate(b, x, axesOf(at, shape, named, given).filter(changes), method);
};

/**
 * The form before version 11: scales only. Positions count from the first element; the nearest one is, as ONNX Runtime
 * reads the specification, the one before if an axis grows, and the one behind if it shrinks.
 */
const scaled =
  (scales: (at: At) => readonly number[]): Build =>
  (at) => {
    const x = at.in(0);
    const { shape } = x.type;
    const mode = at.text("mode", "nearest");
    if (!["nearest", "linear", "bilinear"].includes(mode)) at.refuse(`mode ${mode} is not known`);
    const given: Given = { scales: scales(at), sizes: undefined, roi: undefined, policy: "stretch" };
    return interpolate(at.builder, x, axesOf(at, shape, [...shape.keys()], given).filter(changes), {
      coordinate: coordinates.asymmetric as Method["coordinate"],
      crop: false,
      extrapolation: 0,
      filter: mode === "nearest" ? undefined : filterOf(linearAt, 1, false),
      rounded: (x, scale) => (scale < 1 ? Math.ceil(x) : Math.floor(x)),
      excludeOutside: false,
    });
  };

const scalesAt1 = scaled((at) => Array.from(numbersIn(at.constant(1))));

export const resizing: Rules = {
  Resize: [since(10, scalesAt1), since(11, resize)],
  Upsample: [
    since(
      1,
      scaled((at) => [1, 1, at.float("height_scale", 0), at.float("width_scale", 0)]),
    ),
    since(
      7,
      scaled((at) => at.floats("scales") ?? []),
    ),
    since(9, scalesAt1),
  ],
};
