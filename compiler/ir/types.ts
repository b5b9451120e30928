// The IR. A Graph is a straight-line program over immutable, typed values with static shapes: no control flow, no
// layouts, no fused ops. State is an input plus an update: old and new value have different names.

export type DType = "f32" | "bf16" | "f16" | "f64" | "i64" | "i32" | "u8" | "bool";

/** Shapes are logical (N, C, H, W; weights O, I, H, W); every 4-D tensor is stored channels-last. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** One result of one node, or an input or state. The name is unique in its graph; printer, plan and kernels use it. */
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
  readonly scope: string; // where the model made it, "encoder_q.layer1.0.conv1"; gradients end in '
}

/** How the runtime fills a state before the first step; random values depend on the seed and the tensor's name only. */
export type Init =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "normal"; readonly std: number }
  | { readonly kind: "uniform"; readonly bound: number } // U(-bound, bound)
  | { readonly kind: "unit_columns" } // [d, n]: each column a random unit vector
  | { readonly kind: "copy"; readonly of: string }; // the initial value of another state

/**
 * param: trained, in order; momentum: the optimizer's buffer of a param; buffer: everything else a checkpoint holds;
 * derived: can be rebuilt from the others (packed weights), is in no checkpoint.
 */
export type Role = "param" | "momentum" | "buffer" | "derived";

export interface State extends Value {
  readonly init: Init;
  readonly role: Role;
}

export interface Graph {
  readonly name: string;
  readonly groups: number; // the batch is this many independent groups (batch_norm statistics, loss means)
  readonly inputs: readonly Value[]; // fed every step
  readonly state: readonly State[]; // lives across steps
  readonly nodes: readonly Node[]; // every use comes after its definition
  readonly outputs: readonly Value[]; // read back every step
  readonly updates: ReadonlyMap<Value, Value>; // state -> its value after the step
  readonly ranks?: number; // this is what one of so many ranks computes; absent: there is but one
  readonly firstRank?: readonly string[]; // states that after a step are right on rank 0 alone
}

/**
 * How key images get to the rank that encodes them: loaded in the order of the permutation, or sent by the rank that
 * has them.
 */
export type Shuffle = "load" | "exchange";

/**
 * f32: everything; bf16: 4-D activations and weight copies are stored as bf16; tf32: convolutions round their operands
 * to tf32. Statistics, losses, matrices, master weights and the optimizer are f32 in all three.
 */
export type Precision = "f32" | "bf16" | "tf32";

/** What is compiled for: a set of programs for each number of `ranks` that share the batch. */
export interface Target {
  readonly device: "cpu" | "cuda";
  /** "x86-64-v3" or "x86-64-v4"; "sm_80,sm_90a", all that the image has code for; "emulator" or "emulator_sm_90a". */
  readonly arch: string;
  readonly ranks: readonly number[];
  readonly precision?: Precision; // absent: f32
  readonly shuffle?: Shuffle; // absent: load
  readonly bucketBytes?: number; // of gradients that ranks reduce at once; absent: as lower/collectives.ts has it
}

/** A pass maps a graph to an equivalent one and never changes its input; the same object back means nothing to do. */
export interface Pass {
  readonly name: string;
  run(g: Graph, target: Target): Graph;
}

export const elements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

const bytesOf: Readonly<Record<DType, number>> = { f32: 4, bf16: 2, f16: 2, f64: 8, i64: 8, i32: 4, u8: 1, bool: 1 };
/** Bytes of a dense tensor of this type. */
export const byteSize = (t: TensorType): number => bytesOf[t.dtype] * elements(t.shape);

/** f32[16,64,56,56] */
export const showType = (t: TensorType): string => `${t.dtype}[${t.shape.join(",")}]`;
export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i]);
export const sameType = (a: TensorType, b: TensorType): boolean => a.dtype === b.dtype && sameShape(a.shape, b.shape);
