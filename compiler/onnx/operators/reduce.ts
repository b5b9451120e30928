// Reductions over axes, softmax and its logarithm.

import type { DType, Value } from "../../ir/types.js";
import { compute, converted } from "../../ops/composed/compute.js";
import { around, reshaped } from "../../ops/composed/layout.js";
import {
  alongAxis,
  type Fold,
  fold,
  logSoftmax,
  logSumExp,
  max,
  mean,
  type Over,
  softmax,
  sum,
  wider,
} from "../../ops/composed/reduce.js";
import { isFloat } from "../../ops/general/expression.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { type Rule, type Rules, since } from "./rule.js";

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
