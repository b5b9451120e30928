// Reductions over axes, softmax and its logarithm in any floating point type. f32 goes through the fast ops; f16 and
// bf16 are computed as f32 and rounded once; other element types go through the general ones.

import type { Builder } from "../../ir/builder.js";
import type { Value } from "../../ir/types.js";
import * as op from "../index.js";
import { compute, converted } from "./compute.js";
import { around, reshaped, transposed } from "./layout.js";

export type Over = { readonly axes: readonly number[]; readonly keepdims: true };
export type Fold = (b: Builder, x: Value, over: Over) => Value;

/** f on x; on x as f32, rounded afterwards, if x is f16 or bf16. */
export function wider(b: Builder, x: Value, f: (x: Value) => Value): Value {
  const { dtype } = x.type;
  return dtype === "f16" || dtype === "bf16" ? converted(b, f(converted(b, x, "f32")), dtype) : f(x);
}

/** The sum, the largest, ... over axes, by the fast op if there is one. */
export const fold =
  (of: "sum" | "prod" | "max" | "min"): Fold =>
  (b, x, over) => {
    const fast = x.type.dtype === "f32" && over.axes.length > 0 && x.type.shape.every((d) => d > 0);
    if (fast && of === "sum") return op.sum(b, x, over);
    if (fast && of === "max") return op.max(b, x, over);
    return op.fold(b, x, { of, ...over });
  };
export const sum = fold("sum");
export const max = fold("max");

/** The mean over axes, which stay with extent 1. */
export const mean: Fold = (b, x, over) => {
  if (x.type.dtype === "f32" && over.axes.length > 0) return op.mean(b, x, over);
  const n = over.axes.reduce((m, a) => m * (x.type.shape[a] as number), 1);
  return compute(b, `div(x0,${n})`, sum(b, x, over));
};
/** Each element stays finite, because the largest of its row is subtracted first, if that is finite. */
export const logSumExp: Fold = (b, x, over) => {
  const top = stopped(b, max(b, x, over));
  const shift = x.type.dtype === "f32" ? top : compute(b, "where(less(abs(x0),Infinity),x0,0)", top);
  return compute(b, "add(log(x0),x1)", sum(b, compute(b, "exp(sub(x0,x1))", x, shift), over), shift);
};

/** x without a gradient. */
const stopped = (b: Builder, x: Value): Value => op.stop_gradient(b, x);

export const softmax: Fold = (b, x, over) => {
  if (x.type.dtype === "f32" && x.type.shape.length === 2 && over.axes[0] === 1) return op.softmax(b, x);
  const e = compute(b, "exp(sub(x0,x1))", x, stopped(b, max(b, x, over)));
  return compute(b, "div(x0,x1)", e, sum(b, e, over));
};
export const logSoftmax: Fold = (b, x, over) => {
  const centred = compute(b, "sub(x0,x1)", x, stopped(b, max(b, x, over)));
  return compute(b, "sub(x0,log(x1))", centred, sum(b, compute(b, "exp(x0)", centred), over));
};
const rows: Over = { axes: [1], keepdims: true };

/** f, which is softmax or the like, along one axis of x. */
export function alongAxis(b: Builder, x: Value, axis: number, f: Fold): Value {
  const { shape } = x.type;
  if (x.type.dtype === "f64") return f(b, x, { axes: [axis], keepdims: true });
  const [outer, extent, inner] = around(shape, axis);
  const matrix = (v: Value): Value => wider(b, v, (w) => f(b, w, rows));
  if (inner === 1) return reshaped(b, matrix(reshaped(b, x, [outer, extent])), shape);
  const last = transposed(b, reshaped(b, x, [outer, extent, inner]), [0, 2, 1]);
  const y = reshaped(b, matrix(reshaped(b, last, [outer * inner, extent])), [outer, inner, extent]);
  return reshaped(b, transposed(b, y, [0, 2, 1]), shape);
}

/** Softmax along an axis, in any floating point type. */
export const softmaxAlong = (b: Builder, x: Value, axis: number): Value => alongAxis(b, x, axis, softmax);
export const logSoftmaxAlong = (b: Builder, x: Value, axis: number): Value => alongAxis(b, x, axis, logSoftmax);
