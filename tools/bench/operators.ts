// Operators on tensors of a million elements: one model with one node each, at opset 20.

import { elements } from "../../compiler/ir/types.js";
import { type Attribute, type ElementType, type Model, type Tensor, tensorOf } from "../../compiler/onnx/model.js";
import type { Subject } from "./both.js";
import { noise, noiseTensor } from "./subjects.js";

type Attrs = Readonly<Record<string, number | string | readonly number[]>>;
type Operand = { readonly tensor: Tensor; readonly constant: boolean };

const MATRIX = [1000, 1000];
const IMAGES = [16, 64, 32, 32]; // 1,048,576 elements

/** Inputs: f32 noise, positive f32, whole numbers below `below`, truth values, and constants. */
const data = (shape: readonly number[]): Operand => ({ tensor: noiseTensor("", shape, shape.length), constant: false });
const positive = (shape: readonly number[]): Operand => ({
  tensor: tensorOf(
    "",
    "f32",
    shape,
    noise(elements(shape), 5).map((v) => 0.6 + 0.5 * v),
  ),
  constant: false,
});
const whole = (shape: readonly number[], below: number): Operand => ({
  tensor: tensorOf(
    "",
    "i64",
    shape,
    BigInt64Array.from(noise(elements(shape), 9), (v) => BigInt(Math.floor(((v + 1) / 2) * below))),
  ),
  constant: false,
});
const truth = (shape: readonly number[]): Operand => ({
  tensor: tensorOf(
    "",
    "bool",
    shape,
    Uint8Array.from(noise(elements(shape), 3), (v) => Number(v > 0)),
  ),
  constant: false,
});
const fixed = (o: Operand): Operand => ({ ...o, constant: true });
const list = (...xs: readonly number[]): Operand =>
  fixed({ tensor: tensorOf("", "i64", [xs.length], BigInt64Array.from(xs, BigInt)), constant: true });
const numbers = (type: "f32" | "u8" | "i8", ...xs: readonly number[]): Operand => {
  const values = type === "f32" ? Float32Array.from(xs) : type === "u8" ? Uint8Array.from(xs) : Int8Array.from(xs);
  return { tensor: tensorOf("", type, xs.length === 1 ? [] : [xs.length], values), constant: true };
};

/** An integer attribute is a number, a float one the text of it with a point. */
function attribute(v: Attrs[string]): Attribute {
  if (typeof v === "number") return { kind: "int", value: v };
  if (typeof v !== "string") return { kind: "ints", value: v };
  return /^-?\d+\.\d+$/.test(v) ? { kind: "float", value: Number(v) } : { kind: "string", value: v };
}

interface Case {
  readonly op: string;
  readonly operands: readonly (Operand | undefined)[];
  readonly attrs?: Attrs;
  readonly label?: string; // what distinguishes it from another case of the operator
  readonly out?: ElementType; // f32
  readonly outputs?: number; // 1
}

const unary = (names: string, o: Operand): Case[] => names.split(" ").map((op) => ({ op, operands: [o] }));
const binary = (names: string, a: Operand, b: Operand, out?: ElementType): Case[] =>
  names.split(" ").map((op) => ({ op, operands: [a, b], ...(out && { out }) }));

const weights = (...shape: readonly number[]): Operand => fixed(data(shape));
const perChannel = (n: number): Operand => fixed(positive([n]));

const cases: readonly Case[] = [
  ...unary("Relu Exp Tanh Sigmoid Erf Abs Neg Floor Round Sin Softplus HardSwish LeakyRelu Elu Gelu", data(MATRIX)),
  ...unary("Log Sqrt Reciprocal", positive(MATRIX)),
  { op: "Clip", operands: [data(MATRIX), numbers("f32", -0.5), numbers("f32", 0.5)] },
  ...binary("Add Mul Div Max Min", data(MATRIX), positive(MATRIX)),
  { op: "Add", label: "channels", operands: [data(IMAGES), fixed(data([64, 1, 1]))] },
  { op: "Mul", label: "rows", operands: [data(MATRIX), data([1000, 1])] },
  { op: "Pow", operands: [positive(MATRIX), numbers("f32", 2)] },
  ...binary("Less Equal", data(MATRIX), positive(MATRIX), "bool"),
  ...binary("Add Mod", whole(MATRIX, 1000), fixed(whole([1], 100)), "i64").map((c) => ({ ...c, label: "i64" })),
  ...binary("And Xor", truth(MATRIX), truth(MATRIX), "bool"),
  { op: "Where", operands: [truth(MATRIX), data(MATRIX), positive(MATRIX)] },
  { op: "Cast", label: "to i64", operands: [data(MATRIX)], attrs: { to: 7 }, out: "i64" },
  { op: "Cast", label: "from u8", operands: [truth(MATRIX)], attrs: { to: 1 } },
  ...[[0], [1]].map(
    (axes): Case => ({ op: "ReduceSum", label: `axis ${axes}`, operands: [data(MATRIX), list(...axes)] }),
  ),
  { op: "ReduceMean", label: "images", operands: [data(IMAGES), list(2, 3)] },
  { op: "ReduceMax", operands: [data(MATRIX), list(1)] },
  { op: "ArgMax", operands: [data(MATRIX)], attrs: { axis: 1 }, out: "i64" },
  { op: "CumSum", operands: [data(MATRIX), fixed({ ...list(1), tensor: { ...list(1).tensor, dims: [] } })] },
  ...unary("Softmax LogSoftmax", data(MATRIX)),
  { op: "LayerNormalization", operands: [data(MATRIX), perChannel(1000), perChannel(1000)] },
  { op: "TopK", operands: [data(MATRIX), list(10)], outputs: 1 },
  { op: "Transpose", operands: [data(MATRIX)], attrs: { perm: [1, 0] } },
  { op: "Transpose", label: "heads", operands: [data([16, 64, 16, 64])], attrs: { perm: [0, 2, 1, 3] } },
  { op: "Concat", operands: [data([1000, 500]), positive([1000, 500])], attrs: { axis: 1 } },
  { op: "Slice", operands: [data([1000, 2000]), list(0), list(2000), list(1), list(2)] },
  { op: "Pad", operands: [data([990, 990]), list(5, 5, 5, 5)] },
  { op: "Tile", operands: [data([100, 1000]), list(10, 1)] },
  { op: "Expand", operands: [data([1000, 1]), list(1000, 1000)] },
  { op: "Gather", operands: [data(MATRIX), whole([1000], 1000)] },
  { op: "GatherElements", operands: [data(MATRIX), whole(MATRIX, 1000)], attrs: { axis: 1 } },
  {
    op: "ScatterElements",
    operands: [data(MATRIX), whole([1000, 100], 1000), data([1000, 100])],
    attrs: { axis: 1, reduction: "add" },
  },
  { op: "DepthToSpace", operands: [data(IMAGES)], attrs: { blocksize: 2 } },
  { op: "Resize", label: "nearest", operands: [data([16, 64, 16, 16]), undefined, numbers("f32", 1, 1, 2, 2)] },
  {
    op: "Resize",
    label: "linear",
    operands: [data([16, 64, 16, 16]), undefined, numbers("f32", 1, 1, 2, 2)],
    attrs: { mode: "linear" },
  },
  { op: "MaxPool", operands: [data(IMAGES)], attrs: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] } },
  { op: "AveragePool", operands: [data(IMAGES)], attrs: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] } },
  ...unary("GlobalAveragePool GlobalMaxPool", data(IMAGES)),
  { op: "BatchNormalization", operands: [data(IMAGES), ...[1, 2, 3, 4].map(() => perChannel(64))] },
  { op: "InstanceNormalization", operands: [data(IMAGES), perChannel(64), perChannel(64)] },
  { op: "Conv", operands: [data(IMAGES), weights(64, 64, 3, 3)], attrs: { pads: [1, 1, 1, 1] } },
  {
    op: "Conv",
    label: "depthwise",
    operands: [data(IMAGES), weights(64, 1, 3, 3)],
    attrs: { pads: [1, 1, 1, 1], group: 64 },
  },
  {
    op: "Conv",
    label: "dilated",
    operands: [data(IMAGES), weights(64, 64, 3, 3)],
    attrs: { pads: [2, 2, 2, 2], dilations: [2, 2] },
  },
  { op: "ConvTranspose", operands: [data([16, 64, 16, 16]), weights(64, 64, 2, 2)], attrs: { strides: [2, 2] } },
  { op: "Gemm", operands: [data(MATRIX), weights(1000, 1000), fixed(data([1000]))], attrs: { transB: 1 } },
  { op: "MatMul", label: "stack", operands: [data([16, 4, 128, 128]), data([16, 4, 128, 128])] },
  { op: "Einsum", operands: [data([16, 256, 256]), data([16, 256, 256])], attrs: { equation: "bij,bkj->bik" } },
  { op: "QuantizeLinear", operands: [data(MATRIX), numbers("f32", 0.01), numbers("u8", 128)], out: "u8" },
  {
    op: "OneHot",
    operands: [
      whole([1000], 1000),
      fixed({ ...list(1000), tensor: { ...list(1000).tensor, dims: [] } }),
      numbers("f32", 0, 1),
    ],
  },
];

function subject(c: Case): Subject {
  const named = c.operands.map((o, i) => (o ? { ...o, tensor: { ...o.tensor, name: `x${i}` } } : undefined));
  const tensors = (constant: boolean): Tensor[] =>
    named.flatMap((o) => (o && o.constant === constant ? [o.tensor] : []));
  const outputs = Array.from({ length: c.op === "TopK" ? 2 : 1 }, (_, i) => (i < (c.outputs ?? 1) ? `y${i}` : `u${i}`));
  const model: Model = {
    irVersion: 9,
    opsets: new Map([["", 20]]),
    producer: "moproc bench",
    producerVersion: "",
    doc: "",
    graph: {
      name: c.op,
      nodes: [
        {
          name: c.op,
          op: c.op,
          domain: "",
          inputs: named.map((o) => o?.tensor.name ?? ""),
          outputs,
          attributes: Object.fromEntries(Object.entries(c.attrs ?? {}).map(([k, v]) => [k, attribute(v)])),
        },
      ],
      inputs: tensors(false).map(({ name, type, dims }) => ({ name, type, shape: dims })),
      outputs: [{ name: "y0", type: c.out ?? "f32", shape: undefined }],
      values: [],
      initializers: tensors(true),
    },
    functions: [],
    training: [],
    metadata: new Map(),
  };
  return { name: c.label ? `${c.op}, ${c.label}` : c.op, model, inputs: tensors(false) };
}

export const operators = (): Subject[] => cases.map(subject);
