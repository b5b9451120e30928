// Operators on whole numbers that stand for real ones: q means scale * (q - zero point). Products are added as i32.

import type { Builder } from "../../ir/builder.js";
import { type DType, sameShape, type Value } from "../../ir/types.js";
import { compute, converted } from "../../ops/composed/compute.js";
import { biased, convolution } from "../../ops/composed/convolution.js";
import { reshaped } from "../../ops/composed/layout.js";
import { isFloat } from "../../ops/general/expression.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { dataTypes } from "../model.js";
import { product } from "./products.js";
import { type Build, type Rules, since } from "./rule.js";
import { pixelsOf, windowOf } from "./window.js";

const ranges: Readonly<Partial<Record<DType, readonly [number, number]>>> = {
  ...{ i8: [-128, 127], u8: [0, 255], i16: [-32768, 32767], u16: [0, 65535] },
};

/** The real number `real` of operands rounded to the nearest whole one, plus `zero`, as an element that `dtype` has. */
function saturated(at: At, real: string, zero: string, dtype: DType): string {
  const [least, most] = ranges[dtype] ?? at.refuse(`a quantisation to ${dtype} is not supported`);
  return `to_${dtype}(min(max(add(round(${real}),${zero}),${least}),${most}))`;
}

/** The element type that an attribute names; undefined if it is 0. */
function typeOf(at: At, attribute: string): DType | undefined {
  const code = at.int(attribute, 0);
  const dtype = dataTypes[code];
  return code === 0 ? undefined : (dtype ?? at.refuse(`${attribute} ${code} is not supported`));
}

/** Scales or zero points with the axes of x: one number, one for each position of an axis, or one for each block. */
function granular(b: Builder, at: At, v: Value, shape: readonly number[], axis: number, block: number): Value {
  const own = v.type.shape;
  if (own.every((d) => d === 1) && own.length < 2) return reshaped(b, v, []);
  const a = at.axis(axis, shape.length);
  const extent = shape[a] as number;
  if (own.length === 1 && own[0] === extent)
    return reshaped(
      b,
      v,
      shape.map((d, i) => (i === a ? d : 1)),
    );
  const blocks = Math.ceil(extent / block);
  if (block < 1 || !sameShape(own, shape.with(a, blocks)))
    at.refuse(`[${own}] are no scales of [${shape}] along axis ${a} with a block_size of ${block}`);
  return op.gather(b, v, op.map(b, [], { expr: `div(i0,${block})`, shape: [extent] }), { axis: a });
}

const quantize: Build = (at) => {
  const b = at.builder;
  at.ignore("saturate"); // only for floats of 8 bits
  const [axis, block] = [at.int("axis", 1), at.int("block_size", 0)];
  const [x, scale] = [at.in(0), at.in(1)];
  const own = isFloat(scale.type.dtype) ? (scale.type.dtype as DType) : "f32";
  const [asked, wide] = [typeOf(at, "output_dtype"), typeOf(at, "precision") ?? own];
  const zero = at.has(2) ? at.in(2) : undefined;
  const dtype = (zero?.type.dtype as DType | undefined) ?? asked ?? "u8";
  if (asked && asked !== dtype) at.refuse(`output_dtype is ${asked}, but the zero point is ${dtype}`);
  const spreadOf = (v: Value): Value => granular(b, at, v, x.type.shape, axis, block);
  const quotient = `to_f32(to_${wide}(div(to_${wide}(x0),to_${wide}(x1))))`;
  const [by, at0] = [spreadOf(scale), zero && spreadOf(zero)];
  return compute(b, saturated(at, quotient, at0 ? "to_f32(x2)" : "0", dtype), x, by, ...(at0 ? [at0] : []));
};

const dequantize: Build = (at) => {
  const b = at.builder;
  const [axis, block] = [at.int("axis", 1), at.int("block_size", 0)];
  const [x, scale] = [at.in(0), at.in(1)];
  const to = typeOf(at, "output_dtype") ?? (scale.type.dtype as DType);
  const spreadOf = (v: Value): Value => granular(b, at, v, x.type.shape, axis, block);
  const zero = at.has(2) ? [spreadOf(at.in(2))] : [];
  const whole = zero.length > 0 ? "sub(to_i32(x0),to_i32(x2))" : "to_i32(x0)";
  return compute(b, `to_${to}(mul(to_f32(${whole}),to_f32(x1)))`, x, spreadOf(scale), ...zero);
};

/** Values of f32 as u8, with the scale and the zero point that their range, widened to contain 0, has. */
const dynamic: Build = (at) => {
  const [b, x] = [at.builder, at.in(0)];
  const axes = x.type.shape.map((_, i) => i);
  const [most, least] = (["max", "min"] as const).map((of) => op.fold(b, x, { of, axes })) as [Value, Value];
  const range = compute(b, "sub(max(x0,0),min(x1,0))", most, least);
  const scale = op.map(b, [range], { expr: "where(equal(x0,0),1,div(x0,255))" });
  const zero = op.map(b, [least, scale], { expr: saturated(at, "div(sub(0,min(x0,0)),x1)", "0", "u8") });
  return [op.map(b, [x, scale, zero], { expr: saturated(at, "div(x0,x1)", "to_f32(x2)", "u8") }), scale, zero];
};

/** x as i32, minus its zero point. */
const centred = (b: Builder, x: Value, zero: Value | undefined): Value =>
  zero ? op.map(b, [x, zero], { expr: "sub(to_i32(x0),to_i32(x1))" }) : converted(b, x, "i32");

/** A table of one number, or of one for each row of matrices (a vector, or already with their axes). */
function ofRows(b: Builder, v: Value): Value {
  const { shape } = v.type;
  if (shape.length < 2 && shape.every((d) => d === 1)) return reshaped(b, v, []);
  return shape.length === 1 ? reshaped(b, v, [...shape, 1]) : v;
}
/** The same for columns. */
const ofColumns = (b: Builder, v: Value): Value => (v.type.shape.join() === "1" ? reshaped(b, v, []) : v);
/** The same for the first axis of weights [M, ...]. */
const ofOutputs = (b: Builder, v: Value, rank: number): Value =>
  v.type.shape.length === 0 ? v : reshaped(b, v, [...v.type.shape, ...Array<number>(rank - 1).fill(1)]);

const matmulInteger: Build = (at) => {
  const b = at.builder;
  const left = centred(b, at.in(0), at.has(2) ? ofRows(b, at.in(2)) : undefined);
  return product(at, left, centred(b, at.in(1), at.has(3) ? ofColumns(b, at.in(3)) : undefined));
};

/** Sums of products, i32, as results with their own scale and zero point. */
function requantized(at: At, sums: Value, x: Value, w: Value, y: Value, zero: Value): Value {
  const dtype = zero.type.dtype as DType;
  const real = "mul(to_f32(x0),div(mul(to_f32(x1),to_f32(x2)),to_f32(x3)))";
  return op.map(at.builder, [sums, x, w, y, zero], { expr: saturated(at, real, "to_f32(x4)", dtype) });
}

const qlinearMatmul: Build = (at) => {
  const b = at.builder;
  const [aScale, aZero, bScale, bZero] = [
    ofRows(b, at.in(1)),
    ofRows(b, at.in(2)),
    ofColumns(b, at.in(4)),
    ofColumns(b, at.in(5)),
  ];
  const sums = product(at, centred(b, at.in(0), aZero), centred(b, at.in(3), bZero));
  return requantized(at, sums, aScale, bScale, ofRows(b, at.in(6)), ofRows(b, at.in(7)));
};

/** The convolution of whole numbers minus their zero points, as i32; padding counts as 0. */
function convolved(at: At, x: Value, xZero: Value | undefined, w: Value, wZero: Value | undefined, wAt: number): Value {
  const b = at.builder;
  const window = windowOf(at, pixelsOf(at), at.shape(wAt).slice(2));
  const zero = (v: Value | undefined): Value | undefined => v && ofColumns(b, v);
  const rank = w.type.shape.length;
  const weights = centred(b, w, wZero && ofOutputs(b, wZero, rank));
  return convolution(at.builder, centred(b, x, zero(xZero)), weights, window, at.int("group", 1));
}

const convInteger: Build = (at) =>
  convolved(at, at.in(0), at.has(2) ? at.in(2) : undefined, at.in(1), at.has(3) ? at.in(3) : undefined, 1);

const qlinearConv: Build = (at) => {
  const b = at.builder;
  const sums = convolved(at, at.in(0), at.in(2), at.in(3), at.in(5), 3);
  const total = at.has(8) ? biased(at.builder, sums, at.in(8)) : sums;
  const perOutput = ofOutputs(b, at.in(4), sums.type.shape.length - 1);
  return requantized(at, total, ofColumns(b, at.in(1)), perOutput, ofColumns(b, at.in(6)), ofColumns(b, at.in(7)));
};

export const quantized: Rules = {
  QuantizeLinear: since(10, quantize),
  DequantizeLinear: since(10, dequantize),
  DynamicQuantizeLinear: since(11, dynamic),
  MatMulInteger: since(10, matmulInteger),
  QLinearMatMul: since(10, qlinearMatmul),
  ConvInteger: since(10, convInteger),
  QLinearConv: since(10, qlinearConv),
};
