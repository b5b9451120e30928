// The scalar functions of `map`: meaning on numbers, derivatives, and the operator of ONNX. Their C++ is in
// kernels/common/element.h under the same names. Integers wrap around; what ONNX leaves undefined is defined there.

import { call, type Expr, number, x } from "./ast.js";

export interface ScalarFunction {
  readonly operands: number;
  /** The element type of the result; absent: that of the operands. */
  readonly result?: "bool";
  /** Whether the first operand is a bool, unlike the others. */
  readonly condition?: true;
  /** The element types that it takes: floating point, whole numbers, bool; absent: floating point and whole numbers. */
  readonly of?: readonly ("float" | "whole" | "bool")[];
  /** The value for operands as f64; `whole`: they are whole numbers. The result is not yet wrapped to the type. */
  eval(a: number, b: number, c: number, whole: boolean): number;
  /** The derivative by each operand, in terms of x(0), x(1), ...; absent: it is 0, or has no meaning. */
  readonly derivative?: readonly (Expr | undefined)[];
  /** The operator of ONNX; absent: there is none, and the exporter writes it in others. */
  readonly onnx?: string;
}

const [a, b] = [x(0), x(1)];
const one = number(1);
const square = (e: Expr): Expr => call("mul", e, e);
const reciprocal = (e: Expr): Expr => call("div", one, e);
const minus = (e: Expr): Expr => call("neg", e);
/** 1 where `less` holds for (p, q), 1/2 where they are equal, as PyTorch differentiates the smaller of two. */
const share = (p: Expr, q: Expr): Expr =>
  call("where", call("less", p, q), one, call("where", call("equal", p, q), number(0.5), number(0)));

/** Rounds half to even, as C does. */
export const roundEven = (v: number): number => {
  const down = Math.floor(v);
  const rest = v - down;
  return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1;
};

const unary = (
  eval_: (a: number) => number,
  derivative: Expr | undefined,
  onnx: string | undefined,
  of: ScalarFunction["of"] = ["float"],
): ScalarFunction => ({
  operands: 1,
  of,
  eval: eval_,
  ...(derivative ? { derivative: [derivative] } : {}),
  ...(onnx ? { onnx } : {}),
});
const compare = (eval_: (a: number, b: number) => boolean, onnx: string): ScalarFunction => ({
  operands: 2,
  result: "bool",
  of: ["float", "whole", "bool"],
  eval: (p, q) => Number(eval_(p, q)),
  onnx,
});
const logic = (eval_: (a: number, b: number) => number, onnx: string): ScalarFunction => ({
  operands: 2,
  of: ["bool"],
  eval: eval_,
  onnx,
});
const bits = (eval_: (a: bigint, b: bigint) => bigint, onnx: string): ScalarFunction => ({
  operands: 2,
  of: ["whole"],
  eval: (p, q) => Number(eval_(BigInt(p), BigInt(q))),
  onnx,
});

export const functions: Readonly<Record<string, ScalarFunction>> = {
  add: { operands: 2, eval: (p, q) => p + q, derivative: [one, one], onnx: "Add" },
  sub: { operands: 2, eval: (p, q) => p - q, derivative: [one, number(-1)], onnx: "Sub" },
  mul: { operands: 2, eval: (p, q) => p * q, derivative: [b, a], onnx: "Mul" },
  /** Whole numbers round towards zero; a division of a whole number by 0 is 0. */
  div: {
    operands: 2,
    eval: (p, q, _, whole) => (whole ? (q === 0 ? 0 : Math.trunc(p / q)) : p / q),
    derivative: [reciprocal(b), minus(call("div", a, square(b)))],
    onnx: "Div",
  },
  /** The remainder with the sign of the divisor; of a whole number by 0 it is 0. */
  mod: {
    operands: 2,
    eval: (p, q, _, whole) => (whole && q === 0 ? 0 : p - Math.floor(p / q) * q),
    derivative: [one, minus(call("floor", call("div", a, b)))],
  },
  /** The remainder with the sign of the dividend. */
  fmod: {
    operands: 2,
    eval: (p, q, _, whole) => (whole && q === 0 ? 0 : p % q),
    derivative: [one, minus(call("trunc", call("div", a, b)))],
  },
  /** p to the power q; for whole numbers a negative q gives the quotient 1 / p^-q rounded towards zero. */
  pow: {
    operands: 2,
    eval: (p, q, _, whole) => (whole ? Math.trunc(p ** q) : p ** q),
    derivative: [
      call("mul", b, call("pow", a, call("sub", b, one))),
      call("mul", call("pow", a, b), call("where", call("equal", a, number(0)), number(0), call("log", a))),
    ],
    onnx: "Pow",
  },
  /** NaN if either is. */
  min: { operands: 2, eval: (p, q) => Math.min(p, q), derivative: [share(a, b), share(b, a)], onnx: "Min" },
  max: { operands: 2, eval: (p, q) => Math.max(p, q), derivative: [share(b, a), share(a, b)], onnx: "Max" },
  neg: unary((p) => -p, number(-1), "Neg", ["float", "whole"]),
  abs: unary(Math.abs, call("sign", a), "Abs", ["float", "whole"]),
  sign: unary(Math.sign, undefined, "Sign", ["float", "whole"]),
  floor: unary(Math.floor, undefined, "Floor"),
  ceil: unary(Math.ceil, undefined, "Ceil"),
  trunc: unary(Math.trunc, undefined, undefined),
  round: unary(roundEven, undefined, "Round"),
  /** 1 / (1 + exp(-p)) */
  sigmoid: unary(
    (p) => 1 / (1 + Math.exp(-p)),
    call("mul", call("sigmoid", a), call("sub", one, call("sigmoid", a))),
    "Sigmoid",
  ),
  sqrt: unary(Math.sqrt, call("div", number(0.5), call("sqrt", a)), "Sqrt"),
  exp: unary(Math.exp, call("exp", a), "Exp"),
  log: unary(Math.log, reciprocal(a), "Log"),
  /** log(1 + p), precise for small p. */
  log1p: unary(Math.log1p, reciprocal(call("add", one, a)), undefined),
  sin: unary(Math.sin, call("cos", a), "Sin"),
  cos: unary(Math.cos, minus(call("sin", a)), "Cos"),
  tan: unary(Math.tan, call("add", one, square(call("tan", a))), "Tan"),
  asin: unary(Math.asin, reciprocal(call("sqrt", call("sub", one, square(a)))), "Asin"),
  acos: unary(Math.acos, minus(reciprocal(call("sqrt", call("sub", one, square(a))))), "Acos"),
  atan: unary(Math.atan, reciprocal(call("add", one, square(a))), "Atan"),
  sinh: unary(Math.sinh, call("cosh", a), "Sinh"),
  cosh: unary(Math.cosh, call("sinh", a), "Cosh"),
  tanh: unary(Math.tanh, call("sub", one, square(call("tanh", a))), "Tanh"),
  asinh: unary(Math.asinh, reciprocal(call("sqrt", call("add", square(a), one))), "Asinh"),
  acosh: unary(Math.acosh, reciprocal(call("sqrt", call("sub", square(a), one))), "Acosh"),
  atanh: unary(Math.atanh, reciprocal(call("sub", one, square(a))), "Atanh"),
  /** 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to p. */
  erf: unary(erf, call("mul", number(2 / Math.sqrt(Math.PI)), call("exp", minus(square(a)))), "Erf"),
  equal: compare((p, q) => p === q, "Equal"),
  less: compare((p, q) => p < q, "Less"),
  less_equal: compare((p, q) => p <= q, "LessOrEqual"),
  greater: compare((p, q) => p > q, "Greater"),
  greater_equal: compare((p, q) => p >= q, "GreaterOrEqual"),
  is_nan: { operands: 1, result: "bool", of: ["float"], eval: (p) => Number(Number.isNaN(p)), onnx: "IsNaN" },
  and: logic((p, q) => p & q, "And"),
  or: logic((p, q) => p | q, "Or"),
  xor: logic((p, q) => p ^ q, "Xor"),
  not: unary((p) => 1 - p, undefined, "Not", ["bool"]),
  bit_and: bits((p, q) => p & q, "BitwiseAnd"),
  bit_or: bits((p, q) => p | q, "BitwiseOr"),
  bit_xor: bits((p, q) => p ^ q, "BitwiseXor"),
  bit_not: unary((p) => -1 - p, undefined, "BitwiseNot", ["whole"]),
  /** Shifts by as many bits as the type has, or more, give 0. */
  shift_left: bits((p, q) => (q > 63n ? 0n : p << q), "BitShift"),
  shift_right: bits((p, q) => (q > 63n ? 0n : p >> q), "BitShift"),
  where: {
    operands: 3,
    condition: true,
    of: ["float", "whole", "bool"],
    eval: (p, q, r) => (p !== 0 ? q : r),
    derivative: [undefined, call("where", a, one, number(0)), call("where", a, number(0), one)],
    onnx: "Where",
  },
};

/** The error function to within a few units of f64's last place: its series below 3, else a continued fraction. */
function erf(v: number): number {
  const z = Math.abs(v);
  if (Number.isNaN(v)) return v;
  if (z > 6) return Math.sign(v);
  if (z < 3) {
    let [term, sum] = [z, z];
    for (let n = 1; Math.abs(term) > 1e-17 * sum && n < 200; n++) {
      term *= (-z * z) / n;
      sum += term / (2 * n + 1);
    }
    return (Math.sign(v) * 2 * sum) / Math.sqrt(Math.PI);
  }
  let tail = 0;
  for (let n = 60; n > 0; n--) tail = n / 2 / (z + tail);
  return Math.sign(v) * (1 - Math.exp(-z * z) / Math.sqrt(Math.PI) / (z + tail));
}
