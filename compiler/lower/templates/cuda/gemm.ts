// What convolutions and matrix products share: operands of the tensor cores, tiles, and sizes of shared memory
// (kernels/cuda/gemm_tile.cuh, gemm_epilogue.cuh).

import type { DType, Target } from "../../../ir/types.js";
import type { Fused } from "../../template.js";
import { partialValues } from "../sums.js";
import { limitsOf, sharedFor } from "./limits.js";

/** K::Operand of kernels/cuda/gemm_tile.cuh: how operands are stored and multiplied. */
export interface Operand {
  readonly type: "Bf16" | "Tf32" | "Tf32x3";
  readonly bytes: number;
  readonly dtype: DType; // of the stored operand
}
const bf16: Operand = { type: "Bf16", bytes: 2, dtype: "bf16" };
const tf32: Operand = { type: "Tf32", bytes: 4, dtype: "f32" };
export const tf32x3: Operand = { type: "Tf32x3", bytes: 4, dtype: "f32" };

/** The operands of convolutions at the target's precision. */
export const convOperand = (target: Target): Operand =>
  target.precision === "bf16" ? bf16 : target.precision === "tf32" ? tf32 : tf32x3;

/**
 * A block of THREADS threads computes TILE_ROWS x TILE_COLUMNS results, STAGE_TERMS terms at a time, with STAGES such
 * stages in shared memory. BLOCKS blocks must fit on a multiprocessor.
 */
export type Tile = {
  readonly TILE_ROWS: number;
  readonly TILE_COLUMNS: number;
  readonly STAGE_TERMS: number;
  readonly STAGES: number;
  readonly THREADS: number;
  readonly BLOCKS: number;
};
export const tile = (
  TILE_ROWS: number,
  TILE_COLUMNS: number,
  STAGE_TERMS: number,
  STAGES: number,
  THREADS: number,
  BLOCKS: number,
): Tile => ({
  TILE_ROWS,
  TILE_COLUMNS,
  STAGE_TERMS,
  STAGES,
  THREADS,
  BLOCKS,
});
/** `t`, whose STAGE_TERMS is for 2-byte operands, with as many bytes per stage for the operand `o`. */
export const forOperand = (t: Tile, o: Operand): Tile => ({ ...t, STAGE_TERMS: (t.STAGE_TERMS * 2) / o.bytes });

/** Bytes of shared memory of all stages. */
export const stageBytes = (t: Tile, o: Operand): number =>
  t.STAGES * (t.TILE_ROWS + t.TILE_COLUMNS) * t.STAGE_TERMS * o.bytes;

/** Bytes of shared memory of an epilogue by `threads` threads: for one tile (`scratch`), and kept across tiles. */
function epilogueBytes(t: Tile, y: Fused, threads: number): { readonly scratch: number; readonly state: number } {
  const v = partialValues(y);
  const lines = threads / (t.TILE_COLUMNS / 8);
  return {
    scratch: Math.max(4 * t.TILE_ROWS * t.TILE_COLUMNS, 4 * v * lines * t.TILE_COLUMNS),
    state: v > 0 ? 4 * v * t.TILE_COLUMNS + 16 : 0,
  };
}

/** Bytes of dynamic shared memory per block of a kernel with an epilogue. */
export function epilogueShared(t: Tile, o: Operand, y: Fused): number {
  const { scratch, state } = epilogueBytes(t, y, t.THREADS);
  return Math.max(stageBytes(t, o), scratch) + state;
}
/** Bytes of dynamic shared memory per block of conv_wgrad. */
export const wgradShared = (t: Tile, o: Operand): number => Math.max(stageBytes(t, o), 16 * t.THREADS);

/** Whether convolutions have a separate path for sm_90a (kernels/cuda/gemm_path.cuh), which multiplies bf16 only. */
export const hasHopper = (target: Target): boolean =>
  target.precision === "bf16" && target.arch.split(",").some((a) => a === "sm_90a" || a === "emulator_sm_90a");

/**
 * The tile on the path for sm_90a: HOPPER_WORKERS threads multiply and one more warp group loads. Stages have 64 terms;
 * shared memory holds them and the epilogue's memory.
 */
export type HopperTile = {
  readonly HOPPER_WORKERS: number;
  readonly HOPPER_THREADS: number;
  readonly HOPPER_STAGES: number;
  readonly HOPPER_BLOCKS: number;
  readonly HOPPER_SHARED_BYTES: number;
};

export const HOPPER_TERMS = 64;
const HOPPER = limitsOf("sm_90a");
const MOST_STAGES = 6;

/**
 * The tile on the path for sm_90a for the tile `t`. `y` is what the epilogue computes, undefined without one. `alone`
 * says that a block's threads need more than half of the registers, so that only one block fits on a multiprocessor.
 */
export function hopperTile(t: Tile, y: Fused | undefined, alone: boolean): HopperTile {
  const workers = t.TILE_ROWS * t.TILE_COLUMNS >= 128 * 128 ? 256 : 128;
  const { scratch, state } = y ? epilogueBytes(t, y, workers) : { scratch: 0, state: 0 };
  const stage = 2 * (t.TILE_ROWS + t.TILE_COLUMNS) * HOPPER_TERMS;
  const barriers = 16;
  const stagesIn = (bytes: number): number =>
    Math.min(MOST_STAGES, Math.floor((bytes - scratch - state) / (stage + barriers)));
  const half = sharedFor(HOPPER, 2);
  const blocks = !alone && workers === 128 && stagesIn(half) >= 3 ? 2 : 1;
  const stages = stagesIn(blocks === 2 ? half : HOPPER.sharedOfBlock);
  return {
    HOPPER_WORKERS: workers,
    HOPPER_THREADS: workers + 128,
    HOPPER_STAGES: stages,
    HOPPER_BLOCKS: blocks,
    HOPPER_SHARED_BYTES: stages * (stage + barriers) + scratch + state,
  };
}
