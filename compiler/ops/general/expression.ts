// Scalar expressions, as `map` computes them for each element. As text they are calls: "add(x0,mul(x1,0.5))". x0, x1,
// ... are the operands, i0, i1, ... the position of the element (i64), to_f16(e) is e as another element type, rounded
// as a store would round it, and bits_i32(e) has the bits of e as an element of another type of the same width.

import { byteSize, type DType, dtypes } from "../../ir/types.js";
import { sameBits } from "../../util/bits.js";
import { call, type Expr, number, position, to, x } from "./ast.js";
import { functions, type ScalarFunction } from "./functions.js";

const casts: ReadonlyMap<string, DType> = new Map(
  dtypes.flatMap((t) => [
    [`to_${t}`, t],
    [`bits_${t}`, t],
  ]),
);
/** Whether a conversion keeps the bits of its operand and not the value. */
export const keepsBits = (name: string): boolean => name.startsWith("bits_");
/** The element type that a call converts to; undefined for other calls. */
export const castTo = (name: string): DType | undefined => casts.get(name);

/** The function of a call that is no conversion. */
export function functionOf(name: string): ScalarFunction {
  if (!Object.hasOwn(functions, name)) throw new Error(`there is no function ${name}`);
  return functions[name] as ScalarFunction;
}

export const isFloat = (t: DType): boolean => /^b?f\d/.test(t);
const kindOf = (t: DType): "float" | "whole" | "bool" => (t === "bool" ? "bool" : isFloat(t) ? "float" : "whole");

/** The expression as text; parse() reads it. */
export function show(e: Expr): string {
  if (e.kind === "operand") return `x${e.index}`;
  if (e.kind === "position") return `i${e.axis}`;
  if (e.kind === "number") return String(e.value);
  return `${e.name}(${e.args.map(show).join(",")})`;
}

/** The expression of a text that show() made. Throws, with the place, if it is none. */
export function parse(text: string): Expr {
  let at = 0;
  const word = (): string => {
    const found = /^[^(),]*/.exec(text.slice(at))?.[0] ?? "";
    at += found.length;
    return found;
  };
  const fail = (what: string): never => {
    throw new Error(`expression ${text}: ${what} at character ${at}`);
  };
  const next = (): Expr => {
    const w = word();
    if (text[at] !== "(") {
      if (/^[xi]\d+$/.test(w)) return (w.startsWith("x") ? x : position)(Number(w.slice(1)));
      const value = Number(w);
      return w !== "" && (w === "NaN" || !Number.isNaN(value)) ? number(value) : fail(`"${w}" is no operand or number`);
    }
    const args: Expr[] = [];
    do {
      at++;
      args.push(next());
    } while (text[at] === ",");
    if (text[at++] !== ")") fail("a bracket is not closed");
    const operands = castTo(w) ? 1 : functionOf(w).operands;
    return args.length === operands ? call(w, ...args) : fail(`${w} takes ${operands} operands`);
  };
  const e = next();
  return at === text.length ? e : fail("more text");
}

/** An expression with the element type of each part. */
export type Typed =
  | { readonly kind: "operand"; readonly index: number; readonly dtype: DType }
  | { readonly kind: "position"; readonly axis: number; readonly dtype: DType }
  | { readonly kind: "number"; readonly value: number; readonly dtype: DType }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Typed[]; readonly dtype: DType };

/**
 * `e` with element types, for operands of these types. A number has the type that the other operands of its function
 * have. Throws if the operands of a function differ in type, or have none (a function of numbers alone), or if it does
 * not take the type.
 */
export function typed(e: Expr, operands: readonly DType[]): Typed {
  const own = (part: Expr): DType | undefined => {
    if (part.kind === "operand") return operands[part.index] ?? missing(part.index);
    if (part.kind === "position") return "i64";
    if (part.kind === "number") return undefined;
    const cast = castTo(part.name);
    if (cast) return cast;
    const f = functionOf(part.name);
    return f.result ?? common(part.name, part.args.slice(f.condition ? 1 : 0));
  };
  const missing = (i: number): never => {
    throw new Error(`there is no operand x${i}`);
  };
  const common = (name: string, args: readonly Expr[]): DType | undefined => {
    const types = new Set(args.map(own).filter((t) => t !== undefined));
    if (types.size > 1) throw new Error(`${name} of ${[...types].join(" and ")}`);
    return [...types][0];
  };
  const visit = (part: Expr, wanted: DType | undefined): Typed => {
    const dtype = own(part) ?? wanted;
    if (dtype === undefined) throw new Error(`${show(part)} has no element type; convert it by to_f32()`);
    if (part.kind !== "call") return { ...part, dtype };
    if (castTo(part.name)) {
      const arg = visit(part.args[0] as Expr, own(part.args[0] as Expr) ?? dtype);
      if (keepsBits(part.name) && byteSize({ dtype: arg.dtype, shape: [] }) !== byteSize({ dtype, shape: [] }))
        throw new Error(`${part.name} does not take ${arg.dtype}, which has not as many bits`);
      return { ...part, args: [arg], dtype };
    }
    const f = functionOf(part.name);
    const of = f.result ? (common(part.name, part.args) ?? wanted) : dtype;
    const kinds = f.of ?? ["float", "whole"];
    if (of !== undefined && !kinds.includes(kindOf(of))) throw new Error(`${part.name} does not take ${of}`);
    return { ...part, args: part.args.map((arg, i) => visit(arg, f.condition && i === 0 ? "bool" : of)), dtype };
  };
  return visit(e, undefined);
}

/** A number as an element of this type: whole numbers are cut off and wrap around, floating point stays as it is. */
export function wrap(dtype: DType, v: number): number {
  if (dtype === "bool") return v === 0 ? 0 : 1;
  if (isFloat(dtype)) return v;
  if (!Number.isFinite(v)) return 0;
  const t = Math.trunc(v);
  if (Number.isSafeInteger(t) && (dtype === "i64" || (dtype === "u64" && t >= 0))) return t;
  const bits = Number(dtype.slice(1));
  return Number(dtype.startsWith("i") ? BigInt.asIntN(bits, BigInt(t)) : BigInt.asUintN(bits, BigInt(t)));
}

/** A function that computes `e` in f64 for the values of the operands and the position of the element. */
export function evaluator(e: Typed): (operands: readonly number[], at: readonly number[]) => number {
  if (e.kind === "operand") return (v) => v[e.index] as number;
  if (e.kind === "position") return (_, at) => at[e.axis] as number;
  if (e.kind === "number") return () => e.value;
  const args = e.args.map(evaluator);
  const [p, q, r] = args;
  const value = (f: typeof p, v: readonly number[], at: readonly number[]): number => (f ? f(v, at) : 0);
  const from = e.args[0]?.dtype as DType;
  if (keepsBits(e.name)) return (v, at) => sameBits(value(p, v, at), from, e.dtype);
  if (castTo(e.name)) return (v, at) => wrap(e.dtype, value(p, v, at));
  const f = functionOf(e.name);
  const whole = kindOf((e.args.at(-1) as Typed).dtype) === "whole";
  const all = (v: readonly number[], at: readonly number[]): number =>
    f.eval(value(p, v, at), value(q, v, at), value(r, v, at), whole);
  return isFloat(e.dtype) ? all : (v, at) => wrap(e.dtype, all(v, at));
}

/** The expression in which x0, x1, ... are replaced by `by`. */
export function substitute(e: Expr, by: readonly Expr[]): Expr {
  if (e.kind === "operand") return by[e.index] as Expr;
  return e.kind !== "call" ? e : { ...e, args: e.args.map((a) => substitute(a, by)) };
}

const isNumber = (e: Expr, value: number): boolean => e.kind === "number" && e.value === value;
const zero = number(0);
const times = (p: Expr, q: Expr): Expr =>
  isNumber(p, 0) || isNumber(q, 0) ? zero : isNumber(p, 1) ? q : isNumber(q, 1) ? p : call("mul", p, q);
const plus = (p: Expr, q: Expr): Expr => (isNumber(p, 0) ? q : isNumber(q, 0) ? p : call("add", p, q));

/** The derivative of `e` by operand `index`; the number 0 if there is none. */
export function derive(e: Expr, index: number): Expr {
  if (e.kind === "operand") return number(e.index === index ? 1 : 0);
  if (e.kind !== "call") return zero;
  const cast = castTo(e.name);
  if (cast) {
    const inner = derive(e.args[0] as Expr, index);
    return !isFloat(cast) || keepsBits(e.name) || isNumber(inner, 0) ? zero : to(cast, inner);
  }
  const rules = functionOf(e.name).derivative;
  if (!rules) return zero;
  return e.args.reduce<Expr>((sum, arg, i) => {
    const rule = rules[i];
    return rule ? plus(sum, times(substitute(rule, e.args), derive(arg, index))) : sum;
  }, zero);
}
