// Reductions over axes, softmax and its logarithm.

import type { Builder } from "../../ir/builder.js";
import type { Value } from "../../ir/types.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { around, reshaped, transposed } from "./layout.js";
import { type Rule, type Rules, since } from "./rule.js";

type Over = { readonly axes: readonly number[]; readonly keepdims: true };
type Fold = (b: Builder, x: Value, over: Over) => Value;

/** A reduction, whose axes are an input from version `inputSince` on. */
function reduction(inputSince: number, fold: Fold): Rule {
  return since(1, (at) => {
    const [b, x] = [at.builder, at.in(0)];
    const { shape } = x.type;
    const named = at.integersOf("axes", 1, inputSince) ?? [];
    const none = at.int("noop_with_empty_axes", 0) === 1 && named.length === 0;
    const axes = none || named.length > 0 ? at.axes(named, shape.length) : shape.map((_, i) => i);
    const y = fold(b, x, { axes, keepdims: true });
    return at.int("keepdims", 1) === 1
      ? y
      : reshaped(
          b,
          y,
          shape.filter((_, i) => !axes.includes(i)),
        );
  });
}

const sumOf =
  (f: (b: Builder, x: Value) => Value): Fold =>
  (b, x, over) =>
    op.sum(b, f(b, x), over);
const sumOfSquares = sumOf(op.square);
/** Each element stays finite, because the largest of its row is subtracted first. */
const logSumExp: Fold = (b, x, over) => {
  const top = op.stop_gradient(b, op.max(b, x, over));
  return op.add(b, op.log(b, op.sum(b, op.exp(b, op.sub(b, x, top)), over)), top);
};

const softmax: Fold = (b, x) => op.softmax(b, x);
const logSoftmax: Fold = (b, x, over) => {
  const centred = op.sub(b, x, op.stop_gradient(b, op.max(b, x, over)));
  return op.sub(b, centred, op.log(b, op.sum(b, op.exp(b, centred), over)));
};

const rows: Over = { axes: [1], keepdims: true };

/** f on the rows of x as a matrix, whose columns are the axes from `axis` on. */
function flattened(at: At, f: Fold): Value {
  const [b, x] = [at.builder, at.in(0)];
  const { shape } = x.type;
  const axis = at.int("axis", 1);
  const [outer, extent, inner] = around([...shape, 1], axis === shape.length ? axis : at.axis(axis, shape.length));
  return reshaped(b, f(b, reshaped(b, x, [outer, extent * inner]), rows), shape);
}

/** f along one axis of x. */
function along(at: At, f: Fold): Value {
  const [b, x] = [at.builder, at.in(0)];
  const { shape } = x.type;
  if (shape.length === 0) at.refuse("it has no axes");
  const [outer, extent, inner] = around(shape, at.axis(at.int("axis", -1), shape.length));
  if (inner === 1) return reshaped(b, f(b, reshaped(b, x, [outer, extent]), rows), shape);
  const last = transposed(b, reshaped(b, x, [outer, extent, inner]), [0, 2, 1]);
  const y = reshaped(b, f(b, reshaped(b, last, [outer * inner, extent]), rows), [outer, inner, extent]);
  return reshaped(b, transposed(b, y, [0, 2, 1]), shape);
}

const onRows = (f: Fold): Rule[] => [since(1, (at) => flattened(at, f)), since(13, (at) => along(at, f))];

export const reduce: Rules = {
  ReduceSum: reduction(13, op.sum),
  ReduceMean: reduction(18, op.mean),
  ReduceMax: reduction(18, op.max),
  ReduceMin: reduction(18, (b, x, over) => op.neg(b, op.max(b, op.neg(b, x), over))),
  ReduceL1: reduction(18, sumOf(op.abs)),
  ReduceL2: reduction(18, (b, x, over) => op.sqrt(b, sumOfSquares(b, x, over))),
  ReduceSumSquare: reduction(18, sumOfSquares),
  ReduceLogSum: reduction(18, (b, x, over) => op.log(b, op.sum(b, x, over))),
  ReduceLogSumExp: reduction(18, logSumExp),
  Softmax: onRows(softmax),
  LogSoftmax: onRows(logSoftmax),
};
