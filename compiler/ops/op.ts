// One record says everything there is to know about an op; the same object is the function that adds it to a graph.
// An input named "...xs" stands for any number of values and comes last.

import type { Builder } from "../ir/builder.js";
import type { NdArray } from "../ir/nd.js";
import { allRecords, named, type OpRecord, recordOf, register } from "../ir/registry.js";
import type { Attrs, TensorType, Value } from "../ir/types.js";

type Base<S extends string> = S extends `...${infer B}` ? B : S;
/** { a: T, b: T, xs: readonly T[] } for the names ["a", "b", "...xs"]. */
export type Named<K extends readonly string[], T> = {
  readonly [P in K[number] as Base<P>]: P extends `...${string}` ? readonly T[] : T;
};

/**
 * elementwise: one scalar expression an output, fused freely; view: the same bytes under another shape; batch_norm-like
 * composites are rewritten by `expand` before lowering; kernel: has a template of its own; collective: done by all
 * ranks together.
 */
export type Kind = "elementwise" | "view" | "composite" | "kernel" | "collective";

/** How an elementwise op reaches an operand from a position (row, pixel, channel) of its result. */
export type Access = "full" | "channel" | "group_channel" | "row_channel" | "row" | "scalar";

/**
 * How an op meets the rows of the batch: the inputs whose first axis is the rows, and the outputs that are summed over
 * them (the first axis of the other outputs is the rows, too). An attribute `groups` counts groups of those rows, and
 * the first extent of an attribute `shape` counts rows.
 */
export interface Batch {
  readonly rows: readonly string[];
  readonly sums?: readonly string[];
}

export interface OpSpec<I extends readonly string[], O extends readonly string[], A extends Attrs> {
  readonly name: string;
  readonly inputs: I;
  readonly outputs: O;
  readonly kind: Kind;
  /** Types of the outputs; throws on anything the op does not accept. */
  infer(inputs: Named<I, TensorType>, attrs: A): Named<O, TensorType>;
  /** The meaning of the op in f64, obvious loops over row-major logical order: tests and gradient checks use it. */
  reference(inputs: Named<I, NdArray>, attrs: A): Named<O, NdArray>;
  /** Gradients by input name; a missing name has none. Absent: the op stops gradients. */
  grad?(b: Builder, at: GradPoint<I, O>, attrs: A): Partial<Named<I, Value>>;
  /** ONNX op type of the standard, or "moproc::Name" for an op of ours. */
  readonly onnx: string;
  /**
   * Which operands a part of the batch's rows can be computed from; absent, or undefined for these attributes and the
   * rank of the first operand: the op needs all rows at once. Elementwise ops do not say it: `rowsOf` derives it from
   * the accesses of their operands.
   */
  readonly batch?: Batch | ((attrs: A, rank: number) => Batch | undefined);
  /** The input that is a permutation of all rows of the batch; every rank has it whole. */
  readonly permutation?: string;
  /** elementwise: C++ expressions over Vec, one an output; `outs` names the earlier results, for later ones to use. */
  code?(operands: readonly string[], attrs: A, outs: readonly string[]): readonly string[];
  /** elementwise: operands whose access does not follow from the shapes alone. */
  readonly access?: Readonly<Partial<Record<string, Access>>>;
  /** elementwise over states of many sizes (optimizers): all its nodes become one launch over a flat range. */
  readonly flat?: boolean;
  /** composite: the same in simpler ops. */
  expand?(b: Builder, inputs: Named<I, Value>, attrs: A): Named<O, Value>;
  /** Outputs that may overwrite an input in place: output name -> input name. */
  readonly inPlace?: Readonly<Record<string, string>>;
}

/** What a gradient rule may look at: the op's inputs, its outputs, and d<output> where the loss depends on it. */
export interface GradPoint<I extends readonly string[], O extends readonly string[]> {
  readonly in: Named<I, Value>;
  readonly out: Named<O, Value>;
  readonly d: Partial<Named<O, Value>>;
}

type Operands<I extends readonly string[]> = { [P in keyof I]: I[P] extends `...${string}` ? readonly Value[] : Value };
// biome-ignore lint/complexity/noBannedTypes: {} is the type that accepts "no required attribute"
type Rest<A> = {} extends A ? [attrs?: A] : [attrs: A];
type Result<O extends readonly string[]> = O extends readonly [string] ? Value : Named<O, Value>;

export type Op<I extends readonly string[], O extends readonly string[], A extends Attrs> = OpSpec<I, O, A> &
  ((b: Builder, ...args: [...Operands<I>, ...Rest<A>]) => Result<O>);
// biome-ignore lint/suspicious/noExplicitAny: the table holds records of every signature
export type AnyOp = OpSpec<any, any, any>;

/** Registers `spec` and makes it callable: `relu(b, x)` appends the node to the builder's graph. */
export function defineOp<const I extends readonly string[], const O extends readonly string[], A extends Attrs>(
  spec: OpSpec<I, O, A>,
): Op<I, O, A> {
  register(spec as unknown as OpRecord);
  const call = (b: Builder, ...args: unknown[]): unknown => {
    const operands = args.slice(0, spec.inputs.length).flat() as Value[];
    const outs = b.emit(spec.name, operands, (args[spec.inputs.length] ?? {}) as Attrs);
    return spec.outputs.length === 1 ? outs[0] : named(spec.outputs, outs);
  };
  const { name, ...rest } = spec;
  Object.defineProperty(call, "name", { value: name });
  return Object.assign(call, rest) as unknown as Op<I, O, A>;
}

/** The record of an op by name; throws for a name that no module has defined. */
export const opOf = (name: string): AnyOp => recordOf(name) as unknown as AnyOp;

/** Every op that a module has defined so far; compiler/ops/index.ts defines all. */
export const allOps = (): readonly AnyOp[] => allRecords() as unknown as readonly AnyOp[];

export { named };
