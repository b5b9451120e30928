// Arithmetic. If ONNX has the same operator as the IR, the body is that one operator.

import { type DType, elements } from "../../ir/types.js";
import * as op from "../../ops/index.js";
import type { AnyOp, Op } from "../../ops/op.js";
import { numbersTensor } from "../model.js";
import type { Operand, Ref, Writer } from "../writer.js";
import { type Body, bodyOf } from "./body.js";

// biome-ignore lint/complexity/noBannedTypes: {} is the type of no attributes
type Unary = Op<readonly ["x"], readonly ["y"], {}>;
// biome-ignore lint/complexity/noBannedTypes: {} is the type of no attributes
type Binary = Op<readonly ["a", "b"], readonly ["y"], {}>;

const unaries = [op.neg, op.relu, op.exp, op.log, op.sqrt, op.tanh, op.sigmoid, op.abs];
const binaries = [op.add, op.sub, op.mul, op.div];
/** The ops that are exactly one standard operator: the same operands in the same order, and no attributes. */
export const standardOps: readonly AnyOp[] = [...unaries, ...binaries];

const unary = (o: Unary): Body => bodyOf(o, (w, { x }) => w.op(o.onnx, [x]));
const binary = (o: Binary): Body => bodyOf(o, (w, { a, b }) => w.op(o.onnx, [a, b]));

/** TensorProto.DataType of the dtypes that a cast can have as its result. */
export const dataType: Readonly<Record<DType, number>> = {
  ...{ f32: 1, f16: 10, f64: 11, bf16: 16 },
  ...{ u8: 2, i8: 3, u16: 4, i16: 5, i32: 6, i64: 7, u32: 12, u64: 13 },
  ...{ bool: 9 },
};

const expand = (w: Writer, x: Operand, shape: readonly number[]): Ref => w.op("Expand", [x, w.i64(shape)]);

export const elementwise: readonly Body[] = [
  ...unaries.map(unary),
  ...binaries.map(binary),
  bodyOf(op.stop_gradient, (w, { x }) => w.op("Identity", [x])),
  bodyOf(op.square, (w, { x }) => w.mul(x, x)),
  bodyOf(op.relu_grad, (w, { dy, y }) => w.where(w.greater(y, 0), dy, 0)),
  bodyOf(op.scale, (w, { x }, { attrs }) => w.mul(x, attrs.factor)),
  bodyOf(op.constant, (w, _, { attrs: { values, shape, dtype = "f32" } }) => {
    if (values.length === 1 && elements(shape) !== 1) {
      return w.op("ConstantOfShape", [w.i64(shape)], {
        value: { kind: "tensor", value: numbersTensor("", dtype, [1], values) },
      });
    }
    return w.op("Constant", [], {
      value: { kind: "tensor", value: numbersTensor("", dtype, shape, values) },
    });
  }),
  bodyOf(op.cast, (w, { x }, { attrs }) => w.op("Cast", [x], { to: dataType[attrs.to] })),
  bodyOf(op.broadcast_to, (w, { x }, { attrs: { shape } }) => {
    const same = w.dynamicBatch && shape.length === x.type.shape.length && shape[0] === x.type.shape[0];
    return expand(w, x, same ? shape.with(0, 1) : shape); // 1 keeps the extent of that axis
  }),
  bodyOf(op.broadcast_copy, (w, { x }, { attrs }) => expand(w, x, attrs.shape)),
  bodyOf(op.where_finite, (w, { next, previous, finite }) => w.where(w.isSet(finite), next, previous)),
];
