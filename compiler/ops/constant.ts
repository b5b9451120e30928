// Numbers that are part of the program: tables and factors.

import type { Builder } from "../ir/builder.js";
import { floats } from "../ir/element_types.js";
import { NdArray } from "../ir/nd.js";
import { elements, type Node, type TensorType, type Value } from "../ir/types.js";
import { floatLiteral } from "../util/float.js";
import { defineOp, type Op } from "./op.js";
import { wantInteger } from "./shape.js";

type ConstantAttrs = { values: readonly number[]; shape: readonly number[]; dtype?: "f32" | "i64" };
/**
 * A tensor of this shape and dtype (absent: f32). `values` has its elements in row-major order, or one value for all of
 * them. `code` has no expression for different values, so the emitter writes them as a table. Throws if the number of
 * values is wrong, or a value of an i64 is not an integer.
 */
export const constant: Op<readonly [], readonly ["y"], ConstantAttrs> = defineOp({
  name: "constant",
  inputs: [],
  outputs: ["y"],
  attrs: ["values", "shape", "dtype?"],
  types: { dtype: ["f32", "i64"] },
  kind: "elementwise",
  onnx: "Constant",
  infer: (_, { values, shape, dtype = "f32" }: ConstantAttrs): { y: TensorType } => {
    for (const d of shape) wantInteger("an extent", d, 0);
    if (values.length !== 1 && values.length !== elements(shape)) {
      throw new Error(`${values.length} values for shape [${shape}]`);
    }
    if (dtype === "i64" && !values.every(Number.isSafeInteger)) throw new Error("values of an i64 must be integers");
    return { y: { dtype, shape } };
  },
  reference: (_, { values, shape }) => ({
    y: NdArray.fill(shape, (i) => values[values.length === 1 ? 0 : i] as number),
  }),
  code: (_, { values }) => {
    if (new Set(values).size !== 1) throw new Error("internal: a table of constants has no scalar expression");
    return [`Vec(${floatLiteral(values[0] as number)})`];
  },
});

/** Appends the constant f32[] x and returns it. */
export const scalar = (b: Builder, x: number): Value => constant(b, { values: [x], shape: [] });

/** Whether n is a constant. It has no operands, so a kernel can recompute it without reading memory. */
export const isConstant = (n: Node | undefined): boolean => n?.op === constant.name;

/** y = x * factor; the factor is an attribute, so it is part of the program. */
export const scale: Op<readonly ["x"], readonly ["y"], { factor: number }> = defineOp({
  name: "scale",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["factor"],
  types: { x: floats },
  kind: "elementwise",
  onnx: "moproc::Scale",
  infer: ({ x }, _: { factor: number }) => ({ y: x }),
  reference: ({ x }, { factor }) => ({
    y: new NdArray(
      x.shape,
      x.data.map((v) => v * factor),
    ),
  }),
  grad: (b, p, { factor }) => ({ x: scale(b, p.d.y as Value, { factor }) }),
  code: ([x], { factor }) => [`${x} * Vec(${floatLiteral(factor)})`],
  expression: ({ factor }) => `mul(x0,${factor})`,
});
