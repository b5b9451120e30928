// Dropout (Srivastava et al., JMLR 2014) with counter-based random numbers: whether an element is dropped depends on
// the seed, the step, the layer and the position of the element in the whole batch. So it is the same on any number of
// ranks and after a run has continued, and the gradient computes it again instead of storing it.

import { f32, i64 } from "../../ir/element_types.js";
import { NdArray } from "../../ir/nd.js";
import type { Value } from "../../ir/types.js";
import { defineOp, type Op } from "../op.js";
import { dim, wantInteger, wantRank, wantScalar, wantShape } from "../shape.js";
import { literal, type Nest } from "./nest.js";
import { philoxOf } from "./philox.js";

/** p: the share that is dropped; stream: the number of the layer, of 32 bits. */
export type DropoutAttrs = { p: number; stream: number };

/** An element is dropped if its word is below this number. */
export const threshold = (p: number): number => Math.round(p * 2 ** 32);
/** The words of a row; four elements share a counter. */
export const fours = (width: number): number => Math.ceil(width / 4);

/**
 * x [N, C] -> y [N, C]: 0 for dropped elements, x / (1 - p) for all others. row i64[N] has the numbers of the rows in
 * the whole batch; seed i64[] and step i64[] choose the numbers. Throws unless 0 <= p < 1.
 */
export const dropout: Op<readonly ["x", "row", "seed", "step"], readonly ["y"], DropoutAttrs> = defineOp({
  name: "dropout",
  inputs: ["x", "row", "seed", "step"],
  outputs: ["y"],
  attrs: ["p", "stream"],
  types: { x: f32, row: i64, seed: i64, step: i64 },
  kind: "kernel",
  onnx: "moproc::Dropout",
  batch: { rows: ["x", "row"] },
  infer: ({ x, row, seed, step }, { p, stream }: DropoutAttrs) => {
    wantRank("x", x, 2);
    wantShape("row", row, [dim(x, 0)]);
    wantScalar("seed", seed);
    wantScalar("step", step);
    wantInteger("stream", stream, 0);
    if (stream >= 2 ** 32) throw new Error(`stream ${stream} has more than 32 bits`);
    if (!(p >= 0 && p < 1)) throw new Error(`p must be at least 0 and less than 1, not ${p}`);
    return { y: x };
  },
  reference: ({ x, row, seed, step }, { p, stream }) => {
    const width = dim(x, 1);
    const [most, each] = [threshold(p), fours(width)];
    return {
      y: NdArray.fill(x.shape, (i) => {
        const [n, c] = [Math.floor(i / width), i % width];
        const four = (row.data[n] as number) * each + Math.floor(c / 4);
        const word = philoxOf(four, step.at(), stream, seed.at())[c % 4] as number;
        return word < most ? 0 : (x.data[i] as number) / (1 - p);
      }),
    };
  },
  grad: (b, p, attrs) => ({ x: dropout(b, p.d.y as Value, p.in.row, p.in.seed, p.in.step, attrs) }),
  nest: ({ x }, { p, stream }): Nest => {
    const width = dim(x, 1);
    const each = fours(width);
    return {
      space: [dim(x, 0), each],
      work: 60,
      body: (k, [n, j]) => {
        const type = k.type(x.dtype);
        const at = [n as string, `${j} * 4 + i`];
        const four = `${k.load(1, [n as string])} * ${each} + ${j}`;
        return [
          `const Philox r = philox_of(${four}, ${k.load(3, [])}, ${stream}u, ${k.load(2, [])});`,
          `for (int64_t i = 0; i < 4 && ${j} * 4 + i < ${width}; ++i) {`,
          `const ${type} v = mul_(${k.load(0, at)}, ${literal(1 / (1 - p), type)});`,
          k.store(0, at, `r.word[i] < uint64_t(${threshold(p)}ull) ? ${literal(0, type)} : v`),
          "}",
        ];
      },
    };
  },
});
