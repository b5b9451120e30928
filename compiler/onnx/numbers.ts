// The elements of constants as numbers, and numbers as elements, for all element types. Whole numbers beyond 2^53 are
// not exact as numbers.

import { elements } from "../ir/types.js";
import { bf16, bf16Bits, f16, f16Bits } from "../util/float.js";
import { arrays, type Elements, type ElementType, elementsOf, type Tensor, tensorOf } from "./model.js";

/** A function that turns stored elements of this type into numbers; whole numbers of 64 bits become the nearest. */
export function decoder(type: ElementType): (stored: number | bigint) => number {
  return type === "f16" ? (x) => f16(Number(x)) : type === "bf16" ? (x) => bf16(Number(x)) : Number;
}

/** A function that turns numbers into stored elements of this type: rounded to the nearest, or cut off and wrapped. */
export function encoder(type: ElementType): (x: number) => number | bigint {
  if (type === "f16") return f16Bits;
  if (type === "bf16") return bf16Bits;
  if (type === "bool") return (x) => (x === 0 ? 0 : 1);
  const whole = (x: number): bigint => BigInt(Number.isFinite(x) ? Math.trunc(x) : 0);
  if (type === "i64") return (x) => BigInt.asIntN(64, whole(x));
  if (type === "u64") return (x) => BigInt.asUintN(64, whole(x));
  if (type === "f32" || type === "f64") return (x) => x;
  return (x) => Number(BigInt.asIntN(32, whole(x))); // the array cuts it to its type
}

/** The elements as numbers. */
export const numbersIn = (t: Tensor): Float64Array =>
  Float64Array.from(elementsOf(t) as ArrayLike<number | bigint>, decoder(t.type));

/** A tensor of these numbers, as elements of its type. Throws if they do not fill `dims`. */
export function tensorFrom(type: ElementType, dims: readonly number[], xs: ArrayLike<number>): Tensor {
  const [out, encode] = [new arrays[type](elements(dims)) as Elements as Float64Array, encoder(type)];
  for (let i = 0; i < out.length; i++) out[i] = encode(xs[i] as number) as number;
  return tensorOf("", type, dims, out);
}

/** Whether numbers have all elements exactly. */
export const isExact = (t: Tensor): boolean =>
  (t.type !== "i64" && t.type !== "u64") || numbersIn(t).every((x) => Number.isSafeInteger(x));
