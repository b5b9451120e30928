// An ONNX model as plain data. A tensor has its elements as little-endian bytes in row-major order, or names the file
// beside the model that contains them. Weights are O, I, H, W.

import { type DType, elements } from "../ir/types.js";
import { bf16, f16 } from "../util/float.js";

export type ElementType = DType;

/** The bytes of one element. */
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

/** The element types by TensorProto.DataType; strings, complex numbers and those of less than 8 bits are undefined. */
export const dataTypes: readonly (ElementType | undefined)[] = [
  undefined,
  "f32",
  "u8",
  "i8",
  "u16",
  "i16",
  "i32",
  "i64",
  undefined,
  "bool",
  "f16",
  "f64",
  "u32",
  "u64",
  undefined,
  undefined,
  "bf16",
];

/** The names of the other ones, for messages. */
export const otherTypes: Readonly<Record<number, string>> = {
  0: "undefined",
  8: "string",
  14: "complex64",
  15: "complex128",
  17: "float8e4m3fn",
  18: "float8e4m3fnuz",
  19: "float8e5m2",
  20: "float8e5m2fnuz",
  21: "uint4",
  22: "int4",
  23: "float4e2m1",
  24: "float8e8m0",
  25: "uint2",
  26: "int2",
};

/** Where a tensor's bytes are if they are not in the model: a file name relative to it, and a range in bytes. */
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

/** An extent: a number, the name of an extent that is known only at run time, or "" if that has no name. */
export type Dim = number | string;

export interface ValueInfo {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly Dim[] | undefined; // undefined: any shape
}

export type Attribute =
  | { readonly kind: "int" | "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "tensor"; readonly value: Tensor }
  | { readonly kind: "ints" | "floats"; readonly value: readonly number[] }
  | { readonly kind: "strings"; readonly value: readonly string[] }
  | { readonly kind: "graph"; readonly value: OnnxGraph }
  /** In a function: the attribute with this name of the call; `type` is AttributeProto's number for its kind. */
  | { readonly kind: "reference"; readonly value: string; readonly type: number };
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
  readonly values: readonly ValueInfo[]; // types of other values, as far as they are known
  readonly initializers: readonly Tensor[];
}

/** A model-local function: a call of `domain`::`name` executes its nodes, which use operators of `opsets`. */
export interface OnnxFunction {
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly string[]; // names that calls may set
  readonly defaults?: Attributes; // others that they may set, with the values that these have otherwise
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

/** The elements of a tensor: bf16 and f16 as 16-bit words, bool as bytes, all others as numbers of their type. */
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

/** The typed array of each element type. */
export const arrays = {
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

/** A tensor of these elements, whose memory it shares. Throws if they have another type or do not fill `dims`. */
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

/** The elements of a tensor, copied only if they are not aligned. Throws if they are in another file. */
export function elementsOf(t: Tensor): Elements {
  if (!(t.data instanceof Uint8Array)) throw new Error(`tensor ${t.name} is in another file, ${t.data.location}`);
  const aligned = t.data.byteOffset % elementBytes[t.type] === 0;
  // a Buffer's slice() does not copy
  const { buffer, byteOffset, byteLength } = aligned ? t.data : new Uint8Array(t.data);
  return new arrays[t.type](buffer as ArrayBuffer, byteOffset, byteLength / elementBytes[t.type]);
}

/** How the words that f16 and bf16 are stored as become numbers. */
const decoderOf: Readonly<Partial<Record<ElementType, (word: number) => number>>> = { f16, bf16 };

/** The first element of a tensor as a number; undefined if it is a whole number beyond 2^53. */
export function scalarOf(t: Tensor): number | undefined {
  const first = elementsOf(t)[0] as number | bigint;
  const value = decoderOf[t.type]?.(first as number) ?? Number(first);
  return typeof first === "bigint" && BigInt(value) !== first ? undefined : value;
}

/** The elements of a small tensor as numbers. Throws if an integer is beyond 2^53 or they are in another file. */
export function numbersOf(t: Tensor): number[] {
  return Array.from(elementsOf(t) as ArrayLike<number | bigint>, (x) => {
    if (typeof x === "bigint" && !Number.isSafeInteger(Number(x)))
      throw new Error(`tensor ${t.name}: ${x} is beyond 2^53`);
    return decoderOf[t.type]?.(x as number) ?? Number(x);
  });
}
