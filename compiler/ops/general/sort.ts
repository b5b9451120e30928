// The largest or smallest elements along an axis, in order.

import { numeric } from "../../ir/element_types.js";
import { NdArray } from "../../ir/nd.js";
import { elements } from "../../ir/types.js";
import { defineOp, type Op } from "../op.js";
import { dim, wantAxis, wantInteger } from "../shape.js";
import type { Nest } from "./nest.js";
import { scatter_elements, zerosOf } from "./take.js";

type SortAttrs = { axis: number; k: number; largest?: boolean };

/**
 * The first k elements along `axis` in increasing order (largest: in decreasing order), and their positions, i64. Equal
 * elements keep their order. A NaN counts as larger than all numbers.
 */
export const sort: Op<readonly ["x"], readonly ["values", "positions"], SortAttrs> = defineOp({
  name: "sort",
  inputs: ["x"],
  outputs: ["values", "positions"],
  attrs: ["axis", "k", "largest?"],
  types: { x: numeric },
  kind: "kernel",
  onnx: "TopK",
  batch: ({ axis }, rank) => (wantAxis(axis, rank) !== 0 ? { rows: ["x"] } : undefined),
  infer: ({ x }, { axis: a, k }: SortAttrs) => {
    const axis = wantAxis(a, x.shape.length);
    wantInteger("k", k, 0);
    if (k > dim(x, axis)) throw new Error(`axis ${axis} of [${x.shape}] has fewer than ${k} elements`);
    const shape = x.shape.with(axis, k);
    return { values: { dtype: x.dtype, shape }, positions: { dtype: "i64" as const, shape } };
  },
  reference: ({ x }, { axis: a, k, largest = false }) => {
    const axis = wantAxis(a, x.shape.length);
    const [n, inner] = [dim(x, axis), elements(x.shape.slice(axis + 1))];
    const shape = x.shape.with(axis, k);
    const [values, positions] = [NdArray.fill(shape, () => 0), NdArray.fill(shape, () => 0)];
    const above = (p: number, q: number): boolean => p > q || (Number.isNaN(p) && !Number.isNaN(q));
    for (let line = 0; line < x.data.length / n; line++) {
      const [outer, at] = [Math.floor(line / inner), line % inner];
      const of = (j: number): number => x.data[(outer * n + j) * inner + at] as number;
      const order = Array.from({ length: n }, (_, j) => j).sort((p, q) => {
        const [first, second] = largest ? [of(q), of(p)] : [of(p), of(q)];
        return above(first, second) ? 1 : above(second, first) ? -1 : p - q;
      });
      for (let j = 0; j < k; j++) {
        values.data[(outer * k + j) * inner + at] = of(order[j] as number);
        positions.data[(outer * k + j) * inner + at] = order[j] as number;
      }
    }
    return { values, positions };
  },
  grad: (b, p, { axis }) =>
    p.d.values
      ? { x: scatter_elements(b, zerosOf(b, p.in.x.type), p.out.positions, p.d.values, { axis, of: "add" }) }
      : {},
  nest: ({ x }, { axis: a, k, largest = false }): Nest => {
    const axis = wantAxis(a, x.shape.length);
    const n = x.shape[axis] as number;
    return {
      space: x.shape.with(axis, 1),
      work: 1 + n * Math.ceil(Math.log2(n + 1)),
      scratchBytes: 8 * n + 8 * n,
      body: (t, at) => {
        const here = (j: string): string[] => at.with(axis, j);
        const type = t.type(x.dtype);
        return [
          `int64_t* const order = ${t.scratch("int64_t")};`,
          `${type}* const v = reinterpret_cast<${type}*>(order + ${n});`,
          `for (int64_t j = 0; j < ${n}; ++j) { order[j] = j; v[j] = ${t.load(0, here("j"))}; }`,
          `sort_positions(order, v, ${n}, ${k}, ${largest});`,
          `for (int64_t j = 0; j < ${k}; ++j) {`,
          t.store(0, here("j"), "v[order[j]]"),
          t.store(1, here("j"), "order[j]"),
          "}",
        ];
      },
    };
  },
});
