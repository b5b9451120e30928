// The lists of element types that the records of ops use, and the same in words. inferTypes() of registry.ts checks
// that an operand has one of its list.

import { type DType, dtypes } from "./types.js";

export const floats: readonly DType[] = ["f32", "bf16", "f16", "f64"];
export const f32: readonly DType[] = ["f32"];
export const i64: readonly DType[] = ["i64"];
/** All element types, for ops that only move elements. */
export const any: readonly DType[] = dtypes;

const either = (words: readonly string[]): string =>
  words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;

/** The types as text, "i64 or u8". If all of `floats` are among them, `float` stands for those. */
export const inWords = (types: readonly DType[], float = `floating point (${either(floats)})`): string =>
  either(floats.every((t) => types.includes(t)) ? [float, ...types.filter((t) => !floats.includes(t))] : types);
