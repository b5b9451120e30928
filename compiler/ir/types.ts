// The IR. A Graph is a straight-line program over immutable, typed values with static shapes. It has no control flow,
// no layouts and no fused ops. A state is an input together with an update; its old and new value have different names.

export type DType =
  | ("f32" | "bf16" | "f16" | "f64")
  | ("i64" | "i32" | "i16" | "i8" | "u64" | "u32" | "u16" | "u8")
  | "bool";

/** Shapes are logical (N, C, H, W; weights O, I, H, W); every 4-D tensor is stored channels-last. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** A result of a node, an input or a state. The name is unique in its graph; printer, plan and kernels use it. */
export interface Value {
  readonly name: string;
  readonly type: TensorType;
}

export type AttrValue = number | string | boolean | readonly number[];
export type Attrs = Readonly<Record<string, AttrValue>>;

export interface Node {
  readonly op: string; // key of the op table
  readonly inputs: readonly Value[];
  readonly attrs: Attrs;
  readonly outputs: readonly Value[];
  readonly scope: string; // the part of the model it belongs to, "encoder_q.layer1.0.conv1"; gradients end in '
}

/** How the runtime fills a state before the first step. Random values depend only on the seed and the tensor's name. */
export type Init =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "normal"; readonly std: number }
  | { readonly kind: "uniform"; readonly bound: number } // U(-bound, bound)
  | { readonly kind: "unit_columns" } // [d, n]: each column a random unit vector
  | { readonly kind: "copy"; readonly of: string }; // the initial value of another state

/**
 * param: trained by the optimizer; momentum: the optimizer's buffer of a param; buffer: everything else that a
 * checkpoint contains; derived: rebuilt from the others (packed weights), and therefore in no checkpoint.
 */
export type Role = "param" | "momentum" | "buffer" | "derived";

export interface State extends Value {
  readonly init: Init;
  readonly role: Role;
}

export interface Graph {
  readonly name: string;
  readonly groups: number; // of the batch, each with its own batch_norm statistics and loss mean
  readonly inputs: readonly Value[]; // set by the caller before every step
  readonly state: readonly State[]; // kept from step to step
  readonly nodes: readonly Node[]; // a value is defined before it is used
  readonly outputs: readonly Value[]; // read by the caller after every step
  readonly updates: ReadonlyMap<Value, Value>; // state -> its value after the step
  readonly ranks?: number; // the graph is the share of one rank of this many; absent: there is only one rank
  readonly firstRank?: readonly string[]; // names of the states that only rank 0 has right after a step
}

/**
 * How key images reach the rank that encodes them. load: its loader reads them in the order of the permutation;
 * exchange: the ranks that loaded them send them.
 */
export type Shuffle = "load" | "exchange";

/**
 * f32: everything is f32; bf16: 4-D activations and the convolutions' copies of weights are stored as bf16; tf32:
 * convolutions round their operands to tf32. Statistics, losses, matrices, master weights and the optimizer are f32 in
 * all three.
 */
export type Precision = "f32" | "bf16" | "tf32";

/** What the compiler compiles for. It makes one set of programs for each number of ranks in `ranks`. */
export interface Target {
  readonly device: "cpu" | "cuda";
  /**
   * CPU: "x86-64-v3", "x86-64-v4", with AVX512-BF16 "x86-64-v4+bf16", with AMX, too, "x86-64-v4+amx". CUDA: all
   * architectures that the image has code for, "sm_80,sm_90a", or "emulator" or "emulator_sm_90a".
   */
  readonly arch: string;
  readonly ranks: readonly number[];
  readonly precision?: Precision; // absent: f32
  readonly memory?: "low"; // training steps make cheap values again in the backward pass; absent: they are kept
  readonly shuffle?: Shuffle; // absent: load
  readonly bucketBytes?: number; // of gradients per all-reduce; absent: BUCKET_BYTES of lower/collectives.ts
}

/** A pass returns an equivalent graph and does not change the one it gets; it returns that one if nothing changes. */
export interface Pass {
  readonly name: string;
  run(g: Graph, target: Target): Graph;
}

/** The number of elements of a tensor of this shape. */
export const elements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

const bytesOf: Readonly<Record<DType, number>> = {
  ...{ f32: 4, bf16: 2, f16: 2, f64: 8 },
  ...{ i64: 8, i32: 4, i16: 2, i8: 1, u64: 8, u32: 4, u16: 2, u8: 1 },
  ...{ bool: 1 },
};
/** All element types. */
export const dtypes = Object.keys(bytesOf) as readonly DType[];
/** Bytes of a dense tensor of this type. */
export const byteSize = (t: TensorType): number => bytesOf[t.dtype] * elements(t.shape);

/** The type as text: "f32[16,64,56,56]". */
export const showType = (t: TensorType): string => `${t.dtype}[${t.shape.join(",")}]`;
export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i]);
export const sameType = (a: TensorType, b: TensorType): boolean => a.dtype === b.dtype && sameShape(a.shape, b.shape);
