// Arithmetic on tensors whose shapes are equal or broadcast by numpy's rules. Comparisons are written so that a NaN
// stays a NaN, because the `finite` flag must detect a step that diverges.

import type { Builder } from "../ir/builder.js";
import { any, f32, floats } from "../ir/element_types.js";
import { NdArray } from "../ir/nd.js";
import type { DType, Value } from "../ir/types.js";
import { scalar, scale } from "./constant.js";
import { wrap } from "./general/expression.js";
import { defineOp, type GradPoint, type Op } from "./op.js";
import { sumTo } from "./reduce.js";
import { broadcastIndex, broadcastShape, wantScalar } from "./shape.js";

// biome-ignore lint/complexity/noBannedTypes: {} is the type of no attributes
type NoAttrs = {};
type UnaryPoint = GradPoint<readonly ["x"], readonly ["y"]>;
type BinaryPoint = GradPoint<readonly ["a", "b"], readonly ["y"]>;
type Unary = Op<readonly ["x"], readonly ["y"], NoAttrs>;
type Binary = Op<readonly ["a", "b"], readonly ["y"], NoAttrs>;

interface BinarySpec {
  readonly eval: (a: number, b: number) => number;
  readonly code: (a: string, b: string) => string;
  /** Gradients before they are summed to the shapes of a and b. */
  readonly grad: (b: Builder, dy: Value, p: BinaryPoint) => { readonly a: Value; readonly b: Value };
}

function binary(name: string, onnx: string, s: BinarySpec): Binary {
  return defineOp({
    name,
    inputs: ["a", "b"],
    outputs: ["y"],
    types: { a: floats, b: floats },
    oneType: true,
    kind: "elementwise",
    onnx,
    infer: ({ a, b }, _: NoAttrs) => ({ y: { dtype: a.dtype, shape: broadcastShape(a.shape, b.shape) } }),
    reference: ({ a, b }) => {
      const shape = broadcastShape(a.shape, b.shape);
      const ia = broadcastIndex(a.shape, shape);
      const ib = broadcastIndex(b.shape, shape);
      return {
        y: NdArray.fill(shape, (i) => s.eval(a.data[ia[i] as number] as number, b.data[ib[i] as number] as number)),
      };
    },
    grad: (b, p) => {
      const d = s.grad(b, p.d.y as Value, p);
      return { a: sumTo(b, d.a, p.in.a.type.shape), b: sumTo(b, d.b, p.in.b.type.shape) };
    },
    code: ([a, b]) => [s.code(a as string, b as string)],
    expression: () => `${name}(x0,x1)`,
  });
}

interface UnarySpec {
  readonly expression?: string; // absent: the function with the op's name
  readonly eval: (x: number) => number;
  readonly code: (x: string) => string;
  readonly grad: (b: Builder, dy: Value, p: UnaryPoint) => Value;
}

function unary(name: string, onnx: string, s: UnarySpec): Unary {
  return defineOp({
    name,
    inputs: ["x"],
    outputs: ["y"],
    types: { x: floats },
    kind: "elementwise",
    onnx,
    infer: ({ x }, _: NoAttrs) => ({ y: x }),
    reference: ({ x }) => ({ y: new NdArray(x.shape, x.data.map(s.eval)) }),
    grad: (b, p) => ({ x: s.grad(b, p.d.y as Value, p) }),
    code: ([x]) => [s.code(x as string)],
    expression: () => s.expression ?? `${name}(x0)`,
  });
}

export const add: Binary = binary("add", "Add", {
  eval: (a, b) => a + b,
  code: (a, b) => `${a} + ${b}`,
  grad: (_, dy) => ({ a: dy, b: dy }),
});

export const sub: Binary = binary("sub", "Sub", {
  eval: (a, b) => a - b,
  code: (a, b) => `${a} - ${b}`,
  grad: (b, dy) => ({ a: dy, b: neg(b, dy) }),
});

export const mul: Binary = binary("mul", "Mul", {
  eval: (a, b) => a * b,
  code: (a, b) => `${a} * ${b}`,
  grad: (b, dy, p) => ({ a: mul(b, dy, p.in.b), b: mul(b, dy, p.in.a) }),
});

export const div: Binary = binary("div", "Div", {
  eval: (a, b) => a / b,
  code: (a, b) => `${a} / ${b}`,
  grad: (b, dy, p) => {
    const a = div(b, dy, p.in.b);
    return { a, b: neg(b, mul(b, a, p.out.y)) };
  },
});

export const neg: Unary = unary("neg", "Neg", {
  eval: (x) => -x,
  code: (x) => `-${x}`,
  grad: (b, dy) => neg(b, dy),
});

/** y = x, through which no gradient passes. It costs nothing: the pass `simplify` removes it. */
export const stop_gradient: Unary = defineOp({
  name: "stop_gradient",
  inputs: ["x"],
  outputs: ["y"],
  types: { x: floats },
  kind: "elementwise",
  stops: true,
  onnx: "moproc::StopGradient",
  infer: ({ x }, _: NoAttrs) => ({ y: x }),
  reference: ({ x }) => ({ y: x }),
  code: ([x]) => [x as string],
});

/** y = max(x, 0); a NaN stays a NaN. The gradient reads the result, so the operand need not be stored for it. */
export const relu: Unary = unary("relu", "Relu", {
  eval: (x) => Math.max(0, x),
  code: (x) => `max(Vec(0.0f), ${x})`,
  expression: "max(x0,0)",
  grad: (b, dy, p) => relu_grad(b, dy, p.out.y),
});

export const exp: Unary = unary("exp", "Exp", {
  eval: Math.exp,
  code: (x) => `exp(${x})`,
  grad: (b, dy, p) => mul(b, dy, p.out.y),
});

export const log: Unary = unary("log", "Log", {
  eval: Math.log,
  code: (x) => `log(${x})`,
  grad: (b, dy, p) => div(b, dy, p.in.x),
});

export const sqrt: Unary = unary("sqrt", "Sqrt", {
  eval: Math.sqrt,
  code: (x) => `sqrt(${x})`,
  grad: (b, dy, p) => scale(b, div(b, dy, p.out.y), { factor: 0.5 }),
});

export const tanh: Unary = unary("tanh", "Tanh", {
  eval: Math.tanh,
  code: (x) => `tanh(${x})`,
  grad: (b, dy, p) => mul(b, dy, sub(b, scalar(b, 1), square(b, p.out.y))),
});

export const sigmoid: Unary = unary("sigmoid", "Sigmoid", {
  eval: (x) => 1 / (1 + Math.exp(-x)),
  code: (x) => `sigmoid(${x})`,
  grad: (b, dy, p) => mul(b, dy, mul(b, p.out.y, sub(b, scalar(b, 1), p.out.y))),
});

/** y = |x|. The gradient at 0 is 0. */
export const abs: Unary = unary("abs", "Abs", {
  eval: Math.abs,
  code: (x) => `abs(${x})`,
  grad: (b, dy, p) => sub(b, relu_grad(b, dy, p.in.x), relu_grad(b, dy, neg(b, p.in.x))),
});

export const square: Unary = unary("square", "moproc::Square", {
  eval: (x) => x * x,
  code: (x) => `${x} * ${x}`,
  expression: "mul(x0,x0)",
  grad: (b, dy, p) => scale(b, mul(b, dy, p.in.x), { factor: 2 }),
});

/** dx = dy for elements with y > 0, otherwise 0. y is relu's result or its operand. */
export const relu_grad: Op<readonly ["dy", "y"], readonly ["dx"], NoAttrs> = defineOp({
  name: "relu_grad",
  inputs: ["dy", "y"],
  outputs: ["dx"],
  types: { dy: floats, y: floats },
  kind: "elementwise",
  onnx: "moproc::ReluGrad",
  infer: ({ dy, y }, _: NoAttrs) => {
    if (dy.shape.join() !== y.shape.join()) throw new Error(`shapes differ: [${dy.shape}] and [${y.shape}]`);
    return { dx: dy };
  },
  reference: ({ dy, y }) => ({
    dx: NdArray.fill(y.shape, (i) => ((y.data[i] as number) > 0 ? (dy.data[i] as number) : 0)),
  }),
  code: ([dy, y]) => [`select(${y} > Vec(0.0f), ${dy}, Vec(0.0f))`],
  expression: () => "where(greater(x1,0),x0,0)",
});

type CastAttrs = { to: DType };
/** The same values with the dtype `to`. Conversion to an integer rounds towards zero. */
export const cast: Op<readonly ["x"], readonly ["y"], CastAttrs> = defineOp({
  name: "cast",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["to"],
  types: { x: any, to: any },
  kind: "elementwise",
  onnx: "Cast",
  infer: ({ x }, { to }: CastAttrs) => ({ y: { dtype: to, shape: x.shape } }),
  reference: ({ x }, { to }) => ({
    y: new NdArray(
      x.shape,
      x.data.map((v) => wrap(to, v)),
    ),
  }),
  grad: (b, p) => ({ x: cast(b, p.d.y as Value, { to: p.in.x.type.dtype }) }),
  code: ([x]) => [x as string], // loads and stores convert
  expression: ({ to }) => `to_${to}(x0)`,
});

/**
 * y = next if finite f32[] is not 0, otherwise previous; this is how a step commits a state. The result is selected,
 * not computed, so a NaN in `next` does not reach it if finite is 0.
 */
export const where_finite: Op<readonly ["next", "previous", "finite"], readonly ["y"], NoAttrs> = defineOp({
  name: "where_finite",
  inputs: ["next", "previous", "finite"],
  outputs: ["y"],
  types: { next: floats, previous: floats, finite: f32 },
  kind: "elementwise",
  onnx: "Where",
  access: { finite: "scalar" },
  infer: ({ next, previous, finite }, _: NoAttrs) => {
    wantScalar("finite", finite);
    if (next.shape.join() !== previous.shape.join())
      throw new Error(`shapes differ: [${next.shape}] and [${previous.shape}]`);
    return { y: previous };
  },
  reference: ({ next, previous, finite }) => ({ y: finite.at() !== 0 ? next : previous }),
  code: ([next, previous, finite]) => [`select(${finite} == Vec(0.0f), ${previous}, ${next})`],
  expression: () => "where(equal(x2,0),x1,x0)",
});
