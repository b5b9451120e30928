// One record says everything that the compiler knows about an op; the same object is the function that adds the op to a
// graph. An input named "...xs" stands for any number of values and comes last.

import type { Builder } from "../ir/builder.js";
import type { NdArray } from "../ir/nd.js";
import { allRecords, named, type OpRecord, recordOf, register } from "../ir/registry.js";
import type { Attrs, DType, Node, TensorType, Value } from "../ir/types.js";
import type { Nest } from "./general/nest.js";

type Base<S extends string> = S extends `...${infer B}` ? B : S;
/** { a: T, b: T, xs: readonly T[] } for the names ["a", "b", "...xs"]. */
export type Named<K extends readonly string[], T> = {
  readonly [P in K[number] as Base<P>]: P extends `...${string}` ? readonly T[] : T;
};

/** The names of the attributes whose values are element types, such as cast's `to`. */
type TypeAttrs<A> = { [P in keyof A & string]: NonNullable<A[P]> extends DType ? P : never }[keyof A & string];

/**
 * elementwise: one scalar expression per output, fused freely; view: the same bytes with another shape; composite: the
 * pass `expand` replaces it by simpler ops before lowering (batch_norm); kernel: has its own template, or is a channel
 * sum, which other kernels compute; collective: executed by all ranks together.
 */
export type Kind = "elementwise" | "view" | "composite" | "kernel" | "collective";

/** How an elementwise op indexes an operand at a position (row, pixel, channel) of its result. */
export type Access = "full" | "channel" | "group_channel" | "row_channel" | "row" | "scalar";

/**
 * How an op depends on the rows of the batch: `rows` has the names of the inputs whose first axis is the rows, or the
 * positions of such operands in a list, `sums` the outputs that are summed over the rows. The first axis of all other
 * outputs is the rows. An attribute `groups` is a number of groups of those rows, and the first extent of an attribute
 * `shape` is a number of rows.
 */
export interface Batch {
  readonly rows: readonly (string | number)[];
  /** An operand with the extent 1 there is repeated for all rows. */
  readonly broadcasts?: true;
  readonly sums?: readonly string[];
}

export interface OpSpec<I extends readonly string[], O extends readonly string[], A extends Attrs> {
  readonly name: string;
  readonly inputs: I;
  readonly outputs: O;
  readonly kind: Kind;
  /** The attributes' names; "name?" may be left out. Absent: the op has none. */
  readonly attrs?: readonly NoInfer<`${keyof A & string}${"" | "?"}`>[];
  /**
   * The element types that each operand may have, and those that an attribute may name. An operand whose buffer a
   * template reads as floats must be f32; one that an emitted body loads may have any of `floats`.
   */
  readonly types: Readonly<Record<NoInfer<Base<I[number]> | TypeAttrs<A>>, readonly DType[]>>;
  /** All operands, or those with these names, must have the same element type. */
  readonly oneType?: true | readonly NoInfer<I[number]>[];
  /**
   * The types of the outputs, for operands whose element types are as `types` and `oneType` say. Throws if the op does
   * not accept the shapes or attributes.
   */
  infer(inputs: Named<I, TensorType>, attrs: A): Named<O, TensorType>;
  /**
   * The op computed in f64 by simple loops over the row-major logical order, for tests and gradient checks. `types` are
   * those of the operands; whole numbers wrap around in them.
   */
  reference(inputs: Named<I, NdArray>, attrs: A, types: Named<I, TensorType>): Named<O, NdArray>;
  /** Appends the gradients and returns them by input name; a missing name has none. Absent: none has (see `stops`). */
  grad?(b: Builder, at: GradPoint<I, O>, attrs: A): Partial<Named<I, Value>>;
  /** Gradients end here on purpose. An op without this and without `grad` between loss and parameter is an error. */
  readonly stops?: true;
  /** The op type of the ONNX standard, or "moproc::Name" if the standard has no such op. */
  readonly onnx: string;
  /**
   * The operands and results that are divided by rows if a rank computes only its own rows. Absent, or undefined for
   * these attributes, rank (number of axes) of the first operand and shapes: the op needs all rows at once. Elementwise
   * ops do not state it, because `rowsOf` derives it from the accesses of their operands.
   */
  readonly batch?: Batch | ((attrs: A, rank: number, shapes: readonly (readonly number[])[]) => Batch | undefined);
  /** The input that is a permutation of all rows of the batch; every rank has the whole of it. */
  readonly permutation?: string;
  /** elementwise: one C++ expression over Vec per output; later expressions may use the earlier results, `outs`. */
  code?(operands: readonly string[], attrs: A, outs: readonly string[]): readonly string[];
  /** elementwise: the same as an expression of `map`, for element types that a fused kernel does not compute in. */
  expression?(attrs: A): string;
  /** elementwise: the accesses of operands for which the shapes alone do not determine it. */
  readonly access?: Readonly<Partial<Record<string, Access>>>;
  /**
   * elementwise over states of many sizes (optimizers): nodes over adjacent states become one launch over a flat range.
   */
  readonly flat?: boolean;
  /** composite: appends the same computation in simpler ops and returns its results. */
  expand?(b: Builder, inputs: Named<I, Value>, attrs: A): Named<O, Value>;
  /** kernel: whether this node fuses as if it were elementwise; then `code` is its expression, too. */
  fuses?(n: Node): boolean;
  /** kernel: how the general template `loops` computes the op; then it needs no template of its own. */
  nest?(inputs: Named<I, TensorType>, attrs: A, outputs: Named<O, TensorType>): Nest;
  /** Outputs that may overwrite an input in place: output name -> input name. */
  readonly inPlace?: Readonly<Record<string, string>>;
}

/** What a gradient rule may use: the op's inputs and outputs, and the gradients of the outputs the loss depends on. */
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

/**
 * Registers `spec` and returns it as a function: `relu(b, x)` appends a node to the builder's graph and returns its
 * result, or its results by name if there are several. Throws if the name is taken.
 */
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

/** Whether a kernel computes this node where it loads or stores the elements, instead of in a kernel of its own. */
export function isElementwise(n: Node): boolean {
  const op = opOf(n.op);
  return op.kind === "elementwise" || op.fuses?.(n) === true;
}

/** The record of an op by name. Throws if no imported module has defined the op. */
export const opOf = (name: string): AnyOp => recordOf(name) as unknown as AnyOp;

/** All ops that the modules imported so far define; compiler/ops/index.ts imports every module. */
export const allOps = (): readonly AnyOp[] => allRecords() as unknown as readonly AnyOp[];

export { named };
