// kernels/cuda/matmul.cuh: matrices are f32 and multiplied as three tf32 products. If there are few results, long sums
// are split between blocks.

import type { Node } from "../../../ir/types.js";
import { ceilDiv } from "../../../util/math.js";
import * as cpu from "../matmul.js";
import { flagAttr } from "../shapes.js";
import { combineBlocks, grid, MULTIPROCESSORS, onCuda, partialBytes } from "./blocks.js";
import { epilogueShared, tf32x3, tile } from "./gemm.js";

const { BLOCKS: _, ...TILE } = tile(64, 32, 32, 3, 128, 0);

/** The blocks and splits of one group's part, which must not depend on the number of groups. */
function cutOf(node: Node, groups: number) {
  const { m, n, k } = cpu.sizesOf(node);
  const [rowGroups, termGroups] = flagAttr(node, "ta") ? [1, groups] : [groups, 1];
  const blocksM = ceilDiv(m / rowGroups, TILE.TILE_ROWS);
  const tiles = blocksM * ceilDiv(n, TILE.TILE_COLUMNS);
  const stages = ceilDiv(k / termGroups, TILE.STAGE_TERMS);
  const splits = Math.max(1, Math.min(Math.floor((2 * MULTIPROCESSORS) / tiles), Math.floor(stages / 4)));
  return { m, n, k, rowGroups, blocksM, splits, parts: termGroups * splits };
}

/** Params::extent is m, n, k and the number of splits of a group's terms. */
export const matmul = onCuda(cpu.matmul, {
  constants: (node, target, y) => ({
    ...cpu.matmul.constants(node, target, y),
    Operand: { type: tf32x3.type },
    ...TILE,
    SHARED_BYTES: epilogueShared({ ...TILE, BLOCKS: 0 }, tf32x3, y),
  }),
  launch: (node, { groups }, _target, y) => {
    const c = cutOf(node, groups);
    const tiles = c.rowGroups * c.blocksM * ceilDiv(c.n, TILE.TILE_COLUMNS);
    const combine = combineBlocks(y, c.n, c.rowGroups);
    const waiting = c.parts > 1 ? 4 * c.parts * c.m * (ceilDiv(c.n, 8) * 8) : 0;
    return grid(c.parts > 1 ? [c.parts * tiles, tiles, ...combine] : [tiles, ...combine], {
      workspaceBytes: partialBytes(y, c.n, c.rowGroups, c.blocksM) + waiting,
      extent: [c.m, c.n, c.k, c.splits],
    });
  },
});
