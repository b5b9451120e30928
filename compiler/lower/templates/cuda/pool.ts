// kernels/cuda/max_pool.cuh, max_pool_grad.cuh, global_avg_pool.cuh, pad_channels.cuh.

import type { Node } from "../../../ir/types.js";
import { ceilDiv } from "../../../util/math.js";
import * as cpu from "../pool.js";
import { extents, inputType, outputType } from "../shapes.js";
import { combineBlocks, grid, onCuda, partialBytes, THREADS } from "./blocks.js";

const POOL_TILE = 8; // rows of dx per block, pool_tile in C++

type Four = [number, number, number, number];

/** pool_tasks in C++: the blocks of a kernel with one thread per pixel and vector of channels. */
const vectorBlocks = (pixels: number, c: number): number => ceilDiv(pixels * ceilDiv(c, 8), THREADS);

export const maxPool = onCuda(cpu.maxPool, {
  launch: (n, { rows }) => {
    const [, c, p, q] = extents(n, outputType(n), 4) as Four;
    return grid([vectorBlocks(rows * p * q, c)]);
  },
});

/** pool_tx and pool_shared in C++. */
function gradShape(n: Node) {
  const k = cpu.windowConstants(n, extents(n, inputType(n, 1), 4));
  const vectors = ceilDiv(k.C, 8);
  const tx = Math.min(vectors, 8);
  const windowRows = Math.min(Math.floor((POOL_TILE + k.KERNEL - 2) / k.STRIDE) + 1, k.P);
  return { ...k, wide: ceilDiv(vectors, tx), shared: 8 * tx * windowRows * k.Q };
}

export const maxPoolGrad = onCuda(cpu.maxPoolGrad, {
  constants: (n, target, y) => ({
    ...cpu.maxPoolGrad.constants(n, target, y),
    THREADS,
    SHARED_BYTES: gradShape(n).shared,
  }),
  launch: (n, { rows, groups }, _target, y) => {
    const { C, H, wide } = gradShape(n);
    const tiles = (rows / groups) * ceilDiv(H, POOL_TILE);
    return grid([groups * tiles * wide, ...combineBlocks(y, C, groups)], {
      workspaceBytes: partialBytes(y, C, groups, tiles),
    });
  },
});

export const globalAvgPool = onCuda(cpu.globalAvgPool, {
  launch: (n, { rows }) => grid([vectorBlocks(rows, extents(n, inputType(n, 0), 4)[1] as number)]),
});

/** Constants besides the CPU's: STORED_BYTES (of an element of y). */
export const padChannels = onCuda(cpu.padChannels, {
  constants: (n, target, y) => ({
    ...cpu.padChannels.constants(n, target, y),
    THREADS,
    STORED_BYTES: outputType(n).dtype === "bf16" ? 2 : 4,
  }),
  launch: (n, { rows }) => {
    const [, c, h, w] = extents(n, outputType(n), 4) as Four;
    return grid([vectorBlocks(rows * h * w, c)]);
  },
});
