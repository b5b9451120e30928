// The matrix product. If it sums over the rows of the batch (a weight gradient), `groups` fixes the order: the sum is
// taken over the rows of each group first, then over the groups in a balanced tree.

import { floats } from "../ir/element_types.js";
import { NdArray } from "../ir/nd.js";
import type { Value } from "../ir/types.js";
import { defineOp, type Op } from "./op.js";
import { dim, wantGroups, wantRank } from "./shape.js";

/** Absent: not transposed, one group. groups > 1 requires ta, and divides the rows of a. */
type MatmulAttrs = { ta?: boolean; tb?: boolean; groups?: number };

/** y [m, n] = a b for matrices a [m, k] and b [k, n]. With `ta` a is [k, m], with `tb` b is [n, k]. */
export const matmul: Op<readonly ["a", "b"], readonly ["y"], MatmulAttrs> = defineOp({
  name: "matmul",
  inputs: ["a", "b"],
  outputs: ["y"],
  attrs: ["ta?", "tb?", "groups?"],
  types: { a: floats, b: floats },
  kind: "kernel",
  onnx: "Gemm",
  batch: ({ ta }) => (ta ? { rows: ["a", "b"], sums: ["y"] } : { rows: ["a"] }),
  infer: ({ a, b }, { ta = false, tb = false, groups = 1 }: MatmulAttrs) => {
    wantRank("a", a, 2);
    wantRank("b", b, 2);
    const k = dim(a, ta ? 0 : 1);
    const k2 = dim(b, tb ? 1 : 0);
    if (k !== k2) throw new Error(`inner dimensions differ: ${k} and ${k2}`);
    if (groups !== 1 && !ta) throw new Error(`groups = ${groups} needs ta: only a's rows can be rows of the batch`);
    wantGroups(k, groups);
    return { y: { dtype: a.dtype, shape: [dim(a, ta ? 1 : 0), dim(b, tb ? 0 : 1)] } };
  },
  reference: ({ a, b }, { ta = false, tb = false }) => {
    const [m, k] = ta ? [dim(a, 1), dim(a, 0)] : [dim(a, 0), dim(a, 1)];
    const n = dim(b, tb ? 0 : 1);
    const y = NdArray.fill([m, n], () => 0);
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let s = 0;
        for (let l = 0; l < k; l++) {
          s += (a.data[ta ? l * m + i : i * k + l] as number) * (b.data[tb ? j * k + l : l * n + j] as number);
        }
        y.data[i * n + j] = s;
      }
    return { y };
  },
  grad: (g, p, { ta = false, tb = false }) => {
    const dy = p.d.y as Value;
    const { a, b } = p.in;
    const rows = dim(a.type, 0);
    // b's gradient is a sum over a's rows, which usually are the batch
    const groups = rows % g.groups === 0 ? g.groups : 1;
    return {
      a: ta ? matmul(g, b, dy, { ta: tb, tb: true }) : matmul(g, dy, b, { tb: !tb }),
      b: tb
        ? matmul(g, dy, a, { ta: true, tb: ta, ...(!ta && { groups }) })
        : matmul(g, a, dy, { ta: !ta, ...(!ta && { groups }) }),
    };
  },
});
