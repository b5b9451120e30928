// One table of op cases: every op of the compiler in small graphs with random operands, odd shapes included. Gradient
// checks, the expansion of composites and compiled kernels are all tested with it.

import { Builder } from "../../compiler/ir/builder.js";
import { NdArray } from "../../compiler/ir/nd.js";
import { type DType, elements, type Graph, type Value } from "../../compiler/ir/types.js";
import { randomArray, uniform } from "./random.js";

/** How to make an operand of a case. A plain shape is f32, uniform in -1..1, and its gradient is checked. */
export type Operand =
  | readonly number[]
  | {
      readonly shape: readonly number[];
      readonly dtype?: DType; // f32
      readonly low?: number;
      readonly high?: number;
      readonly values?: readonly number[]; // instead of random ones
      readonly fixed?: boolean; // no gradient is taken
    };

export interface OpCase {
  readonly name: string;
  readonly graph: Graph;
  readonly feed: ReadonlyMap<Value, NdArray>;
  readonly wrt: readonly Value[]; // operands whose gradients are checked
}

/** Builds a case. The graph returns what `build` returns; gradients are those of the first result. */
export function opCase<K extends string>(
  name: string,
  operands: Readonly<Record<K, Operand>>,
  build: (b: Builder, inputs: Readonly<Record<K, Value>>) => Value | readonly Value[],
  options: { readonly groups?: number } = {},
): OpCase {
  const b = Builder.create(name, options);
  const feed = new Map<Value, NdArray>();
  const inputs = {} as Record<K, Value>;
  const wrt: Value[] = [];
  for (const [key, spec] of Object.entries(operands) as [K, Operand][]) {
    const o = "shape" in spec ? spec : { shape: spec };
    const v = b.input(key, { dtype: o.dtype ?? "f32", shape: o.shape });
    inputs[key] = v;
    feed.set(v, operandValue(o, name, key));
    if (v.type.dtype === "f32" && !o.fixed) wrt.push(v);
  }
  const out = build(b, inputs);
  return { name, graph: b.finish(Array.isArray(out) ? out : [out as Value]), feed, wrt };
}

function operandValue(o: Exclude<Operand, readonly number[]>, name: string, key: string): NdArray {
  if (o.values) return new NdArray(o.shape, Float64Array.from(o.values, o.dtype ? Number : Math.fround));
  const seed = [...`${name}/${key}`].reduce((h, c) => Math.imul(h, 31) + c.charCodeAt(0), 7);
  if (o.dtype === undefined || o.dtype === "f32") return randomArray(o.shape, seed, o.low, o.high);
  const next = uniform(seed);
  const [low, high] = [o.low ?? 0, o.high ?? 256];
  return NdArray.fill(o.shape, () => low + Math.floor((high - low) * next()));
}

/** An f32 operand without gradient. */
export const fixed = (shape: readonly number[], low = -1, high = 1): Operand => ({
  shape,
  low,
  high,
  fixed: true,
});
export const positive = (shape: readonly number[]): Operand => ({ shape, low: 0.5, high: 2 });
export const number = (value: number): Operand => ({ shape: [], values: [value], fixed: true });
export const labels = (values: readonly number[]): Operand => ({
  shape: [values.length],
  dtype: "i64",
  values,
});
export const flags = (values: readonly number[]): Operand => ({
  shape: [values.length],
  values,
  fixed: true,
});
export const bytes = (shape: readonly number[]): Operand => ({ shape, dtype: "u8" });

/** f32 values 1, 2, 3 ... of a shape, for results that are computed by hand. */
export const iota = (shape: readonly number[], start = 1): NdArray =>
  new NdArray(
    shape,
    Float64Array.from({ length: elements(shape) }, (_, i) => i + start),
  );
