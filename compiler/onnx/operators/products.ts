// Products of matrices and determinants. Products of f32 with one matrix go through the fast op, all others through the
// general one.

import type { Builder } from "../../ir/builder.js";
import { type DType, elements, sameShape, type Value } from "../../ir/types.js";
import { compute, converted, filled } from "../../ops/composed/compute.js";
import { reshaped, transposed } from "../../ops/composed/layout.js";
import { wider } from "../../ops/composed/reduce.js";
import { isFloat } from "../../ops/general/expression.js";
import * as op from "../../ops/index.js";
import { broadcastShape } from "../../ops/shape.js";
import type { At } from "../at.js";
import { type Build, type Rules, since } from "./rule.js";

/** f on both operands; on both as f32, rounded afterwards, if they are f16 or bf16. */
export function widerPair(b: Builder, x: Value, y: Value, f: (x: Value, y: Value) => Value): Value {
  const { dtype } = x.type;
  const half = dtype === "f16" || dtype === "bf16";
  return wider(b, x, (v) => f(v, half ? converted(b, y, "f32") : y));
}

/** The product as numpy's matmul defines it: vectors are a row or a column, leading axes broadcast. */
export function product(at: At, x: Value, y: Value): Value {
  const b = at.builder;
  const [xs, ys] = [x.type.shape, y.type.shape];
  if (xs.length === 0 || ys.length === 0) return at.refuse("an operand is a number");
  const left = xs.length === 1 ? reshaped(b, x, [1, ...xs]) : x;
  const right = ys.length === 1 ? reshaped(b, y, [...ys, 1]) : y;
  const [m, k, n] = [left.type.shape.at(-2), left.type.shape.at(-1), right.type.shape.at(-1)] as [
    number,
    number,
    number,
  ];
  if (right.type.shape.at(-2) !== k) at.refuse(`the inner extents of [${xs}] and [${ys}] differ`);
  const outer = broadcastShape(left.type.shape.slice(0, -2), right.type.shape.slice(0, -2));
  const shape = [...outer, ...(xs.length === 1 ? [] : [m]), ...(ys.length === 1 ? [] : [n])];
  const rows = elements(left.type.shape.slice(0, -1));
  const z = widerPair(b, left, right, (v, w) =>
    v.type.dtype === "f32" && elements(w.type.shape) === k * n && k > 0
      ? op.matmul(b, reshaped(b, v, [rows, k]), reshaped(b, w, [k, n]))
      : op.batch_matmul(b, v, w),
  );
  return reshaped(b, z, shape);
}

/** `factor` times x; of whole numbers, the product is cut off. */
function scaled(b: Builder, x: Value, factor: number): Value {
  if (factor === 1) return x;
  const { dtype } = x.type;
  if (dtype === "f32") return op.scale(b, x, { factor });
  if (isFloat(dtype) || Number.isInteger(factor)) return compute(b, `mul(x0,${factor})`, x);
  return op.map(b, [x], { expr: `to_${dtype}(mul(to_f64(x0),${factor}))` });
}

const gemm: Build = (at) => {
  const b = at.builder;
  const [ta, tb] = [at.int("transA", 0) !== 0, at.int("transB", 0) !== 0];
  const [alpha, beta] = [at.float("alpha", 1), at.float("beta", 1)];
  const broadcast = at.int("broadcast", 0) === 1 || at.version >= 7;
  const [x, y] = [at.in(0), at.in(1)];
  const c = at.has(2) ? at.in(2) : undefined;
  if (x.type.shape.length !== 2 || y.type.shape.length !== 2)
    at.refuse(`[${x.type.shape}] or [${y.type.shape}] is no matrix`);
  const [m, n] = [x.type.shape[ta ? 1 : 0], y.type.shape[tb ? 0 : 1]] as [number, number];
  if (c && !broadcast && !sameShape(c.type.shape, [m, n]))
    at.refuse(`C is [${c.type.shape}], not [${m},${n}], and broadcast is 0`);
  if (c && !sameShape(broadcastShape(c.type.shape, [m, n]), [m, n]))
    at.refuse(`C [${c.type.shape}] does not fit [${m},${n}]`);
  return widerPair(b, x, y, (v, w) => {
    const z = scaled(b, times(b, v, w, ta, tb), alpha);
    return c ? compute(b, "add(x0,x1)", z, scaled(b, converted(b, c, v.type.dtype as DType), beta)) : z;
  });
};

function times(b: Builder, x: Value, y: Value, ta: boolean, tb: boolean): Value {
  if (x.type.dtype === "f32") return op.matmul(b, x, y, { ...(ta && { ta }), ...(tb && { tb }) });
  const turned = (v: Value, turn: boolean): Value => (turn ? transposed(b, v, [1, 0]) : v);
  return op.batch_matmul(b, turned(x, ta), turned(y, tb));
}

/** The determinants of x [..., M, M], by elimination with the largest element of each column as its pivot. */
const det: Build = (at) => {
  const [b, x] = [at.builder, at.in(0)];
  const { shape } = x.type;
  const [m, other] = [shape.at(-1), shape.at(-2)] as [number, number];
  if (shape.length < 2 || m !== other) at.refuse(`[${shape}] are no square matrices`);
  const outer = shape.slice(0, -2);
  const stack = reshaped(b, x, [elements(outer), m, m]);
  return reshaped(
    b,
    wider(b, stack, (v) => determinants(b, v)),
    outer,
  );
};

function determinants(b: Builder, stack: Value): Value {
  const { dtype } = stack.type;
  const [count, m] = stack.type.shape as [number, number];
  const part = (v: Value, axis: number, start: number, end: number): Value => op.slice(b, v, { axis, start, end });
  let [rest, result] = [stack, filled(b, dtype, [count, 1, 1], 1)];
  for (let n = m; n > 0; n--) {
    const column = part(rest, 2, 0, 1);
    const pivot = op.fold(b, compute(b, "abs(x0)", column), { of: "arg_max", axes: [1], keepdims: true });
    const row = op.gather_elements(b, rest, op.map(b, [pivot], { expr: "x0", shape: [count, 1, n] }), { axis: 1 });
    const top = part(row, 2, 0, 1);
    result = op.map(b, [result, top, pivot], { expr: "mul(x0,where(equal(x2,0),x1,neg(x1)))" });
    if (n === 1) break;
    // the first row takes the place of the pivot's row
    const first = part(rest, 1, 0, 1);
    const swapped = op.map(b, [rest, first, pivot], { expr: "where(equal(i1,x2),x1,x0)" });
    const below = part(swapped, 1, 1, n);
    rest = op.map(b, [part(below, 2, 1, n), part(below, 2, 0, 1), part(row, 2, 1, n), top], {
      expr: "sub(x0,mul(where(equal(x3,0),0,div(x1,x3)),x2))",
    });
  }
  return result;
}

export const products: Rules = {
  Gemm: since(1, gemm),
  MatMul: since(1, (at) => product(at, at.in(0), at.in(1))),
  Det: since(11, det),
};
