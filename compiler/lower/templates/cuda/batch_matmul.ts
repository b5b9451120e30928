// kernels/cuda/batch_matmul.cuh: products of stacks of f32 matrices that lie one after the other. 4-D tensors, which
// are stored channels-last, have no kernel.

import { elements, type Node } from "../../../ir/types.js";
import { ceilDiv } from "../../../util/math.js";
import * as cpu from "../batch_matmul.js";
import { inputType, outputType } from "../shapes.js";
import { grid, onCuda } from "./blocks.js";
import { stageBytes, tf32x3, tile } from "./gemm.js";

const whole = tile(64, 32, 32, 3, 128, 0);
const { BLOCKS: _, ...TILE } = whole;

/** The matrices of a tensor. */
const stackOf = (shape: readonly number[]): number => elements(shape.slice(0, -2));

function sizes(n: Node) {
  const [a, b, y] = [inputType(n, 0), inputType(n, 1), outputType(n)];
  const [M, N] = y.shape.slice(-2) as [number, number];
  const STACK = stackOf(y.shape);
  const each = (shape: readonly number[]): number => (stackOf(shape) === STACK ? 1 : 0);
  return { M, N, TERMS: a.shape.at(-1) as number, STACK, A_MATRIX: each(a.shape), B_MATRIX: each(b.shape) };
}

export const batchMatmul = onCuda(cpu.batchMatmul, {
  takes: (n) => {
    const shapes = [inputType(n, 0), inputType(n, 1), outputType(n)].map((t) => t.shape);
    const inOrder = shapes.every((s) => s.length !== 4 && [1, stackOf(outputType(n).shape)].includes(stackOf(s)));
    return inOrder && cpu.batchMatmul.takes?.(n) === true;
  },
  constants: (n) => ({
    ...sizes(n),
    Operand: { type: tf32x3.type },
    ...TILE,
    SHARED_BYTES: stageBytes(whole, tf32x3),
  }),
  launch: (n) => {
    const { M, N, STACK } = sizes(n);
    return grid([STACK * ceilDiv(M, TILE.TILE_ROWS) * ceilDiv(N, TILE.TILE_COLUMNS)]);
  },
});
