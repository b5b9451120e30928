// The standard operators that are equal to one op of the IR. The importer supports these and calls of the functions
// moproc::Name. A new rule here makes another operator importable. An attribute or input that a rule does not read is
// an error.

import { type Attrs, elements, type TensorType } from "../ir/types.js";
import * as op from "../ops/index.js";
import type { AnyOp } from "../ops/op.js";
import { standardOps } from "./functions/elementwise.js";
import { type Attribute, numbersOf, type OnnxNode, type Tensor } from "./model.js";

/** What is known of a node's inputs. */
export interface Surroundings {
  type(name: string): TensorType | undefined;
  /** The value of a constant of the model; undefined for all other names. */
  constant(name: string): Tensor | undefined;
}

/** An op of the IR on some of the node's inputs. */
export interface Meaning {
  readonly op: string;
  readonly attrs: Attrs;
  readonly inputs: readonly string[];
}

/** The reason why a node is not supported. */
class NotUnderstood extends Error {}

/** The attributes and inputs of a node. end() throws if an attribute was not read. */
class Reading {
  private readonly left: Map<string, Attribute>;

  constructor(
    readonly node: OnnxNode,
    private readonly at: Surroundings,
  ) {
    this.left = new Map(Object.entries(node.attributes));
  }

  private take(name: string, kind: Attribute["kind"]): unknown {
    const a = this.left.get(name);
    this.left.delete(name);
    if (a && a.kind !== kind) throw new NotUnderstood(`attribute ${name} is ${a.kind}, not ${kind}`);
    return a?.value;
  }
  int(name: string, otherwise: number): number {
    return (this.take(name, "int") as number | undefined) ?? otherwise;
  }
  float(name: string, otherwise: number): number {
    return (this.take(name, "float") as number | undefined) ?? otherwise;
  }
  ints(name: string): readonly number[] | undefined {
    return this.take(name, "ints") as readonly number[] | undefined;
  }
  tensor(name: string): Tensor | undefined {
    return this.take(name, "tensor") as Tensor | undefined;
  }
  /** Reads an attribute that must have this value if the node has it. */
  must(name: string, value: number | readonly number[]): void {
    const got = typeof value === "number" ? this.int(name, value) : (this.ints(name) ?? value);
    if (String(got) !== String(value))
      throw new NotUnderstood(`attribute ${name} is ${got}; only ${value} is understood`);
  }
  type(input: number): TensorType {
    const t = this.at.type(this.node.inputs[input] as string);
    if (!t) throw new NotUnderstood(`the type of input ${input} is not known`);
    return t;
  }
  /** The numbers of an input that must be a constant of type i64. */
  constants(input: number): number[] {
    const t = this.at.constant(this.node.inputs[input] as string);
    if (t?.type !== "i64") throw new NotUnderstood(`input ${input} is not a constant of integers`);
    return numbersOf(t);
  }
  /** The first `count` inputs of a node that must have `count` to `most`. */
  operands(count: number, most = count): readonly string[] {
    const { inputs } = this.node;
    if (inputs.length < count || inputs.length > most) throw new NotUnderstood(`it has ${inputs.length} inputs`);
    return inputs.slice(0, count);
  }
  end(): void {
    for (const name of this.left.keys()) throw new NotUnderstood(`attribute ${name} is not supported`);
  }
}

type Rule = (r: Reading) => Meaning;

const plain =
  (o: AnyOp): Rule =>
  (r) => ({ op: o.name, attrs: {}, inputs: r.operands(o.inputs.length) });

const same = (xs: readonly number[], what: string): number => {
  if (xs.some((x) => x !== xs[0])) throw new NotUnderstood(`${what} [${xs}] differ`);
  return xs[0] as number;
};

/** The stride and padding of a window, which must be the same on all sides. */
function window(r: Reading): { stride: number; pad: number } {
  r.must("dilations", [1, 1]);
  return {
    stride: same(r.ints("strides") ?? [1, 1], "strides"),
    pad: same(r.ints("pads") ?? [0, 0, 0, 0], "pads"),
  };
}

const reduction =
  (o: AnyOp): Rule =>
  (r) => {
    const listed = r.ints("axes");
    const axes = listed ?? (r.node.inputs.length > 1 ? r.constants(1) : undefined);
    if (!axes || axes.length === 0) throw new NotUnderstood("it does not name its axes");
    return {
      op: o.name,
      attrs: { axes, ...(r.int("keepdims", 1) === 1 && { keepdims: true }) },
      inputs: r.operands(1, listed ? 1 : 2),
    };
  };

const rules: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(standardOps.map((o) => [o.onnx, plain(o)])),
  ReduceSum: reduction(op.sum),
  ReduceMean: reduction(op.mean),
  ReduceMax: reduction(op.max),
  Constant: (r) => constant(r, r.tensor("value"), undefined),
  ConstantOfShape: (r) => constant(r, r.tensor("value"), r.constants(0)),
  Transpose: (r) => {
    const perm =
      r.ints("perm") ??
      r
        .type(0)
        .shape.map((_, i) => i)
        .toReversed();
    return { op: op.transpose.name, attrs: { perm }, inputs: r.operands(1) };
  },
  Concat: (r) => ({ op: op.concat.name, attrs: { axis: r.int("axis", 0) }, inputs: r.node.inputs }),
  Reshape: (r) => {
    const shape = r.constants(1);
    if (shape.includes(0)) throw new NotUnderstood("an extent of 0 is not supported");
    r.must("allowzero", 0);
    return { op: op.reshape.name, attrs: { shape }, inputs: r.operands(1, 2) };
  },
  Slice: (r) => {
    const [start, end, axis, step] = [1, 2, 3, 4].map((i) =>
      i === 4 && r.node.inputs.length === 4 ? 1 : same(r.constants(i), "several axes"),
    );
    if (step !== 1) throw new NotUnderstood(`a step of ${step} is not supported`);
    return { op: op.slice.name, attrs: { axis, start, end } as Attrs, inputs: r.operands(1, 5) };
  },
  Expand: (r) => {
    const shape = r.constants(1);
    const from = r.type(0).shape;
    if (from.length > shape.length || from.some((d, i) => d !== 1 && d !== shape[i + shape.length - from.length])) {
      throw new NotUnderstood(`both [${from}] and [${shape}] would be broadcast`);
    }
    return { op: op.broadcast_to.name, attrs: { shape }, inputs: r.operands(1, 2) };
  },
  Gemm: (r) => {
    const attrs = {
      ...(r.int("transA", 0) === 1 && { ta: true }),
      ...(r.int("transB", 0) === 1 && { tb: true }),
    };
    if (r.float("alpha", 1) !== 1 || r.float("beta", 1) !== 1)
      throw new NotUnderstood("a factor (alpha or beta) is not supported");
    return { op: op.matmul.name, attrs, inputs: r.operands(2) };
  },
  Conv: (r) => {
    r.must("group", 1);
    r.must("kernel_shape", r.type(1).shape.slice(2));
    return { op: op.conv.name, attrs: window(r), inputs: r.operands(2) };
  },
  MaxPool: (r) => {
    r.must("ceil_mode", 0);
    r.must("storage_order", 0);
    if (r.node.outputs.length !== 1) throw new NotUnderstood("its output of indices is not supported");
    return {
      op: op.max_pool.name,
      attrs: { kernel: same(r.ints("kernel_shape") ?? [], "kernel_shape"), ...window(r) },
      inputs: r.operands(1),
    };
  },
  Softmax: (r) => {
    const axis = r.int("axis", -1);
    if (r.type(0).shape.length !== 2 || (axis !== 1 && axis !== -1))
      throw new NotUnderstood("only a softmax over the rows of a matrix is supported");
    return { op: op.softmax.name, attrs: {}, inputs: r.operands(1) };
  },
  BatchNormalization: (r) => {
    r.must("training_mode", 0);
    r.float("momentum", 0); // used only in training
    return { op: op.batch_norm_inference.name, attrs: { eps: r.float("epsilon", 1e-5) }, inputs: r.operands(5) };
  },
};

function constant(r: Reading, value: Tensor | undefined, shape: readonly number[] | undefined): Meaning {
  if (!value || (value.type !== "f32" && value.type !== "i64"))
    throw new NotUnderstood("its value is not a tensor of f32 or i64");
  if (shape && elements(value.dims) !== 1) throw new NotUnderstood("its value has several elements");
  const dtype = value.type === "i64" ? { dtype: "i64" } : {};
  return {
    op: op.constant.name,
    attrs: { values: numbersOf(value), shape: shape ?? value.dims, ...dtype },
    inputs: r.operands(0, shape ? 1 : 0),
  };
}

/** The message for an operator without a rule. */
export const UNKNOWN = "this operator is not supported";

/** The op that a standard node is equal to, or a message that says why there is none. */
export function readStandard(node: OnnxNode, at: Surroundings): Meaning | string {
  const rule = node.domain === "" && Object.hasOwn(rules, node.op) ? rules[node.op] : undefined;
  if (!rule) return UNKNOWN;
  const r = new Reading(node, at);
  try {
    const meaning = rule(r);
    r.end();
    return meaning;
  } catch (e) {
    if (e instanceof NotUnderstood) return e.message;
    throw e;
  }
}

/** Whether the node is exactly this op, with the same attributes in the same order. */
export function isExactly(node: OnnxNode, at: Surroundings, want: Meaning): boolean {
  const got = readStandard(node, at);
  return (
    typeof got !== "string" &&
    got.op === want.op &&
    JSON.stringify(got.attrs) === JSON.stringify(want.attrs) &&
    got.inputs.length === want.inputs.length &&
    got.inputs.every((v, i) => v === want.inputs[i])
  );
}
