// kernels/cuda/pointwise.cuh.

import { ceilDiv } from "../../../util/math.js";
import { domainOf } from "../../domain.js";
import { TooLarge } from "../../too_large.js";
import * as cpu from "../pointwise.js";
import { flagAttr, outputType } from "../shapes.js";
import { partialValues } from "../sums.js";
import { combineBlocks, grid, onCuda, partialBytes, THREADS } from "./blocks.js";

const FLAT_CHUNK = 4096; // elements of a block, flat_chunk in C++

/** pointwise_channel_blocks (`wide`) and pointwise_tile in C++: the blocks of channels, and the pixels per tile. */
function tilesOf(pixels: number, c: number, sums: boolean) {
  const vectors = ceilDiv(c, 8);
  const tx = Math.min(vectors, sums ? 8 : THREADS);
  const round = Math.floor(THREADS / tx) * 4;
  const wide = ceilDiv(vectors, tx);
  if (!sums) return { wide, tile: 2 * round };
  const wanted = Math.max(256, Math.min(2048, ceilDiv(pixels, Math.max(1, Math.floor(1024 / wide)))));
  return { wide, tile: ceilDiv(wanted, round) * round };
}

export const pointwise = onCuda(cpu.pointwise, {
  launch: (n, { rows, groups }, _target, y) => {
    const { pixels, channels } = domainOf(outputType(n).shape);
    if (rows * pixels * (flagAttr(n, "flat") ? channels : 1) >= 2 ** 31)
      throw new TooLarge(
        `pointwise: [${outputType(n).shape}] is too large: a launch has at most 2^31 - 1 pixels (flat: elements)`,
      );
    if (flagAttr(n, "flat")) return grid([ceilDiv(rows * pixels * channels, FLAT_CHUNK)]);
    const ofGroup = (rows / groups) * pixels;
    const { wide, tile } = tilesOf(ofGroup, channels, partialValues(y) > 0);
    const tiles = ceilDiv(ofGroup, tile);
    return grid([groups * tiles * wide, ...combineBlocks(y, channels, groups)], {
      workspaceBytes: partialBytes(y, channels, groups, tiles),
    });
  },
});
