// The shapes and loops of reductions.

import { type DType, elements, type TensorType } from "../../ir/types.js";
import { wantAxis } from "../shape.js";
import { isFloat } from "./expression.js";
import { type LoopText, literal, loops, type Nest } from "./nest.js";

/** last: arg_max and arg_min return the last of several equal elements, not the first. */
export type FoldAttrs = { of: Fold; axes: readonly number[]; keepdims?: boolean; last?: boolean };
type Fold = "sum" | "prod" | "max" | "min" | "arg_max" | "arg_min";

export const isArg = (of: string): boolean => of.startsWith("arg_");

/** `shape` with extent 1 for the axes of a reduction. Throws if there is no such axis, or it is named twice. */
export function keptShape(shape: readonly number[], axes: readonly number[]): number[] {
  const reduced = axes.map((a) => wantAxis(a, shape.length));
  if (new Set(reduced).size !== axes.length) throw new Error(`axes [${axes}] name an axis twice`);
  return shape.map((d, i) => (reduced.includes(i) ? 1 : d));
}

/** The shape of the result of a reduction. */
export function foldedShape(shape: readonly number[], { axes, keepdims = false }: FoldAttrs): number[] {
  const full = keptShape(shape, axes);
  const reduced = axes.map((a) => wantAxis(a, shape.length));
  return keepdims ? full : full.filter((_, i) => !reduced.includes(i));
}

const least: Readonly<Partial<Record<DType, number>>> = {
  i8: -128,
  i16: -32768,
  i32: -(2 ** 31),
  i64: -(2 ** 63),
  u8: 0,
  u16: 0,
  u32: 0,
  u64: 0,
  bool: 0,
};
const most: Readonly<Partial<Record<DType, number>>> = {
  i8: 127,
  i16: 32767,
  i32: 2 ** 31 - 1,
  i64: 2 ** 63,
  u8: 255,
  u16: 65535,
  u32: 2 ** 32 - 1,
  u64: 2 ** 64,
  bool: 1,
};
/** The result of a reduction of no elements. */
export function start(of: Fold, dtype: DType): number {
  if (of === "sum" || isArg(of)) return 0;
  if (of === "prod") return 1;
  return of === "max" ? (least[dtype] ?? -Infinity) : (most[dtype] ?? Infinity);
}

/** The C++ type in which elements are added or multiplied. */
export const accumulator = (k: LoopText, dtype: DType): string => (isFloat(dtype) ? "double" : k.type(dtype));

/** The loops of a reduction of x to y. */
export function foldNest(x: TensorType, y: TensorType, { of, axes, keepdims = false, last = false }: FoldAttrs): Nest {
  const reduced = axes.map((a) => wantAxis(a, x.shape.length)).toSorted((a, c) => a - c);
  const extents = reduced.map((a) => x.shape[a] as number);
  const keptAxes = [...x.shape.keys()].filter((i) => !reduced.includes(i));
  return {
    space: y.shape,
    work: 1 + elements(extents),
    body: (k, at) => {
      const own = (r: readonly string[]): string[] =>
        x.shape.map((_, i) =>
          reduced.includes(i) ? (r[reduced.indexOf(i)] as string) : (at[keepdims ? i : keptAxes.indexOf(i)] as string),
        );
      const type = of === "sum" || of === "prod" ? accumulator(k, x.dtype) : k.type(x.dtype);
      const begin = literalOf(
        start(of.endsWith("max") ? "max" : of.endsWith("min") ? "min" : of, x.dtype),
        x.dtype,
        type,
      );
      const total = (r: readonly string[]): string =>
        `m = ${of === "sum" ? "add" : of === "prod" ? "mul" : of}_(m, ${type}(${k.load(0, own(r))}));`;
      const found = (r: readonly string[]): string[] => [
        `const ${type} v = ${k.load(0, own(r))};`,
        `if (best < 0 || ${of.endsWith("max") ? "above" : "below"}_(v, m, ${last})) { m = v; best = ${r[0]}; }`,
      ];
      return isArg(of)
        ? [
            `${type} m = ${begin};`,
            "int64_t best = -1;",
            ...loops(extents, "r", found),
            k.store(0, at, "best < 0 ? int64_t(0) : best"),
          ]
        : [`${type} m = ${begin};`, ...loops(extents, "r", (r) => [total(r)]), k.store(0, at, "m")];
    },
  };
}

/** The start value as C++; the ends of the 64-bit types have no literal that a double could name. */
function literalOf(v: number, dtype: DType, type: string): string {
  if (dtype === "i64" && v <= -(2 ** 63)) return "INT64_MIN";
  if (dtype === "i64" && v >= 2 ** 63) return "INT64_MAX";
  if (dtype === "u64" && v >= 2 ** 64) return "UINT64_MAX";
  return literal(v, type);
}
