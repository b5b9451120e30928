// The parts of scalar expressions (expression.ts), as data.

import type { DType } from "../../ir/types.js";

export type Expr =
  | { readonly kind: "operand"; readonly index: number }
  | { readonly kind: "position"; readonly axis: number }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expr[] };

/** The element of an operand. */
export const x = (index: number): Expr => ({ kind: "operand", index });
/** The position of the element along an axis of the result, as i64. */
export const position = (axis: number): Expr => ({ kind: "position", axis });
export const number = (value: number): Expr => ({ kind: "number", value });
export const call = (name: string, ...args: readonly Expr[]): Expr => ({ kind: "call", name, args });
/** e as another element type. */
export const to = (dtype: DType, e: Expr): Expr => call(`to_${dtype}`, e);
