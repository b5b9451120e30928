// The lists of element types that the records of ops use, and the same in words. inferTypes() of registry.ts checks
// that an operand has one of its list.

import { type DType, dtypes } from "./types.js";

export const floats: readonly DType[] = ["f32", "bf16", "f16", "f64"];
export const f32: readonly DType[] = ["f32"];
export const i64: readonly DType[] = ["i64"];
/** Types of positions along an axis. */
export const positions: readonly DType[] = ["i64", "i32"];
/** All element types that are numbers. */
export const numeric: readonly DType[] = dtypes.filter((t) => t !== "bool");
/** All element types, for ops that only move elements. */
export const any: readonly DType[] = dtypes;

const either = (words: readonly string[]): string =>
  words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;

const integers: readonly DType[] = ["i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8"];

/**
 * The types as text, "i64 or u8". If all of `floats` are among them, `float` stands for those, and `integer` for all
 * whole types.
 */
export const inWords = (
  types: readonly DType[],
  float = `floating point (${either(floats)})`,
  integer = `integer (${either(integers)})`,
): string => {
  const groups: readonly (readonly [readonly DType[], string])[] = [
    [floats, float],
    [integers, integer],
  ];
  const [whole, words] = groups.reduce<[readonly DType[], readonly string[]]>(
    ([rest, words], [all, word]) =>
      all.every((t) => types.includes(t)) ? [rest.filter((t) => !all.includes(t)), [...words, word]] : [rest, words],
    [types, []],
  );
  return either([...words, ...whole]);
};
