// kernels/cpu/matmul.hpp: y[m, n] = op(a) op(b) from packed panels, with prologues, epilogue, channel sums
// and moments.

import type { Node } from "../../ir/types.js";
import { ceilDiv } from "../../util/math.js";
import type { TemplateSpec } from "../template.js";
import { extents, flagAttr, inputType, outputType } from "./shapes.js";
import { combineTasks, partialBytes } from "./sums.js";

// Gemm in C++: terms per block, rows per block, stride of a packed a.
export const TERM_BLOCK = 256;
const [BLOCK_ROWS, TERM_STRIDE] = [168, 176];

interface Sizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** m, n and k of a matmul node. Throws unless its matrices have rank 2. */
export function sizesOf(node: Node): Sizes {
  const [m, n] = extents(node, outputType(node), 2) as [number, number];
  return { m, n, k: extents(node, inputType(node, 0), 2)[flagAttr(node, "ta") ? 0 : 1] as number };
}

/** matmul_blocks in C++: the blocks into which the rows of one group, and the columns, are divided. */
export function blocksOf(groupRows: number, groups: number, n: number) {
  const mBlocks = ceilDiv(groupRows, BLOCK_ROWS);
  let columns = 256;
  while (columns > 64 && mBlocks * groups * ceilDiv(n, columns) < 64) columns /= 2;
  return { rows: ceilDiv(groupRows, mBlocks), mBlocks, columns, nBlocks: ceilDiv(n, columns) };
}

/** matmul_depth in C++: the most partial results that the tree over `groups` groups of terms keeps at one time. */
function depthOf(groups: number): number {
  let depth = 1;
  while (2 ** (depth - 1) < groups) depth++;
  return depth;
}

/**
 * Constants: TRANSPOSE_A, TRANSPOSE_B, N. Params::extent is m, n, k. Params::groups divides the terms if TRANSPOSE_A is
 * set, otherwise the rows.
 */
export const matmul: TemplateSpec = {
  name: "matmul",
  op: "matmul",
  prologue: ["a", "b"],
  operandType: () => "f32",
  epilogue: true,
  sums: true,
  moments: true,
  constants: (node) => ({
    TRANSPOSE_A: flagAttr(node, "ta") ? 1 : 0,
    TRANSPOSE_B: flagAttr(node, "tb") ? 1 : 0,
    N: sizesOf(node).n,
  }),
  launch: (node, { groups }, target, y) => {
    const { m, n, k } = sizesOf(node);
    const [rowGroups, termGroups] = flagAttr(node, "ta") ? [1, groups] : [groups, 1];
    const cut = blocksOf(m / rowGroups, rowGroups, n);
    return {
      tasks: [rowGroups * cut.mBlocks * cut.nBlocks, ...combineTasks(y, n, rowGroups, target)],
      workspaceBytes: partialBytes(y, n, rowGroups, cut.mBlocks),
      scratchBytes:
        4 * (TERM_STRIDE * TERM_BLOCK + TERM_BLOCK * cut.columns + depthOf(termGroups) * cut.rows * cut.columns),
      extent: [m, n, k],
    };
  },
  repeats: (node, input) => {
    const { m, n } = sizesOf(node);
    const cut = blocksOf(m, 1, n);
    return input === "a" ? cut.nBlocks : cut.mBlocks;
  },
  grouped: (node) => {
    const [ta, tb] = [flagAttr(node, "ta"), flagAttr(node, "tb")];
    return { operands: ta && !tb ? ["a", "b"] : ["a"], result: !ta };
  },
  flops: (node) => {
    const { m, n, k } = sizesOf(node);
    return 2 * m * n * k;
  },
};
