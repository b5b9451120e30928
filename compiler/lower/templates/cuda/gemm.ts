// What convolutions and matrix products share: operands of the tensor cores, tiles, shared memory
// (kernels/cuda/gemm_tile.cuh, gemm_epilogue.cuh).

import type { DType, Target } from "../../../ir/types.js";
import type { Fused } from "../../template.js";
import { partialValues } from "../sums.js";

/** K::Operand of kernels/cuda/gemm_tile.cuh: how operands are stored and multiplied. */
export interface Operand {
  readonly type: "Bf16" | "Tf32" | "Tf32x3";
  readonly bytes: number;
  readonly dtype: DType; // of what is stored
}
const bf16: Operand = { type: "Bf16", bytes: 2, dtype: "bf16" };
const tf32: Operand = { type: "Tf32", bytes: 4, dtype: "f32" };
export const tf32x3: Operand = { type: "Tf32x3", bytes: 4, dtype: "f32" };

/** Operands of convolutions at the target's precision. */
export const convOperand = (target: Target): Operand =>
  target.precision === "bf16" ? bf16 : target.precision === "tf32" ? tf32 : tf32x3;

/** A block computes BM x BN results from STAGES stages of BK terms; a multiprocessor is to hold BLOCKS blocks. */
export type Tile = {
  readonly BM: number;
  readonly BN: number;
  readonly BK: number;
  readonly STAGES: number;
  readonly THREADS: number;
  readonly BLOCKS: number;
};
export const tile = (BM: number, BN: number, BK: number, STAGES: number, THREADS: number, BLOCKS: number): Tile => ({
  BM, BN, BK, STAGES, THREADS, BLOCKS,
});
/** The tile with as many bytes a stage for operands of another size. */
export const forOperand = (t: Tile, o: Operand): Tile => ({ ...t, BK: (t.BK * 2) / o.bytes });

const stageBytes = (t: Tile, o: Operand): number => t.STAGES * (t.BM + t.BN) * t.BK * o.bytes;

/** Dynamic shared memory of a kernel with an epilogue. */
export function epilogueShared(t: Tile, o: Operand, y: Fused): number {
  const v = partialValues(y);
  const lines = t.THREADS / (t.BN / 8);
  return Math.max(stageBytes(t, o), 4 * t.BM * t.BN, 4 * v * lines * t.BN) + (v > 0 ? 4 * v * t.BN + 16 : 0);
}
/** Dynamic shared memory of conv_wgrad. */
export const wgradShared = (t: Tile, o: Operand): number => Math.max(stageBytes(t, o), 16 * t.THREADS);
