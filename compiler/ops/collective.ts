// The ops that all ranks execute together. A rank is a process with its own part of the batch. The pass `distribute`
// inserts these ops for values that depend on more than one part; models never do. Surprising: their references throw,
// because the result depends on the operands of the other ranks, which one graph does not have.

import { any, f32 } from "../ir/element_types.js";
import type { NdArray } from "../ir/nd.js";
import { defineOp, type Op } from "./op.js";
import { dim, wantInteger } from "./shape.js";

type NoAttrs = Record<never, never>;
type RankAttrs = { ranks: number };

const together = (): { y: NdArray } => {
  throw new Error("the value depends on the other ranks");
};

/**
 * y = the sum of all ranks' x, added in a balanced tree over the ranks. The left half of a tree is the largest power of
 * two below its number of ranks.
 */
export const all_reduce: Op<readonly ["x"], readonly ["y"], NoAttrs> = defineOp({
  name: "all_reduce",
  inputs: ["x"],
  outputs: ["y"],
  types: { x: f32 },
  kind: "collective",
  onnx: "moproc::AllReduce",
  inPlace: { y: "x" },
  infer: ({ x }, _: NoAttrs) => ({ y: x }),
  reference: together,
});

/** x [N, ...] -> y [ranks N, ...]: all ranks' rows in the order of the ranks. */
export const all_gather: Op<readonly ["x"], readonly ["y"], RankAttrs> = defineOp({
  name: "all_gather",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["ranks"],
  types: { x: any },
  kind: "collective",
  onnx: "moproc::AllGather",
  infer: ({ x }, { ranks }: RankAttrs) => {
    wantInteger("ranks", ranks, 1);
    return { y: { dtype: x.dtype, shape: x.shape.with(0, dim(x, 0) * ranks) } };
  },
  reference: together,
});

/** x [ranks N, ...], the same on all ranks -> y [N, ...]: the rows of this rank. Throws if the rows do not divide. */
export const own_rows: Op<readonly ["x"], readonly ["y"], RankAttrs> = defineOp({
  name: "own_rows",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["ranks"],
  types: { x: any },
  kind: "collective",
  onnx: "moproc::OwnRows",
  infer: ({ x }, { ranks }: RankAttrs) => {
    wantInteger("ranks", ranks, 1);
    if (dim(x, 0) % ranks !== 0) throw new Error(`${dim(x, 0)} rows do not fall into ${ranks} equal parts`);
    return { y: { dtype: x.dtype, shape: x.shape.with(0, dim(x, 0) / ranks) } };
  },
  reference: together,
});
