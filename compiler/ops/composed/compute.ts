// Scalar expressions (ops/general/expression.ts) as nodes. What consists of functions that fused kernels compute in f32
// becomes ops that fuse; everything else becomes one `map`.

import type { Builder } from "../../ir/builder.js";
import { type DType, sameShape, type Value } from "../../ir/types.js";
import type { Expr } from "../general/ast.js";
import { parse } from "../general/expression.js";
import * as op from "../index.js";

type Unary = (b: Builder, x: Value) => Value;
type Binary = (b: Builder, x: Value, y: Value) => Value;

const unaries: Readonly<Record<string, Unary>> = {
  ...{ neg: op.neg, exp: op.exp, log: op.log, sqrt: op.sqrt, tanh: op.tanh, sigmoid: op.sigmoid, abs: op.abs },
};
const binaries: Readonly<Record<string, Binary>> = { add: op.add, sub: op.sub, mul: op.mul, div: op.div };

const isZero = (e: Expr | undefined): boolean => e?.kind === "number" && e.value === 0;
const isNumber = (e: Expr | undefined): e is Extract<Expr, { kind: "number" }> => e?.kind === "number";

/** Whether fused kernels compute all functions of an expression. */
function fuses(e: Expr): boolean {
  if (e.kind !== "call") return e.kind === "operand" || (e.kind === "number" && Number.isFinite(e.value));
  const bound = (e.name === "max" || e.name === "min") && isZero(e.args[1]);
  return (bound || e.name in unaries || e.name in binaries) && e.args.every(fuses);
}

/** The nodes of an expression that fuses. Equal parts are one node. */
function fused(b: Builder, e: Expr, xs: readonly Value[]): Value {
  const known = new Map<string, Value>();
  const visit = (part: Expr): Value => {
    const key = JSON.stringify(part);
    const made = known.get(key) ?? make(part);
    known.set(key, made);
    return made;
  };
  const make = (part: Expr): Value => {
    if (part.kind === "operand") return xs[part.index] as Value;
    if (part.kind !== "call") return op.scalar(b, (part as { value: number }).value);
    const [p, q] = part.args as [Expr, Expr];
    if (part.name === "max") return op.relu(b, visit(p));
    if (part.name === "min") return op.neg(b, op.relu(b, op.neg(b, visit(p)))); // min(x, 0), exactly
    if (part.name === "mul" && isNumber(q)) return op.scale(b, visit(p), { factor: q.value });
    if (part.name === "mul" && JSON.stringify(p) === JSON.stringify(q)) return op.square(b, visit(p));
    const one = unaries[part.name];
    return one ? one(b, visit(p)) : (binaries[part.name] as Binary)(b, visit(p), visit(q));
  };
  return visit(e);
}

/** The expression `expr` of operands x0, x1, ..., which broadcast. */
export function compute(b: Builder, expr: string, ...xs: readonly Value[]): Value {
  const e = parse(expr);
  if (xs.length > 0 && e.kind === "call" && xs.every((x) => x.type.dtype === "f32") && fuses(e)) return fused(b, e, xs);
  return op.map(b, xs, { expr });
}

/** x as another element type. */
export const converted = (b: Builder, x: Value, dtype: DType): Value =>
  x.type.dtype === dtype ? x : op.map(b, [x], { expr: `to_${dtype}(x0)` });

/** x in every position of a shape to which it broadcasts. */
export const spread = (b: Builder, x: Value, shape: readonly number[]): Value => {
  if (sameShape(x.type.shape, shape)) return x;
  return x.type.dtype === "f32" ? op.broadcast_to(b, x, { shape }) : op.map(b, [x], { expr: "x0", shape });
};

/** A tensor of one number. */
export const filled = (b: Builder, dtype: DType, shape: readonly number[], value: number): Value =>
  op.map(b, [], { expr: `to_${dtype}(${value})`, shape });
