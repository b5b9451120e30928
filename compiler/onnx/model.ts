// An ONNX model as plain data. Tensors hold their elements as little-endian bytes in row-major order, or say
// in which file beside the model they are; weights are O, I, H, W.

import { type DType, elements } from "../ir/types.js";

export type ElementType = DType | "i8" | "i16" | "u16" | "u32" | "u64";

/** Bytes of one element. */
export const elementBytes: Readonly<Record<ElementType, number>> = {
  f32: 4,
  f64: 8,
  f16: 2,
  bf16: 2,
  i64: 8,
  i32: 4,
  i16: 2,
  i8: 1,
  u64: 8,
  u32: 4,
  u16: 2,
  u8: 1,
  bool: 1,
};

/** Where a tensor's bytes are when they are not in the model: a file name relative to it. */
export interface External {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

export interface Tensor {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly data: Uint8Array | External;
}

/** An extent: a number, the name of one that is known at run time, or "" for one that has no name. */
export type Dim = number | string;

export interface ValueInfo {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly Dim[] | undefined; // undefined: any
}

export type Attribute =
  | { readonly kind: "int" | "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "tensor"; readonly value: Tensor }
  | { readonly kind: "ints" | "floats"; readonly value: readonly number[] }
  | { readonly kind: "strings"; readonly value: readonly string[] }
  | { readonly kind: "graph"; readonly value: OnnxGraph };
export type Attributes = Readonly<Record<string, Attribute>>;

export interface OnnxNode {
  readonly name: string;
  readonly op: string;
  readonly domain: string; // "" is ai.onnx
  readonly inputs: readonly string[]; // "" is an optional input that is not given
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly values: readonly ValueInfo[]; // types of values in between, where known
  readonly initializers: readonly Tensor[];
}

/** A model-local function: its nodes, in operators of `opsets`, are what a call of `domain`::`name` means. */
export interface OnnxFunction {
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly string[]; // names that calls may set
  readonly nodes: readonly OnnxNode[];
  readonly opsets: ReadonlyMap<string, number>;
  readonly doc: string;
}

/** How state changes: after a step, initializer `key` takes the value of graph output `value`. */
export interface TrainingInfo {
  readonly algorithm: OnnxGraph | undefined;
  readonly updates: readonly (readonly [key: string, value: string])[];
}

export interface Model {
  readonly irVersion: number;
  readonly opsets: ReadonlyMap<string, number>; // domain -> version
  readonly producer: string;
  readonly producerVersion: string;
  readonly doc: string;
  readonly graph: OnnxGraph;
  readonly functions: readonly OnnxFunction[];
  readonly training: readonly TrainingInfo[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** Elements of a tensor, by type; bf16 and f16 as 16-bit words, bool as bytes. */
export type Elements =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

const arrays = {
  f32: Float32Array,
  f64: Float64Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  i64: BigInt64Array,
  i32: Int32Array,
  i16: Int16Array,
  i8: Int8Array,
  u64: BigUint64Array,
  u32: Uint32Array,
  u16: Uint16Array,
  u8: Uint8Array,
  bool: Uint8Array,
} as const;

/** A tensor of these elements, which it shares. Throws when they are of another type or do not fill `dims`. */
export function tensorOf(name: string, type: ElementType, dims: readonly number[], values: Elements): Tensor {
  if (!(values instanceof arrays[type]) || values.length !== elements(dims)) {
    throw new Error(`tensor ${name}: ${values.length} elements of a ${values.constructor.name} for ${type}[${dims}]`);
  }
  return { name, type, dims, data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

/** A tensor of these numbers, rounded to the type. */
export function numbersTensor(
  name: string,
  type: "f32" | "f64" | "i64" | "bool",
  dims: readonly number[],
  xs: readonly number[],
): Tensor {
  const values = {
    f32: () => Float32Array.from(xs),
    f64: () => Float64Array.from(xs),
    bool: () => Uint8Array.from(xs),
    i64: () => BigInt64Array.from(xs, (x) => BigInt(x)),
  };
  return tensorOf(name, type, dims, values[type]());
}

/** The elements of a tensor that is in the model, in memory of their own only where alignment needs it. */
export function elementsOf(t: Tensor): Elements {
  if (!(t.data instanceof Uint8Array)) throw new Error(`tensor ${t.name} is in another file, ${t.data.location}`);
  const aligned = t.data.byteOffset % elementBytes[t.type] === 0;
  const { buffer, byteOffset, byteLength } = aligned ? t.data : new Uint8Array(t.data); // a Buffer's slice() is no copy
  return new arrays[t.type](buffer as ArrayBuffer, byteOffset, byteLength / elementBytes[t.type]);
}

/** The elements of a small tensor as numbers. Throws where an integer is beyond 2^53. */
export function numbersOf(t: Tensor): number[] {
  return Array.from(elementsOf(t) as ArrayLike<number | bigint>, (x) => {
    if (typeof x === "bigint" && !Number.isSafeInteger(Number(x)))
      throw new Error(`tensor ${t.name}: ${x} is beyond 2^53`);
    return Number(x);
  });
}
