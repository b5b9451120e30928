// Arithmetic and activations. Those that the IR does not have are written so that the result is the same number, also
// for infinities: max(x, 0) and min(x, 0) = -max(-x, 0) are exact.

import type { Builder } from "../../ir/builder.js";
import type { Value } from "../../ir/types.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { dataTypes, numbersOf } from "../model.js";
import { reshaped } from "./layout.js";
import { type Build, type Rule, type Rules, since } from "./rule.js";

type Unary = (b: Builder, x: Value) => Value;
type Binary = (b: Builder, x: Value, y: Value) => Value;

const unary = (f: Unary): Rule[] => [
  since(1, (at) => {
    at.ignore("consumed_inputs"); // a hint for memory
    return f(at.builder, at.in(0));
  }),
  since(6, (at) => f(at.builder, at.in(0))),
];

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

const binary = (f: Binary): Rule[] => [
  since(1, (at) => f(at.builder, at.in(0), legacyOperand(at, 1))),
  since(7, (at) => f(at.builder, at.in(0), at.in(1))),
];

/** The sum of one or more operands; before version 8 their shapes are equal. */
function total(at: At): Value {
  at.ignore("consumed_inputs");
  const xs = at.all();
  const odd = at.version < 8 && xs.find((x) => x.type.shape.join() !== xs[0]?.type.shape.join());
  if (odd) at.refuse(`shapes [${xs[0]?.type.shape}] and [${odd.type.shape}] differ`);
  return xs.reduce((s, x) => op.add(at.builder, s, x));
}

const negative: Unary = (b, x) => op.neg(b, op.relu(b, op.neg(b, x))); // min(x, 0)
const one = (b: Builder): Value => op.scalar(b, 1);
const below: Unary = (b, x) => op.sub(b, op.exp(b, negative(b, x)), one(b)); // exp(min(x, 0)) - 1
const factor = (b: Builder, x: Value, f: number): Value => op.scale(b, x, { factor: f });

const softplus: Unary = (b, x) =>
  op.add(b, op.relu(b, x), op.log(b, op.add(b, one(b), op.exp(b, op.neg(b, op.abs(b, x))))));

const leaky: Build = (at) => {
  at.ignore("consumed_inputs");
  const [b, x] = [at.builder, at.in(0)];
  return op.add(b, op.relu(b, x), factor(b, negative(b, x), at.float("alpha", 0.01)));
};

const prelu: Build = (at) => {
  at.ignore("consumed_inputs");
  const [b, x] = [at.builder, at.in(0)];
  const [to, slope] = [at.shape(0), at.shape(1)];
  const perChannel = at.version < 7 && slope.length === 1 && to.length > 1;
  const by = perChannel ? reshaped(b, at.in(1), [...slope, ...Array<number>(to.length - 2).fill(1)]) : at.in(1);
  const y = op.add(b, op.relu(b, x), op.mul(b, negative(b, x), by));
  return y.type.shape.join() === to.join() ? y : at.refuse(`a slope of shape [${slope}] does not fit [${to}]`);
};

const elu: Build = (at) => {
  at.ignore("consumed_inputs");
  const [b, x] = [at.builder, at.in(0)];
  return op.add(b, op.relu(b, x), factor(b, below(b, x), at.float("alpha", 1)));
};

const selu =
  (alpha: number, gamma: number): Build =>
  (at) => {
    at.ignore("consumed_inputs");
    const [b, x] = [at.builder, at.in(0)];
    const [a, g] = [at.float("alpha", alpha), at.float("gamma", gamma)];
    return op.add(b, factor(b, op.relu(b, x), g), factor(b, below(b, x), a * g));
  };

const celu: Build = (at) => {
  const [b, x, alpha] = [at.builder, at.in(0), at.float("alpha", 1)];
  return op.add(b, op.relu(b, x), factor(b, below(b, factor(b, x, 1 / alpha)), alpha));
};

const clip = (at: At, bound: (name: "min" | "max") => number | undefined): Value => {
  const [least, most] = [bound("min"), bound("max")];
  if (most !== undefined && most < 3.4e38) at.refuse(`an upper bound (${most}) is not supported`);
  if (least === undefined || least < -3.4e38) return at.in(0);
  return least === 0 ? op.relu(at.builder, at.in(0)) : at.refuse(`a lower bound of ${least}, not 0, is not supported`);
};

/** The significant bits of the float types: a conversion to more of them changes no value. */
const precise: Readonly<Record<string, number>> = { bf16: 8, f16: 11, f32: 24, f64: 53 };

const cast = (at: At, to: string | undefined): Value => {
  const x = at.in(0);
  const from = x.type.dtype;
  if (from === to) return x;
  const exact = from === "u8" ? to === "f32" : (precise[from] ?? 99) < (precise[to ?? ""] ?? 0) && to !== "f16";
  return exact
    ? op.cast(at.builder, x, { to: to as "f32" | "f64" })
    : at.refuse(`a conversion from ${from} to ${to ?? "this type"} at run time is not supported`);
};
/** The names of types in version 1 of Cast. */
const typeNames = Object.entries({ FLOAT: "f32", DOUBLE: "f64", FLOAT16: "f16", INT32: "i32", INT64: "i64" });
const numberedCast: Build = (at) => {
  at.ignore("saturate", "round_mode"); // only for floats of 8 bits
  return cast(at, dataTypes[at.int("to", 0)]);
};

export const elementwise: Rules = {
  Relu: unary(op.relu),
  Neg: unary(op.neg),
  Exp: unary(op.exp),
  Log: unary(op.log),
  Sqrt: unary(op.sqrt),
  Tanh: unary(op.tanh),
  Sigmoid: unary(op.sigmoid),
  Abs: unary(op.abs),
  Reciprocal: unary((b, x) => op.div(b, one(b), x)),
  Softplus: unary(softplus),
  Softsign: unary((b, x) => op.div(b, x, op.add(b, one(b), op.abs(b, x)))),
  Mish: since(18, (at) => op.mul(at.builder, at.in(0), op.tanh(at.builder, softplus(at.builder, at.in(0))))),
  Identity: since(1, (at) => at.in(0)),
  Add: binary(op.add),
  Sub: binary(op.sub),
  Mul: binary(op.mul),
  Div: binary(op.div),
  Sum: since(1, total),
  Mean: since(1, (at) => factor(at.builder, total(at), 1 / at.count)),
  Pow: since(7, (at) => {
    const exponent = numbersOf(at.constant(1));
    if (exponent.length !== 1 || exponent[0] !== 2 || at.shape(1).length > at.shape(0).length)
      at.refuse(`the exponents [${exponent}] are not supported, only 2 is`);
    return op.square(at.builder, at.in(0));
  }),
  LeakyRelu: since(1, leaky),
  PRelu: since(1, prelu),
  Elu: since(1, elu),
  Selu: [since(1, selu(1.6732, 1.0507)), since(6, selu(1.6732631921768188, 1.0507010221481323))],
  Celu: since(12, celu),
  Clip: [
    since(1, (at) => {
      at.ignore("consumed_inputs");
      return clip(at, (name) => (at.given(name) ? at.float(name, 0) : undefined));
    }),
    since(11, (at) =>
      clip(at, (name) => {
        const i = name === "min" ? 1 : 2;
        return at.has(i) ? (numbersOf(at.constant(i))[0] as number) : undefined;
      }),
    ),
  ],
  Cast: [
    since(1, (at) => cast(at, typeNames.find(([name]) => name === at.text("to", ""))?.[1])),
    since(6, numberedCast),
  ],
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
      if (at.has(1)) at.typeOnly(1);
      if (at.has(2) && numbersOf(at.constant(2))[0] !== 0) at.refuse("it is a dropout of training");
      return kept(at);
    }),
  ],
};

function kept(at: At): Value {
  if (at.wants(1)) at.refuse("its output of a mask is not supported");
  return at.in(0);
}
