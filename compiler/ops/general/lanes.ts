// Scalar expressions over the f32 lanes of a SIMD register (`Vec`, and `Mask` for truth values), so that kernels can
// compute a `map` where they load or store its elements. Both devices have these functions: kernels/common/math.h.

import { floatLiteral } from "../../util/float.js";
import { castTo, type Typed } from "./expression.js";

type Write = (a: string, b: string, c: string) => string;

const infix =
  (operator: string): Write =>
  (a, b) =>
    `(${a} ${operator} ${b})`;
const called =
  (name: string): Write =>
  (a, b, c) =>
    `${name}(${[a, b, c].filter((arg) => arg !== "").join(", ")})`;

/** The functions of functions.ts that the lanes have. */
const written: Readonly<Record<string, Write>> = {
  ...{ add: infix("+"), sub: infix("-"), mul: infix("*"), div: infix("/") },
  neg: (a) => `(-${a})`,
  ...{ min: called("min_of"), max: called("max_of"), abs: called("abs"), sign: called("sign") },
  ...{ floor: called("floor"), ceil: called("ceil"), trunc: called("trunc"), round: called("round") },
  ...{ sqrt: called("sqrt"), exp: called("exp"), log: called("log"), erf: called("erf") },
  ...{ tanh: called("tanh"), sigmoid: called("sigmoid") },
  equal: infix("=="),
  greater: infix(">"),
  less: (a, b) => `(${b} > ${a})`,
  greater_equal: (a, b) => `(${a} > ${b} | ${a} == ${b})`,
  less_equal: (a, b) => `(${b} > ${a} | ${a} == ${b})`,
  is_nan: (a) => `!(${a} == ${a})`,
  ...{ and: infix("&"), or: infix("|") },
  not: (a) => `!${a}`,
  where: called("select"),
};

/**
 * Whether the lanes can compute `e`: all of it is f32, or comparisons of f32 that only choose between f32, and it does
 * not use the position.
 */
export function inLanes(e: Typed): boolean {
  if (e.kind === "operand" || e.kind === "number") return e.dtype === "f32";
  if (e.kind === "position" || !e.args.every(inLanes)) return false;
  if (castTo(e.name)) return e.dtype === "f32" && e.args[0]?.dtype === "f32";
  if (!Object.hasOwn(written, e.name)) return false;
  if (e.dtype === "f32") return true;
  return e.dtype === "bool" && (logic.has(e.name) || (e.name !== "where" && e.args[0]?.dtype === "f32"));
}

const logic: ReadonlySet<string> = new Set(["and", "or", "not"]);

/** A number as a Vec, with infinities and NaN. */
function literal(x: number): string {
  const f = Math.fround(x);
  if (Number.isFinite(f)) return `Vec(${floatLiteral(f)})`;
  return `Vec(float_of(${Number.isNaN(f) ? "0x7fc00000u" : f > 0 ? "0x7f800000u" : "0xff800000u"}))`;
}

/** The C++ of an expression for which inLanes() holds, over operands that are C++ expressions. */
export function laneCode(e: Typed, operands: readonly string[]): string {
  if (e.kind === "operand") return operands[e.index] as string;
  if (e.kind === "number") return literal(e.value);
  const [a = "", b = "", c = ""] = e.kind === "call" ? e.args.map((arg) => laneCode(arg, operands)) : [];
  if (e.kind === "call" && castTo(e.name)) return a;
  const write = e.kind === "call" ? written[e.name] : undefined;
  if (!write) throw new Error("internal: lanes: no form for this expression");
  return write(a, b, c);
}
