// The bits of numbers as other element types.

import type { DType } from "../ir/types.js";
import { bf16, bf16Bits, f16, f16Bits } from "./float.js";

const view = new DataView(new ArrayBuffer(8));

interface Access {
  get(): number;
  set(v: number): void;
}

/** How numbers of each type lie in `view`. Whole numbers of 64 bits are exact up to 2^53. */
const accesses: Readonly<Record<DType, Access>> = {
  f64: { get: () => view.getFloat64(0), set: (v) => view.setFloat64(0, v) },
  f32: { get: () => view.getFloat32(0), set: (v) => view.setFloat32(0, v) },
  f16: { get: () => f16(view.getUint16(0)), set: (v) => view.setUint16(0, f16Bits(v)) },
  bf16: { get: () => bf16(view.getUint16(0)), set: (v) => view.setUint16(0, bf16Bits(v)) },
  i64: { get: () => Number(view.getBigInt64(0)), set: (v) => view.setBigInt64(0, BigInt(v)) },
  u64: { get: () => Number(view.getBigUint64(0)), set: (v) => view.setBigUint64(0, BigInt(v)) },
  i32: { get: () => view.getInt32(0), set: (v) => view.setInt32(0, v) },
  u32: { get: () => view.getUint32(0), set: (v) => view.setUint32(0, v) },
  i16: { get: () => view.getInt16(0), set: (v) => view.setInt16(0, v) },
  u16: { get: () => view.getUint16(0), set: (v) => view.setUint16(0, v) },
  i8: { get: () => view.getInt8(0), set: (v) => view.setInt8(0, v) },
  u8: { get: () => view.getUint8(0), set: (v) => view.setUint8(0, v) },
  bool: { get: () => view.getUint8(0), set: (v) => view.setUint8(0, v) },
};

/** The number that has the bits which `v` has as a `from`, as a `to` of the same width. */
export function sameBits(v: number, from: DType, to: DType): number {
  accesses[from].set(v);
  return accesses[to].get();
}
