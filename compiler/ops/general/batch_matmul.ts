// Products of stacks of matrices, in any element type. Products of f16 and bf16 are added in f32.

import type { Builder } from "../../ir/builder.js";
import { numeric } from "../../ir/element_types.js";
import { NdArray } from "../../ir/nd.js";
import type { TensorType, Value } from "../../ir/types.js";
import { defineOp, type Op } from "../op.js";
import { broadcastIndex, broadcastShape } from "../shape.js";
import { wrap } from "./expression.js";
import { sumToAny, transposed } from "./map.js";
import { literal, loops, type Nest } from "./nest.js";

// biome-ignore lint/complexity/noBannedTypes: {} is the type of no attributes
type NoAttrs = {};

const last2 = (b: Builder, x: Value): Value => {
  const axes = [...x.type.shape.keys()];
  return transposed(b, x, [...axes.slice(0, -2), axes.at(-1) as number, axes.at(-2) as number]);
};

/** a [..., M, K] times b [..., K, N] -> y [..., M, N]; the leading axes broadcast. */
export const batch_matmul: Op<readonly ["a", "b"], readonly ["y"], NoAttrs> = defineOp({
  name: "batch_matmul",
  inputs: ["a", "b"],
  outputs: ["y"],
  types: { a: numeric, b: numeric },
  oneType: true,
  kind: "kernel",
  onnx: "MatMul",
  batch: (_, __, shapes) => {
    const outer = broadcastShape(...(shapes.map((s) => s.slice(0, -2)) as [number[], number[]]));
    const own = (s: readonly number[]): boolean => s.length === outer.length + 2 && s[0] === outer[0];
    if (outer.length > 0) return { rows: shapes.flatMap((s, i) => (own(s) ? [i] : [])), broadcasts: true };
    return { rows: ["a"] }; // rows of a matrix
  },
  infer: ({ a, b }, _: NoAttrs) => {
    if (a.shape.length < 2 || b.shape.length < 2) throw new Error(`[${a.shape}] or [${b.shape}] is no matrix`);
    if (a.shape.at(-1) !== b.shape.at(-2)) throw new Error(`the inner extents of [${a.shape}] and [${b.shape}] differ`);
    const outer = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    return { y: { dtype: a.dtype, shape: [...outer, a.shape.at(-2) as number, b.shape.at(-1) as number] } };
  },
  reference: ({ a, b }, _, types) => {
    const outer = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const [m, k, n] = [a.shape.at(-2), a.shape.at(-1), b.shape.at(-1)] as [number, number, number];
    const [ia, ib] = [broadcastIndex(a.shape.slice(0, -2), outer), broadcastIndex(b.shape.slice(0, -2), outer)];
    return {
      y: NdArray.fill([...outer, m, n], (at) => {
        const [o, i, j] = [Math.floor(at / (m * n)), Math.floor(at / n) % m, at % n];
        let sum = 0;
        for (let l = 0; l < k; l++)
          sum +=
            (a.data[((ia[o] as number) * m + i) * k + l] as number) *
            (b.data[((ib[o] as number) * k + l) * n + j] as number);
        return wrap(types.a.dtype, sum);
      }),
    };
  },
  grad: (b, p) => {
    const dy = p.d.y as Value;
    return {
      a: sumToAny(b, batch_matmul(b, dy, last2(b, p.in.b)), p.in.a.type.shape),
      b: sumToAny(b, batch_matmul(b, last2(b, p.in.a), dy), p.in.b.type.shape),
    };
  },
  nest: ({ a, b }, _, { y }): Nest => {
    const [k, n] = [a.shape.at(-1), y.shape.at(-1)] as [number, number];
    return {
      space: y.shape.with(-1, 1),
      work: 1 + 2 * k * n,
      scratchBytes: 8 * n,
      body: (t, at) => {
        const outer = at.slice(0, -2);
        const own = (x: TensorType, row: string, column: string): string[] => [
          ...x.shape
            .slice(0, -2)
            .map((d, i) => (d === 1 ? "0" : (outer[i + outer.length - x.shape.length + 2] as string))),
          row,
          column,
        ];
        const type = t.type(a.dtype);
        return [
          `${type}* const sum = ${t.scratch(type)};`,
          `for (int64_t j = 0; j < ${n}; ++j) sum[j] = ${literal(0, type)};`,
          ...loops([k], "l", ([l]) => [
            `const ${type} v = ${t.load(0, own(a, at.at(-2) as string, l as string))};`,
            `for (int64_t j = 0; j < ${n}; ++j)`,
            `  sum[j] = add_(sum[j], mul_(v, ${t.load(1, own(b, l as string, "j"))}));`,
          ]),
          `for (int64_t j = 0; j < ${n}; ++j) ${t.store(0, at.with(-1, "j"), "sum[j]")}`,
        ];
      },
    };
  },
});
