// Reductions over axes, softmax and its logarithm. f32 goes through the fast ops; f16 and bf16 are computed as f32 and
// rounded once; other element types go through the general ones.

import type { Builder } from "../../ir/builder.js";
import type { DType, Value } from "../../ir/types.js";
import { isFloat } from "../../ops/general/expression.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { compute, converted } from "./compute.js";
import { around, reshaped, transposed } from "./layout.js";
import { type Rule, type Rules, since } from "./rule.js";

type Over = { readonly axes: readonly number[]; readonly keepdims: true };
type Fold = (b: Builder, x: Value, over: Over) => Value;

/** f on x; on x as f32, rounded afterwards, if x is f16 or bf16. */
export function wider(b: Builder, x: Value, f: (x: Value) => Value): Value {
  const { dtype } = x.type;
  return dtype === "f16" || dtype === "bf16" ? converted(b, f(converted(b, x, "f32")), dtype) : f(x);
}

/** The sum, the largest, ... over axes, by the fast op if there is one. */
const fold =
  (of: "sum" | "prod" | "max" | "min"): Fold =>
  (b, x, over) => {
    const fast = x.type.dtype === "f32" && over.axes.length > 0 && x.type.shape.every((d) => d > 0);
    if (fast && of === "sum") return op.sum(b, x, over);
    if (fast && of === "max") return op.max(b, x, over);
    return op.fold(b, x, { of, ...over });
  };
const sum = fold("sum");
const max = fold("max");

/** A reduction, whose axes are an input from version `inputSince` on. */
function reduction(inputSince: number, f: Fold): Rule {
  return since(1, (at) => {
    const [b, x] = [at.builder, at.in(0)];
    const { shape } = x.type;
    const named = at.integersOf("axes", 1, inputSince) ?? [];
    const none = at.int("noop_with_empty_axes", 0) === 1 && named.length === 0;
    const axes = none || named.length > 0 ? at.axes(named, shape.length) : shape.map((_, i) => i);
    const y = wider(b, x, (v) => f(b, v, { axes, keepdims: true }));
    const kept = shape.filter((_, i) => !axes.includes(i));
    return at.int("keepdims", 1) === 1 ? y : reshaped(b, y, kept);
  });
}

const sumOf =
  (expr: string): Fold =>
  (b, x, over) =>
    sum(b, compute(b, expr, x), over);
const mean: Fold = (b, x, over) => {
  if (x.type.dtype === "f32" && over.axes.length > 0) return op.mean(b, x, over);
  const n = over.axes.reduce((m, a) => m * (x.type.shape[a] as number), 1);
  return compute(b, `div(x0,${n})`, sum(b, x, over));
};
/** Each element stays finite, because the largest of its row is subtracted first, if that is finite. */
const logSumExp: Fold = (b, x, over) => {
  const top = stopped(b, max(b, x, over));
  const shift = x.type.dtype === "f32" ? top : compute(b, "where(less(abs(x0),Infinity),x0,0)", top);
  return compute(b, "add(log(x0),x1)", sum(b, compute(b, "exp(sub(x0,x1))", x, shift), over), shift);
};

/** x without a gradient. */
const stopped = (b: Builder, x: Value): Value => op.stop_gradient(b, x);

const softmax: Fold = (b, x, over) => {
  if (x.type.dtype === "f32" && x.type.shape.length === 2 && over.axes[0] === 1) return op.softmax(b, x);
  const e = compute(b, "exp(sub(x0,x1))", x, stopped(b, max(b, x, over)));
  return compute(b, "div(x0,x1)", e, sum(b, e, over));
};
const logSoftmax: Fold = (b, x, over) => {
  const centred = compute(b, "sub(x0,x1)", x, stopped(b, max(b, x, over)));
  return compute(b, "sub(x0,log(x1))", centred, sum(b, compute(b, "exp(x0)", centred), over));
};
/** 1 at the first largest element, 0 elsewhere. */
const hardmax: Fold = (b, x, { axes }) => {
  const at = op.fold(b, x, { of: "arg_max", axes, keepdims: true });
  return op.map(b, [at], { expr: `to_${x.type.dtype}(equal(x0,i${axes[0]}))`, shape: x.type.shape });
};

const rows: Over = { axes: [1], keepdims: true };

/** f on the rows of x as a matrix, whose columns are the axes from `axis` on. */
function flattened(at: At, f: Fold): Value {
  const [b, x] = [at.builder, at.in(0)];
  const { shape } = x.type;
  const axis = at.int("axis", 1);
  const [outer, extent, inner] = around([...shape, 1], axis === shape.length ? axis : at.axis(axis, shape.length));
  const matrix = reshaped(b, x, [outer, extent * inner]);
  return reshaped(
    b,
    wider(b, matrix, (v) => f(b, v, rows)),
    shape,
  );
}

/** f along one axis of x. */
function along(at: At, f: Fold): Value {
  const [b, x] = [at.builder, at.in(0)];
  const { shape } = x.type;
  if (shape.length === 0) at.refuse("it has no axes");
  return alongAxis(b, x, at.axis(at.int("axis", -1), shape.length), f);
}

function alongAxis(b: Builder, x: Value, axis: number, f: Fold): Value {
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

const onRows = (f: Fold): Rule[] => [since(1, (at) => flattened(at, f)), since(13, (at) => along(at, f))];

/** The position of the largest or smallest element along an axis. */
const position = (of: "arg_max" | "arg_min"): Rule =>
  since(1, (at) => {
    const [b, x] = [at.builder, at.in(0)];
    const axis = at.axis(at.int("axis", 0), x.type.shape.length);
    const last = at.int("select_last_index", 0) === 1;
    const y = op.fold(b, x, { of, axes: [axis], keepdims: true, last });
    return at.int("keepdims", 1) === 1 ? y : reshaped(b, y, x.type.shape.toSpliced(axis, 1));
  });

/** Whole numbers have roots and logarithms as f64, rounded to their own type. */
const real =
  (f: Fold): Fold =>
  (b, x, over) => {
    const own = x.type.dtype as DType;
    return isFloat(own) ? f(b, x, over) : converted(b, f(b, converted(b, x, "f64"), over), own);
  };

export const reduce: Rules = {
  ReduceSum: reduction(13, sum),
  ReduceProd: reduction(18, fold("prod")),
  ReduceMean: reduction(18, mean),
  ReduceMax: reduction(18, max),
  ReduceMin: reduction(18, fold("min")),
  ReduceL1: reduction(18, sumOf("abs(x0)")),
  ReduceL2: reduction(
    18,
    real((b, x, over) => compute(b, "sqrt(x0)", sumOf("mul(x0,x0)")(b, x, over))),
  ),
  ReduceSumSquare: reduction(18, sumOf("mul(x0,x0)")),
  ReduceLogSum: reduction(
    18,
    real((b, x, over) => compute(b, "log(x0)", sum(b, x, over))),
  ),
  ReduceLogSumExp: reduction(18, real(logSumExp)),
  ArgMax: position("arg_max"),
  ArgMin: position("arg_min"),
  Softmax: onRows(softmax),
  LogSoftmax: onRows(logSoftmax),
  Hardmax: onRows(hardmax),
};
