// Operators that ONNX Runtime computes too, with the element types that both know: the same small models are compiled
// and given to ONNX Runtime (test/onnx/rules_ort.test.ts).

import type { DType } from "../../compiler/ir/types.js";
import type { Attrs } from "./foreign.js";

export interface OrtRule {
  readonly op: string;
  readonly opset: number;
  readonly inputs: readonly (OrtInput | undefined)[]; // undefined: an optional one that is not given
  readonly attrs?: Attrs;
  readonly outputs?: number; // absent: 1
}
export interface OrtInput {
  readonly type: DType;
  readonly shape: readonly number[];
  readonly low?: number; // absent: -3
  readonly high?: number; // absent: 3
  readonly values?: readonly number[];
  readonly constant?: true; // an initializer
}

const of = (type: DType, shape: readonly number[], low = -3, high = 3): OrtInput => ({ type, shape, low, high });
const constant = (type: DType, values: readonly number[], shape = [values.length]): OrtInput => ({
  type,
  shape,
  values,
  constant: true,
});
const images = [2, 3, 4, 5];

/** One operand of each of these types. */
const unary = (ops: string, types: string, opset: number, low = -3, high = 3, attrs: Attrs = {}): OrtRule[] =>
  ops
    .split(" ")
    .flatMap((op) =>
      types.split(" ").map((t): OrtRule => ({ op, opset, inputs: [of(t as DType, images, low, high)], attrs })),
    );

/** Two operands that broadcast, of each of these types. */
const binary = (ops: string, types: string, opset: number, low = -3, high = 3, attrs: Attrs = {}): OrtRule[] =>
  ops.split(" ").flatMap((op) =>
    types.split(" ").map((t): OrtRule => {
      const type = t as DType;
      return { op, opset, inputs: [of(type, images, low, high), of(type, [3, 1, 5], low, high)], attrs };
    }),
  );

const reduction = (ops: string, types: string, opset: number, low = 0.5, high = 3): OrtRule[] =>
  ops.split(" ").flatMap((op) =>
    types.split(" ").flatMap((t): OrtRule[] => {
      const x = of(t as DType, images, low, high);
      return [
        { op, opset, inputs: [x, constant("i64", [1, -1])], attrs: { keepdims: 0 } },
        { op, opset, inputs: [x, constant("i64", [0, 2])] },
        { op, opset, inputs: [x] },
      ];
    }),
  );

/** A recurrent layer with `gates` gates, of 5 steps, 3 rows, 2 inputs and 4 hidden units. */
const recurrent = (op: string, gates: number, attrs: Attrs, optional: string): OrtRule => {
  const d = attrs.direction === "bidirectional" ? 2 : 1;
  const list: (OrtInput | undefined)[] = [
    of("f32", [5, 3, 2], -1, 1),
    of("f32", [d, 4 * gates, 2], -1, 1),
    of("f32", [d, 4 * gates, 4], -1, 1),
    optional.includes("b") ? of("f32", [d, 8 * gates], -1, 1) : undefined,
    optional.includes("l") ? constant("i32", [5, 2, 4]) : undefined,
    optional.includes("h") ? of("f32", [d, 3, 4], -1, 1) : undefined,
    optional.includes("c") ? of("f32", [d, 3, 4], -1, 1) : undefined,
    optional.includes("p") ? of("f32", [d, 12], -1, 1) : undefined,
  ];
  const inputs = list.slice(0, list.findLastIndex((i) => i !== undefined) + 1);
  return { op, opset: 14, inputs, attrs: { hidden_size: 4, ...attrs }, outputs: op === "LSTM" ? 3 : 2 };
};
const recurrents: readonly OrtRule[] = ["forward", "reverse", "bidirectional"].flatMap((direction) => [
  recurrent("RNN", 1, { direction }, "b"),
  recurrent("RNN", 1, { direction }, "blh"),
  recurrent("GRU", 3, { direction }, ""),
  recurrent("GRU", 3, { direction, linear_before_reset: 1 }, "bh"),
  recurrent("GRU", 3, { direction, clip: "0.5" }, "bl"),
  recurrent("LSTM", 4, { direction }, "b"),
  recurrent("LSTM", 4, { direction, input_forget: 1 }, "bhc"),
  recurrent("LSTM", 4, { direction }, "blhcp"),
]);

export const ortRules: readonly OrtRule[] = [
  ...unary("Neg Abs", "f32 f64 i32 i64", 14),
  ...unary("Relu", "f32 f64 i32", 14),
  ...unary("Exp Tanh Sigmoid Ceil Floor Round Reciprocal Softplus Softsign", "f32 f64", 14).filter(
    ({ op, inputs: [x] }) => !/Softsign|Softplus/.test(op) || x?.type === "f32",
  ),
  ...unary("Sin Cos", "f32 f64", 14),
  ...unary("Tan Sinh Cosh Asinh Atan Erf HardSwish", "f32", 14),
  ...unary("Asin Acos Atanh", "f32", 14, -0.9, 0.9),
  ...unary("Log Sqrt", "f32 f64", 14, 0.1, 3),
  ...unary("Acosh", "f32", 14, 1.1, 3),
  ...unary("Sign", "f32 f64 i32 i64 u8", 14, 0, 3),
  ...unary("Elu", "f32", 14, -3, 3, { alpha: "0.5" }),
  ...unary("Selu HardSigmoid Gelu", "f32", 20),
  ...unary("Gelu", "f32", 20, -3, 3, { approximate: "tanh" }),
  ...unary("Celu ThresholdedRelu", "f32", 14, -3, 3, { alpha: "0.5" }),
  ...unary("LeakyRelu", "f32", 14, -3, 3, { alpha: "0.25" }),
  ...unary("Shrink", "f32 i32", 14, -3, 3, { bias: "1.0", lambd: "1.5" }),
  ...unary("Not", "bool", 14, 0, 2),
  ...unary("BitwiseNot", "i8 i16 i32 i64 u8 u16 u32 u64", 18, 0, 100),
  ...unary("IsNaN IsInf", "f32 f64", 14),
  ...binary("Add Sub Mul", "f32 f64 i32 i64", 14),
  ...binary("Div", "f32 f64", 14, 0.5, 3),
  ...binary("Div", "i32 i64", 14, 1, 30),
  ...binary("Mod", "i8 i16 i32 i64 u8 u16 u32 u64", 14, 1, 50),
  ...binary("Mod", "f32 f64 i32", 14, 1, 50, { fmod: 1 }),
  ...binary("Pow", "f32 f64 i32 i64", 15, 1, 4),
  ...binary("Max Min", "f32 f64 i32 i64 u32 u64", 13, 0, 9),
  ...binary("Sum Mean", "f32", 13),
  ...binary("Equal", "f32 f64 i32 i64", 14, 0, 3),
  ...binary("Equal", "bool", 14, 0, 2),
  ...binary("Less Greater LessOrEqual GreaterOrEqual", "f32 f64 i32 i64", 16),
  ...binary("And Or Xor", "bool", 14, 0, 2),
  ...binary("BitwiseAnd BitwiseOr BitwiseXor", "i8 i16 i32 i64 u8 u16 u32 u64", 18, 0, 100),
  ...binary("BitShift", "u8 u32 u64", 14, 0, 9, { direction: "LEFT" }),
  ...binary("BitShift", "u8 u32 u64", 14, 0, 9, { direction: "RIGHT" }),
  ...binary("PRelu", "f32 f64", 16),
  { op: "Pow", opset: 15, inputs: [of("i32", [3, 4], 0, 5), of("f32", [4], 0, 3)] },
  { op: "Pow", opset: 15, inputs: [of("f32", [3, 4], 0.5, 2), of("i64", [1], -3, 3)] },
  ...(["f32", "i64", "u8"] as const).map(
    (t): OrtRule => ({
      op: "Where",
      opset: 16,
      inputs: [of("bool", [3, 1], 0, 2), of(t, [2, 3, 4], 0, 9), of(t, [4], 0, 9)],
    }),
  ),
  ...(["f32", "f64", "i64", "i8", "u8", "u32"] as const).map(
    (t): OrtRule => ({ op: "Clip", opset: 13, inputs: [of(t, images, 0, 9), of(t, [], 2, 4), of(t, [], 5, 7)] }),
  ),
  { op: "Clip", opset: 13, inputs: [of("f32", images), constant("f32", [-1], []), constant("f32", [1.5], [])] },
  { op: "Clip", opset: 6, inputs: [of("f32", images)], attrs: { max: "0.5" } },
  ...["f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "bool"].flatMap((from) =>
    [1, 11, 2, 3, 4, 5, 6, 7, 12, 13, 9].map(
      (to): OrtRule => ({
        op: "Cast",
        opset: 19,
        inputs: [of(from as DType, [2, 9], 0, from === "bool" ? 2 : 100)],
        attrs: { to },
      }),
    ),
  ),
  { op: "CastLike", opset: 19, inputs: [of("f32", [2, 9], -50, 50), of("i32", [1])] },
  ...reduction("ReduceSum ReduceMax ReduceMin ReduceMean", "f32 f64 i32", 18, 1, 3),
  ...reduction("ReduceProd", "f32 f64", 18, 0.5, 1.5),
  ...reduction("ReduceProd", "i32", 18, 1, 2),
  ...reduction("ReduceMax ReduceMin", "i8 u8 i64", 18, 0, 90),
  ...reduction("ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp", "f32 f64", 18),
  ...["ArgMax", "ArgMin"].flatMap((op) =>
    (["f32", "f64", "i32", "u8"] as const).flatMap((t): OrtRule[] => [
      { op, opset: 13, inputs: [of(t, images, 0, 4)], attrs: { axis: 1, keepdims: 0 } },
      { op, opset: 13, inputs: [of(t, images, 0, 4)], attrs: { axis: -1, select_last_index: 1 } },
    ]),
  ),
  ...["Softmax", "LogSoftmax", "Hardmax"].flatMap((op) =>
    (op === "Hardmax" ? ["f32" as const] : ["f32" as const, "f64" as const]).flatMap((t): OrtRule[] => [
      { op, opset: 13, inputs: [of(t, images)], attrs: { axis: 1 } },
      { op, opset: 13, inputs: [of(t, images)] },
      { op, opset: 11, inputs: [of(t, images)], attrs: { axis: 2 } },
    ]),
  ),
  ...recurrents,
  {
    ...recurrent("RNN", 1, {}, "b"),
    attrs: { hidden_size: 4, activations: ["LeakyRelu"], activation_alpha: ["0.25"] },
  },
  {
    ...recurrent("GRU", 3, {}, "b"),
    attrs: {
      hidden_size: 4,
      activations: ["HardSigmoid", "ScaledTanh"],
      activation_alpha: ["0.3", "1.5"],
      activation_beta: ["0.4", "0.75"],
    },
  },
];
