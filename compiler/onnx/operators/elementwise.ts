// Arithmetic, comparisons and activations: each operator is one scalar expression (ops/general/expression.ts). Those in
// f32 are written in functions that fused kernels compute, where that gives the same numbers.

import type { DType, Value } from "../../ir/types.js";
import { gelu as geluOf } from "../../ops/composed/activation.js";
import { compute, converted } from "../../ops/composed/compute.js";
import { reshaped } from "../../ops/composed/layout.js";
import { isFloat } from "../../ops/general/expression.js";
import * as op from "../../ops/index.js";
import { type At, NeedsConstants } from "../at.js";
import { dataTypes, elementBytes, scalarOf } from "../model.js";
import { type Build, type Rule, type Rules, since } from "./rule.js";

/** An operator of one operand. Version 1 may have a hint for memory. */
const unary = (expr: string | ((at: At) => string), version = 1): Rule =>
  since(version, (at) => {
    at.ignore("consumed_inputs");
    return compute(at.builder, typeof expr === "string" ? expr : expr(at), at.in(0));
  });

/** Input `i` before version 7: with `broadcast` its axes are those of input 0 from `axis` on, by default the last. */
export function legacyOperand(at: At, i: number): Value {
  at.ignore("consumed_inputs");
  const [to, from] = [at.shape(0), at.shape(i)];
  const axis = at.given("axis") ? at.axis(at.int("axis", 0), to.length) : to.length - from.length;
  if (at.int("broadcast", 0) === 0) {
    if (to.join() !== from.join()) at.refuse(`shapes [${to}] and [${from}] differ, and broadcast is 0`);
    return at.in(i);
  }
  const ones = to.length - axis - from.length;
  if (axis < 0 || ones < 0) at.refuse(`[${from}] has no place in [${to}] from axis ${axis} on`);
  return reshaped(at.builder, at.in(i), [...from, ...Array<number>(ones).fill(1)]);
}

const binary = (name: string): Rule[] => [
  since(1, (at) => compute(at.builder, `${name}(x0,x1)`, at.in(0), legacyOperand(at, 1))),
  since(7, (at) => compute(at.builder, `${name}(x0,x1)`, at.in(0), at.in(1))),
];

/** One or more operands, folded from the left; before version 8 their shapes are equal. */
function variadic(at: At, name: string): Value {
  at.ignore("consumed_inputs");
  const xs = at.all();
  const odd = at.version < 8 && xs.find((x) => x.type.shape.join() !== xs[0]?.type.shape.join());
  if (odd) at.refuse(`shapes [${xs[0]?.type.shape}] and [${odd.type.shape}] differ`);
  return compute(
    at.builder,
    xs.reduce((e, _, i) => (i === 0 ? "x0" : `${name}(${e},x${i})`), ""),
    ...xs,
  );
}

const mean: Build = (at) => {
  const n = at.count;
  return compute(at.builder, `mul(x0,${1 / n})`, variadic(at, "add"));
};

const softplus = "add(max(x0,0),log1p(exp(neg(abs(x0)))))";
const below = (x: string): string => `sub(exp(min(${x},0)),1)`; // exp(min(x, 0)) - 1

const prelu: Build = (at) => {
  at.ignore("consumed_inputs");
  const b = at.builder;
  const [to, slope] = [at.shape(0), at.shape(1)];
  const perChannel = at.version < 7 && slope.length === 1 && to.length > 1;
  const by = perChannel ? reshaped(b, at.in(1), [...slope, ...Array<number>(to.length - 2).fill(1)]) : at.in(1);
  const y = compute(b, "add(max(x0,0),mul(min(x0,0),x1))", at.in(0), by);
  return y.type.shape.join() === to.join() ? y : at.refuse(`a slope of shape [${slope}] does not fit [${to}]`);
};

const selu = (version: number, alpha: number, gamma: number): Rule =>
  unary((at) => {
    const [a, g] = [at.float("alpha", alpha), at.float("gamma", gamma)];
    return `add(mul(max(x0,0),${g}),mul(${below("x0")},${a * g}))`;
  }, version);

/** Clip with bounds that are numbers, as attributes, or inputs. */
const clip = (at: At): Value => {
  const b = at.builder;
  at.ignore("consumed_inputs");
  if (at.version < 11) {
    const [least, most] = [at.float("min", -3.4028234663852886e38), at.float("max", 3.4028234663852886e38)];
    const low = least < -3.4e38 ? "x0" : `max(x0,${least})`;
    const expr = most > 3.4e38 ? low : `min(${low},${most})`;
    return expr === "x0" ? at.in(0) : compute(b, expr, at.in(0));
  }
  const bound = (y: Value, i: number, name: string): Value => {
    if (!at.has(i)) return y;
    if (at.shape(i).length > 1 || at.shape(i)[0] === 0) at.refuse(`input ${i} is [${at.shape(i)}], not a number`);
    const value = at.numberIfConstant(i);
    const numeral = value !== undefined && (Number.isFinite(value) || isFloat(y.type.dtype));
    return numeral ? compute(b, `${name}(x0,${value})`, y) : compute(b, `${name}(x0,x1)`, y, reshaped(b, at.in(i), []));
  };
  return bound(bound(at.in(0), 1, "max"), 2, "min");
};

const pow: Build = (at) => {
  const b = at.builder;
  const legacy = at.version < 7;
  const [x, { dtype }] = [at.in(0), at.type(1)];
  const exponent = legacy ? undefined : at.numberIfConstant(1);
  if (exponent === 2 && at.shape(1).length <= x.type.shape.length && isFloat(x.type.dtype))
    return compute(b, "mul(x0,x0)", x);
  const y = legacy ? legacyOperand(at, 1) : at.in(1);
  if (dtype === x.type.dtype) return compute(b, "pow(x0,x1)", x, y);
  // the result has the type of the base; whole numbers to a fraction are computed as fractions
  const wide: DType = isFloat(x.type.dtype) || isFloat(y.type.dtype) ? "f64" : x.type.dtype;
  return compute(b, `to_${x.type.dtype}(pow(to_${wide}(x0),to_${wide}(x1)))`, x, y);
};

const mod: Build = (at) => {
  const fmod = at.int("fmod", 0) === 1;
  return compute(at.builder, `${fmod ? "fmod" : "mod"}(x0,x1)`, at.in(0), at.in(1));
};

const gelu: Build = (at) => {
  const approximate = at.text("approximate", "none");
  if (approximate !== "none" && approximate !== "tanh") return at.refuse(`approximate ${approximate} is not known`);
  return geluOf(at.builder, at.in(0), approximate);
};

const isInf: Build = (at) => {
  const [up, down] = [at.int("detect_positive", 1) === 1, at.int("detect_negative", 1) === 1];
  const ends = [...(up ? ["Infinity"] : []), ...(down ? ["-Infinity"] : [])].map((v) => `equal(x0,${v})`);
  const none = "less(x0,x0)";
  return compute(at.builder, ends.length === 2 ? `or(${ends})` : (ends[0] ?? none), at.in(0));
};

/** The names of types in version 1 of Cast. */
const typeNames: Readonly<Record<string, DType>> = {
  ...{ FLOAT: "f32", DOUBLE: "f64", FLOAT16: "f16", BOOL: "bool" },
  ...{ INT8: "i8", INT16: "i16", INT32: "i32", INT64: "i64", UINT8: "u8", UINT16: "u16", UINT32: "u32", UINT64: "u64" },
};
const cast = (at: At, to: DType | undefined): Value => {
  const from = at.type(0).dtype;
  if (!to) return at.refuse(`a conversion from ${from} to this element type is not supported`);
  return from === "u8" && to === "f32" ? op.cast(at.builder, at.in(0), { to }) : converted(at.builder, at.in(0), to);
};

/** The same bits as another type. Any number is not a truth value, so bool is made of constants and bool only. */
function bitCast(at: At): Value {
  const [from, to] = [at.type(0).dtype, dataTypes[at.int("to", 0)]];
  if (!to || elementBytes[from] !== elementBytes[to]) at.refuse(`${from} has not as many bits as ${to ?? "this type"}`);
  if (from !== to && to === "bool")
    throw new NeedsConstants([at.node.inputs[0] as string], `${from} as ${to} is supported only for constants`);
  const areFloat = [from, to].some((t) => /f\d/.test(t)); // whole numbers wrap around into each other
  if (from === to || !areFloat) return converted(at.builder, at.in(0), to);
  return op.map(at.builder, [at.in(0)], { expr: `bits_${to}(x0)` });
}

const logic = (name: string): Rule[] => binary(name);
const bitwise = (name: string): Rule => since(18, (at) => compute(at.builder, `${name}(x0,x1)`, at.in(0), at.in(1)));

export const elementwise: Rules = {
  Relu: unary("max(x0,0)"),
  ...Object.fromEntries(
    ["neg", "exp", "log", "sqrt", "tanh", "sigmoid", "abs", "floor", "ceil"].map((f) => [
      f.charAt(0).toUpperCase() + f.slice(1),
      unary(`${f}(x0)`),
    ]),
  ),
  ...Object.fromEntries(
    ["sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "erf", "sign"].map((f) => [
      f.charAt(0).toUpperCase() + f.slice(1),
      unary(`${f}(x0)`, 7),
    ]),
  ),
  Round: unary("round(x0)", 11),
  Reciprocal: unary("div(1,x0)"),
  Softplus: unary(softplus),
  Softsign: unary("div(x0,add(1,abs(x0)))"),
  Mish: unary(`mul(x0,tanh(${softplus}))`, 18),
  HardSigmoid: unary((at) => `max(min(add(mul(x0,${at.float("alpha", 0.2)}),${at.float("beta", 0.5)}),1),0)`),
  HardSwish: unary(`mul(x0,max(min(add(mul(x0,${1 / 6}),0.5),1),0))`, 14),
  Swish: unary((at) => `mul(x0,sigmoid(mul(x0,${at.float("alpha", 1)})))`, 24),
  Gelu: since(20, gelu),
  ThresholdedRelu: unary((at) => `where(greater(x0,${at.float("alpha", 1)}),x0,0)`),
  Shrink: unary((at) => {
    const [lambda, bias] = [at.float("lambd", 0.5), at.float("bias", 0)];
    return `where(less(x0,${-lambda}),add(x0,${bias}),where(greater(x0,${lambda}),sub(x0,${bias}),0))`;
  }, 9),
  Identity: since(1, (at) => at.in(0)),
  Add: binary("add"),
  Sub: binary("sub"),
  Mul: binary("mul"),
  Div: binary("div"),
  Equal: binary("equal"),
  Less: binary("less"),
  Greater: binary("greater"),
  LessOrEqual: binary("less_equal"),
  GreaterOrEqual: binary("greater_equal"),
  And: logic("and"),
  Or: logic("or"),
  Xor: logic("xor"),
  Not: unary("not(x0)"),
  BitwiseAnd: bitwise("bit_and"),
  BitwiseOr: bitwise("bit_or"),
  BitwiseXor: bitwise("bit_xor"),
  BitwiseNot: unary("bit_not(x0)", 18),
  BitShift: since(11, (at) => {
    const direction = at.text("direction", "");
    if (direction !== "LEFT" && direction !== "RIGHT") at.refuse(`direction "${direction}" is not LEFT or RIGHT`);
    return compute(at.builder, `shift_${direction.toLowerCase()}(x0,x1)`, at.in(0), at.in(1));
  }),
  Mod: since(10, mod),
  Where: since(9, (at) => compute(at.builder, "where(x0,x1,x2)", at.in(0), at.in(1), at.in(2))),
  IsNaN: unary("is_nan(x0)", 9),
  IsInf: since(10, isInf),
  Sum: since(1, (at) => variadic(at, "add")),
  Max: since(1, (at) => variadic(at, "max")),
  Min: since(1, (at) => variadic(at, "min")),
  Mean: since(1, mean),
  Pow: since(1, pow),
  LeakyRelu: unary((at) => `add(max(x0,0),mul(min(x0,0),${at.float("alpha", 0.01)}))`),
  PRelu: since(1, prelu),
  Elu: unary((at) => `add(max(x0,0),mul(${below("x0")},${at.float("alpha", 1)}))`),
  Selu: [selu(1, 1.6732, 1.0507), selu(6, 1.6732631921768188, 1.0507010221481323)],
  Celu: unary((at) => {
    const alpha = at.float("alpha", 1);
    return `add(max(x0,0),mul(${below(`mul(x0,${1 / alpha})`)},${alpha}))`;
  }, 12),
  Clip: since(1, clip),
  Cast: [
    since(1, (at) => cast(at, typeNames[at.text("to", "")])),
    since(6, (at) => {
      at.ignore("saturate", "round_mode"); // only for floats of 8 bits
      return cast(at, dataTypes[at.int("to", 0)]);
    }),
  ],
  BitCast: since(26, bitCast),
  CastLike: since(15, (at) => {
    at.ignore("saturate", "round_mode");
    return cast(at, at.typeOnly(1).dtype);
  }),
  Dropout: [
    since(1, (at) => {
      at.ignore("consumed_inputs", "ratio");
      if (at.int("is_test", 0) === 0) at.refuse("it is a dropout of training (is_test is 0)");
      return kept(at);
    }),
    since(7, (at) => {
      at.ignore("ratio");
      return kept(at);
    }),
    since(12, (at) => {
      at.ignore("seed");
      const training = at.has(2) && scalarOf(at.constant(2)) !== 0;
      if (!training && at.has(1)) at.typeOnly(1);
      const ratio = at.has(1) && training ? scalarOf(at.constant(1)) : 0.5;
      if (training && ratio !== 0) at.refuse("it is a dropout of training");
      return kept(at);
    }),
  ],
};

/** The result and the mask of a dropout that keeps everything, or that a network in training has. */
function kept(at: At): Value[] {
  const x = at.in(0);
  const drop = x.type.dtype === "f32" ? at.training?.drop : undefined;
  const dropped = drop ? drop(at.builder, x) : x;
  if (dropped !== x) return at.wants(1) ? at.refuse("the network uses its mask") : [dropped];
  return [x, ...(at.wants(1) ? [op.map(at.builder, [], { expr: "to_bool(1)", shape: x.type.shape })] : [])];
}
