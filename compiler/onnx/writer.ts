// Writes ONNX nodes one after the other. The bodies of ops use it. A plain number as an operand is an f32 constant. If
// operator sets differ (axes as attribute or input), this file takes care of the difference.

import type { TensorType } from "../ir/types.js";
import { type Attribute, type Attributes, numbersTensor, type OnnxNode, type Tensor } from "./model.js";

/** The name of a value. */
export type Ref = string;

/** A value whose type is known. */
export interface Operand {
  readonly ref: Ref;
  readonly type: TensorType;
}
export type In = Ref | Operand | number;

/** A number stands for an int, a list of numbers for ints, and a string for a string. */
type ShortAttribute = number | readonly number[] | string | Attribute;

/** Takes the nodes and constants that a Writer writes, and chooses names. */
export interface Sink {
  /** An unused name that begins like `base`. */
  fresh(base: string): Ref;
  node(n: Omit<OnnxNode, "name">): void;
  /** The name of a constant with this content. */
  constant(t: Omit<Tensor, "name">): Ref;
}

export const float = (value: number): Attribute => ({ kind: "float", value: Math.fround(value) });

/**
 * From this operator set on, the axes of ReduceMean, ReduceMax and ReduceMin are an input; ReduceSum's are from 13 on.
 */
const AXES_AS_INPUT = 18;

/**
 * The most numbers in a counting table, so that a model with a wrong shape cannot make the importer allocate memory.
 */
const MAX_TABLE = 2 ** 22;

export class Writer {
  constructor(
    readonly opset: number,
    readonly dynamicBatch: boolean, // whether the extents of axis 0 are unknown
    private readonly sink: Sink,
  ) {}

  /** Writes a node and returns the names of its results, which begin with the name of the operator. */
  node(op: string, inputs: readonly In[], attrs: Readonly<Record<string, ShortAttribute>> = {}, outputs = 1): Ref[] {
    const names = Array.from({ length: outputs }, () => this.sink.fresh(op));
    const attributes: Attributes = Object.fromEntries(Object.entries(attrs).map(([k, a]) => [k, attribute(a)]));
    this.sink.node({ op, domain: "", inputs: inputs.map((i) => this.ref(i)), outputs: names, attributes });
    return names;
  }

  /** Writes a node with one result and returns its name. */
  op(op: string, inputs: readonly In[], attrs: Readonly<Record<string, ShortAttribute>> = {}): Ref {
    return this.node(op, inputs, attrs)[0] as Ref;
  }

  /** A constant of i64 numbers, row-major, [n] or of these dims. */
  i64(values: readonly number[], dims: readonly number[] = [values.length]): Ref {
    return this.sink.constant(numbersTensor("", "i64", dims, values));
  }

  /** A constant of f32 numbers, row-major, [n] or of these dims. */
  f32(values: readonly number[], dims: readonly number[] = [values.length]): Ref {
    return this.sink.constant(numbersTensor("", "f32", dims, values));
  }

  /** The i64 constant begin, begin + 1, ... begin + n - 1 of these dims. Throws if n > 2^22. */
  count(n: number, dims: readonly number[] = [n], begin = 0): Ref {
    if (n > MAX_TABLE) throw new Error(`a table of ${n} numbers is too large`);
    return this.i64(
      Array.from({ length: n }, (_, i) => begin + i),
      dims,
    );
  }

  readonly add = this.binary("Add");
  readonly sub = this.binary("Sub");
  readonly mul = this.binary("Mul");
  readonly div = this.binary("Div");
  readonly pow = this.binary("Pow");
  readonly max = this.binary("Max");
  readonly equal = this.binary("Equal");
  readonly greater = this.binary("Greater");
  readonly less = this.binary("Less");
  readonly and = this.binary("And");
  readonly or = this.binary("Or");
  readonly not = this.unary("Not");
  readonly neg = this.unary("Neg");
  readonly sqrt = this.unary("Sqrt");

  where(condition: In, yes: In, no: In): Ref {
    return this.op("Where", [condition, yes, no]);
  }

  toFloat(x: In): Ref {
    return this.op("Cast", [x], { to: 1 });
  }

  /** Whether a scalar flag is not 0, as bool. */
  isSet(flag: In): Ref {
    return this.not(this.equal(flag, 0));
  }

  reshape(x: In, shape: readonly number[]): Ref {
    return this.op("Reshape", [x, this.i64(shape)]);
  }

  /** The positions begin <= i < end of one axis. */
  slice(x: In, axis: number, begin: number, end: number): Ref {
    return this.op("Slice", [x, this.i64([begin]), this.i64([end]), this.i64([axis])]);
  }

  transpose(x: In, perm: readonly number[]): Ref {
    return this.op("Transpose", [x], { perm });
  }

  unsqueeze(x: In, axes: readonly number[]): Ref {
    return this.op("Unsqueeze", [x, this.i64(axes)]);
  }

  /** Reduces x over `axes`; without axes returns x unchanged. */
  reduce(kind: "Sum" | "Mean" | "Max" | "Min" | "Prod", x: In, axes: readonly number[], keepdims = false): Ref {
    if (axes.length === 0) return this.op("Identity", [x]);
    const keep = { keepdims: keepdims ? 1 : 0 };
    const asInput = kind === "Sum" || this.opset >= AXES_AS_INPUT;
    return asInput
      ? this.op(`Reduce${kind}`, [x, this.i64(axes)], keep)
      : this.op(`Reduce${kind}`, [x], { axes, ...keep });
  }

  /** Throws, naming `what`, if the operator set is older than `opset`. */
  need(opset: number, what: string): void {
    if (this.opset < opset) throw new Error(`${what} needs operator set ${opset}, not ${this.opset}`);
  }

  private ref(i: In): Ref {
    return typeof i === "number" ? this.f32([i], []) : typeof i === "string" ? i : i.ref;
  }

  private unary(op: string) {
    return (x: In): Ref => this.op(op, [x]);
  }
  private binary(op: string) {
    return (a: In, b: In): Ref => this.op(op, [a, b]);
  }
}

function attribute(a: ShortAttribute): Attribute {
  if (typeof a === "number") return { kind: "int", value: a };
  if (typeof a === "string") return { kind: "string", value: a };
  return "kind" in a ? a : { kind: "ints", value: a };
}
