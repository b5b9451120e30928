// Operators that read images between their pixels, at coordinates which the program computes: GridSample, AffineGrid,
// RoiAlign. f16 and bf16 are computed as f32 and rounded once.

import type { Builder } from "../../ir/builder.js";
import { type DType, elements, type Value } from "../../ir/types.js";
import { converted } from "../../ops/composed/compute.js";
import { reshaped, transposed } from "../../ops/composed/layout.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { numbersIn } from "../numbers.js";
import { type Build, type Rules, since } from "./rule.js";
import { ranged } from "./take.js";

type Shape = readonly number[];

/** The type in which images of this type are computed. */
const wideOf = (dtype: DType): DType => (dtype === "f64" || /^[iu](32|64)$/.test(dtype) ? "f64" : "f32");

/** One tap along an axis: the position of an element, i64, and its weight, both of the same shape. */
interface Tap {
  readonly place: Value;
  readonly weight: Value | undefined; // undefined: 1
}

/**
 * x [N, C, pixels...] at `taps[axis]`, which have shape [N, ...] or [M, ...] with `rows`, i64[M], the image of each:
 * the sum over all combinations of taps of pixel times weights. Result [N or M, C, ...].
 */
function sampled(b: Builder, x: Value, taps: readonly (readonly Tap[])[], rows: Value | undefined): Value {
  return combinations(taps)
    .map((list) => weighted(b, x, list, rows))
    .reduce((sum, y) => op.map(b, [sum, y], { expr: "add(x0,x1)" }));
}

const MOST_COMBINATIONS = 4096; // 12 axes, or 6 with a cubic filter

function combinations(taps: readonly (readonly Tap[])[]): Tap[][] {
  const count = taps.reduce((n, axis) => n * axis.length, 1);
  if (count > MOST_COMBINATIONS) throw new Error(`it reads ${count} elements for each of its result`);
  return taps.reduce<Tap[][]>((all, axis) => all.flatMap((list) => axis.map((t) => [...list, t])), [[]]);
}

/** The pixel of each image at one tap for each axis, times its weights. */
function weighted(b: Builder, x: Value, list: readonly Tap[], rows: Value | undefined): Value {
  const [n, c, ...pixels] = x.type.shape as [number, number, ...number[]];
  const { shape } = (list[0] as Tap).place.type; // [M, ...]
  const [m, each] = [shape[0] as number, elements(shape.slice(1))];
  const strides = pixels.map((_, i) => elements(pixels.slice(i + 1)));
  const sum = list.map((_, i) => `mul(x${i},${strides[i]})`).reduce((e, t) => `add(${e},${t})`);
  const row = rows ? `x${list.length}` : "i0";
  const places = op.map(
    b,
    [...list.map((t) => t.place), ...(rows ? [reshaped(b, rows, [m, ...shape.slice(1).map(() => 1)])] : [])],
    { expr: `add(mul(${row},${elements(pixels)}),${sum})` },
  );
  const first = transposed(b, reshaped(b, x, [n, c, elements(pixels)]), [0, 2, 1]);
  const all = reshaped(b, first, [n * elements(pixels), c]);
  const read = op.gather(b, all, reshaped(b, places, [m * each]), { axis: 0 });
  const y = transposed(b, reshaped(b, read, [m, each, c]), [0, 2, 1]);
  const weights = list.flatMap((t) => (t.weight ? [reshaped(b, t.weight, [m, 1, each])] : []));
  const product = weights.reduce((e, _, i) => `mul(${e},x${i + 1})`, "x0");
  return reshaped(b, weights.length > 0 ? op.map(b, [y, ...weights], { expr: product }) : y, [m, c, ...shape.slice(1)]);
}

type Padding = "zeros" | "border" | "reflection";

/** A coordinate that is reflected at `low` and `low + range` until it lies between them. */
function reflected(x: string, low: number, range: number): string {
  if (range === 0) return `add(mul(${x},0),${low})`;
  const distance = `abs(sub(${x},${low}))`;
  const rest = `fmod(${distance},${range})`;
  const turns = `fmod(floor(div(${distance},${range})),2)`;
  return `where(equal(${turns},0),add(${rest},${low}),sub(${low + range},${rest}))`;
}

/** The weights of the elements around a coordinate with the fraction `r`, from the first one on. */
const weightsOf = (mode: string, r: string): string[] => {
  if (mode === "linear") return [`sub(1,${r})`, r];
  const a = -0.75;
  const far = (d: string): string => `sub(mul(add(mul(sub(mul(${a},${d}),${5 * a}),${d}),${8 * a}),${d}),${4 * a})`;
  const near = (d: string): string => `add(mul(mul(sub(mul(${a + 2},${d}),${a + 3}),${d}),${d}),1)`;
  return [far(`add(${r},1)`), near(r), near(`sub(1,${r})`), far(`sub(2,${r})`)];
};

interface Sampling {
  readonly mode: string;
  readonly padding: Padding;
  readonly corners: boolean;
}

/** The taps along an axis of `extent` pixels for coordinates in [-1, 1]. */
function tapsOf(b: Builder, grid: Value, extent: number, { mode, padding, corners }: Sampling): Tap[] {
  const [low, range] = corners ? [0, extent - 1] : [-0.5, extent];
  const plain = corners ? `mul(div(add(x0,1),2),${extent - 1})` : `div(sub(mul(add(x0,1),${extent}),1),2)`;
  const near = mode === "nearest" ? `round(${plain})` : plain;
  const beyond = `or(less(${near},${low}),greater(${near},${low + range}))`;
  const moved = {
    zeros: near,
    border: `where(${beyond},max(min(${near},${extent - 1}),0),${near})`,
    reflection: `where(${beyond},${reflected(near, low, range)},${near})`,
  }[padding];
  // a cubic filter reads border pixels in the place of those outside, as PyTorch and ONNX Runtime do
  const x = op.map(b, [grid], { expr: mode === "cubic" && padding === "border" ? near : moved });
  const first = mode === "cubic" ? -1 : 0;
  const weights = mode === "nearest" ? [undefined] : weightsOf(mode, "sub(x0,floor(x0))");
  return weights.map((weight, i) => {
    const at = mode === "nearest" ? "trunc(x0)" : `add(floor(x0),${first + i})`;
    const inside = `and(greater_equal(${at},0),less_equal(${at},${extent - 1}))`;
    const clamped = `max(min(${at},${extent - 1}),0)`;
    const turned = `where(or(less(${at},${low}),greater(${at},${low + range})),${reflected(at, low, range)},${at})`;
    const place = padding === "reflection" ? `max(min(trunc(${turned}),${extent - 1}),0)` : clamped;
    const own = padding === "zeros" ? `where(${inside},${weight ?? "add(mul(x0,0),1)"},0)` : weight;
    return {
      place: op.map(b, [x], { expr: `to_i64(where(is_nan(x0),0,${place}))` }),
      weight: own === undefined ? undefined : op.map(b, [x], { expr: own }),
    };
  });
}

const gridSample: Build = (at) => {
  const [b, x, grid] = [at.builder, at.in(0), at.in(1)];
  const { shape, dtype } = x.type;
  const axes = shape.length - 2;
  const wanted = grid.type.shape;
  if (axes < 1 || wanted.length !== shape.length || wanted[0] !== shape[0] || wanted.at(-1) !== axes)
    at.refuse(`a grid [${wanted}] does not fit images [${shape}]`);
  const named = at.text("mode", at.version < 20 ? "bilinear" : "linear");
  const mode = { bilinear: "linear", bicubic: "cubic" }[named] ?? named;
  const padding = at.text("padding_mode", "zeros");
  if (!["nearest", "linear", "cubic"].includes(mode)) at.refuse(`mode ${named} is not known`);
  if (!["zeros", "border", "reflection"].includes(padding)) at.refuse(`padding_mode ${padding} is not known`);
  const how: Sampling = { mode, padding: padding as Padding, corners: at.int("align_corners", 0) === 1 };
  const wide = mode === "nearest" && padding !== "zeros" ? dtype : wideOf(dtype);
  const places = converted(b, grid, grid.type.dtype === "f64" ? "f64" : "f32");
  // the last axis of the grid names the last axis of the pixels first
  const taps = shape.slice(2).map((extent, i) => {
    const own = ranged(b, places, axes + 1, axes - 1 - i, axes - i);
    return tapsOf(b, reshaped(b, own, wanted.slice(0, -1)), extent, how).map(({ place, weight }) => ({
      place,
      weight: weight && converted(b, weight, wide),
    }));
  });
  return converted(b, sampled(b, converted(b, x, wide), taps, undefined), dtype);
};

/** The coordinates in [-1, 1] of all pixels of images of `size` [N, C, pixels...], after an affine transformation. */
const affineGrid: Build = (at) => {
  const [b, theta, size] = [at.builder, at.in(0), at.integers(1)];
  const corners = at.int("align_corners", 0) === 1;
  const [n = 0, , ...pixels] = size;
  const axes = pixels.length;
  if (theta.type.shape.join() !== [n, axes, axes + 1].join())
    at.refuse(`transformations [${theta.type.shape}] do not fit images [${size}]`);
  const { dtype } = theta.type;
  const wide = wideOf(dtype);
  const coordinate = (extent: number, axis: number): string => {
    const p = `to_f64(i${axis})`;
    if (corners) return extent === 1 ? `sub(mul(${p},0),1)` : `sub(mul(${p},${2 / (extent - 1)}),1)`;
    return `sub(div(add(mul(${p},2),1),${extent}),1)`;
  };
  // the last column is 1; the others are the coordinates, the last axis first
  const plain = pixels.reduce((rest, extent, axis) => {
    const column = axes - 1 - axis;
    return `where(equal(i${axes},${column}),${coordinate(extent, axis)},${rest})`;
  }, "to_f64(1)");
  const grid = op.map(b, [], { expr: `to_${wide}(${plain})`, shape: [...pixels, axes + 1] });
  const rows = reshaped(b, grid, [elements(pixels), axes + 1]);
  const y = op.batch_matmul(b, rows, transposed(b, converted(b, theta, wide), [0, 2, 1]));
  return converted(b, reshaped(b, y, [n, ...pixels, axes]), dtype);
};

/** How many samples a bin has along an axis: as told, or as many as the largest region has pixels for each bin. */
function samplesOf(at: At, ratio: number, bins: number, sides: readonly [number, number], shift: Shift): number {
  if (ratio > 0) return ratio;
  const rois = numbersIn(at.constant(1));
  const round = at.type(1).dtype === "f64" ? (x: number): number => x : Math.fround; // as the program will compute it
  let most = 0;
  for (let r = 0; r < rois.length / 4; r++) {
    const [start, end] = sides.map((s) =>
      round(round((rois[4 * r + s] as number) * round(shift.scale)) - shift.offset),
    ) as [number, number];
    most = Math.max(most, Math.ceil(round(Math.max(round(end - start), shift.least) / bins)));
  }
  return most;
}

interface Shift {
  readonly scale: number;
  readonly offset: number;
  readonly least: number; // extent of a region
}

/**
 * The samples along an axis of each region: taps of shape [R, ...], with bins and samples on the axes `on` of `rank`,
 * and their number, [R, 1, ...].
 */
function bins(
  b: Builder,
  rois: Value,
  sides: readonly [number, number],
  shift: Shift,
  extent: number,
  shape: Shape,
  on: readonly [bin: number, sample: number],
  adaptive: boolean,
): { readonly taps: readonly Tap[]; readonly count: Value } {
  const r = shape[0] as number;
  const column = (i: number): Value =>
    reshaped(
      b,
      ranged(b, rois, 1, i, i + 1),
      shape.map((_, axis) => (axis === 0 ? r : 1)),
    );
  const [start, end] = sides.map(column) as [Value, Value];
  const { dtype } = rois.type;
  const edge = (x: string): string => `sub(mul(${x},${shift.scale}),${shift.offset})`;
  const length = `max(sub(${edge("x1")},${edge("x0")}),${shift.least})`;
  const [n, samples] = [shape[on[0]] as number, shape[on[1]] as number];
  const count = op.map(b, [start, end], {
    expr: adaptive ? `max(ceil(div(${length},${n})),0)` : `add(mul(x0,0),${samples})`,
  });
  const own = shape.map((d, i) => (i === 0 || on.includes(i) ? d : 1));
  const part = `add(to_${dtype}(i${on[0]}),div(add(to_${dtype}(i${on[1]}),0.5),max(x2,1)))`;
  const at = op.map(b, [start, end, count], {
    expr: `add(${edge("x0")},mul(div(${length},${n}),${part}))`,
    shape: own,
  });
  const valid = `and(and(greater_equal(x0,-1),less_equal(x0,${extent})),less(to_${dtype}(i${on[1]}),x1))`;
  const clamped = `max(min(x0,${extent - 1}),0)`;
  const low = `floor(${clamped})`;
  const taps = [low, `min(add(${low},1),${extent - 1})`].map((place, i) => {
    const fraction = `sub(${clamped},${low})`;
    const weight = i === 1 ? fraction : `sub(1,${fraction})`;
    return {
      place: op.map(b, [at, count], { expr: `to_i64(${place})` }),
      weight: op.map(b, [at, count], { expr: `where(${valid},${weight},0)` }),
    };
  });
  return { taps, count };
}

const roiAlign: Build = (at) => {
  const [b, x, own, images] = [at.builder, at.in(0), at.in(1), at.in(2)];
  const { shape, dtype } = x.type;
  const wide = wideOf(dtype);
  const rois = converted(b, own, wide);
  const r = rois.type.shape[0] as number;
  if (shape.length !== 4 || rois.type.shape.join() !== [r, 4].join() || images.type.shape.join() !== String(r))
    at.refuse(`regions [${rois.type.shape}] of images [${images.type.shape}] do not fit [${shape}]`);
  const transform = at.version < 16 ? "output_half_pixel" : at.text("coordinate_transformation_mode", "half_pixel");
  const half = transform === "half_pixel";
  if (!half && transform !== "output_half_pixel") at.refuse(`coordinate_transformation_mode ${transform} is not known`);
  const shift: Shift = {
    scale: at.float("spatial_scale", 1),
    offset: half ? 0.5 : 0,
    least: half ? -Infinity : 1,
  };
  const mode = at.text("mode", "avg");
  if (mode !== "avg" && mode !== "max") at.refuse(`mode ${mode} is not known`);
  const [rows, columns] = [at.int("output_height", 1), at.int("output_width", 1)];
  const ratio = at.int("sampling_ratio", 0);
  const down = samplesOf(at, ratio, rows, [1, 3], shift);
  const across = samplesOf(at, ratio, columns, [0, 2], shift);
  const all = [r, rows, Math.max(down, 1), columns, Math.max(across, 1)];
  const [height, width] = [shape[2] as number, shape[3] as number];
  const y = bins(b, rois, [1, 3], shift, height, all, [1, 2], ratio <= 0);
  const z = bins(b, rois, [0, 2], shift, width, all, [3, 4], ratio <= 0);
  const wideTap = (t: Tap): Tap => ({
    place: op.map(b, [t.place], { expr: "x0", shape: all }),
    weight: t.weight && op.map(b, [t.weight], { expr: "x0", shape: all }),
  });
  const parts = combinations([y.taps.map(wideTap), z.taps.map(wideTap)]).map((list) =>
    weighted(b, converted(b, x, wide), list, images),
  ); // [R, C, rows, samples, columns, samples]
  const over = { axes: [3, 5], keepdims: false } as const;
  if (mode === "max") {
    const most = parts.reduce((m, p) => op.map(b, [m, p], { expr: "max(x0,x1)" }));
    const column = (v: Value): Value => reshaped(b, v, [r, 1, 1, 1, 1, 1]);
    const inside = op.map(b, [most, column(y.count), column(z.count)], {
      expr: `where(and(less(to_${wide}(i3),x1),less(to_${wide}(i5),x2)),x0,-Infinity)`,
    });
    const top = op.fold(b, inside, { of: "max", ...over });
    return converted(b, op.map(b, [top], { expr: "where(equal(x0,-Infinity),0,x0)" }), dtype);
  }
  const sum = parts.reduce((s, p) => op.map(b, [s, p], { expr: "add(x0,x1)" }));
  const counts = [y.count, z.count].map((v) => reshaped(b, v, [r, 1, 1, 1]));
  const mean = op.map(b, [op.fold(b, sum, { of: "sum", ...over }), ...counts], {
    expr: "div(x0,max(mul(x1,x2),1))",
  });
  return converted(b, mean, dtype);
};

export const sampling: Rules = {
  GridSample: since(16, gridSample),
  AffineGrid: since(20, affineGrid),
  RoiAlign: since(10, roiAlign),
};
