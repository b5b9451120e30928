// What the specs of the CUDA templates share: a launch is a grid of blocks, a phase after the other.

import { ceilDiv } from "../../../util/math.js";
import type { Fused, LaunchShape, TemplateSpec } from "../../template.js";
import { paddedChannels, partialValues } from "../sums.js";

/**
 * Multiprocessors that sizes are balanced for (H100, H200). Results depend on it as on any tile size, not on the GPU.
 */
export const MULTIPROCESSORS = 132;
/** Threads of a block of everything but matrix products. */
export const THREADS = 256;

/** A launch whose phases have so many blocks each. */
export const grid = (tasks: readonly number[], more: Partial<LaunchShape> = {}): LaunchShape => ({
  tasks,
  workspaceBytes: 0,
  scratchBytes: 0,
  ...more,
});

/** Blocks of the phase that combines the partials of channel sums: combine_tasks in kernels/cuda/sums.cuh. */
export const combineBlocks = (y: Fused, channels: number, groups: number): readonly number[] =>
  partialValues(y) === 0 ? [] : [groups * ceilDiv(channels, 8)];

/** Bytes of the partials of `tiles` tiles a group. */
export const partialBytes = (y: Fused, channels: number, groups: number, tiles: number): number =>
  4 * groups * tiles * partialValues(y) * paddedChannels(channels);

/** The template of the same name in kernels/cuda: what it offers is what the CPU's offers, its sizes are its own. */
export const onCuda = (cpu: TemplateSpec, own: Pick<TemplateSpec, "launch"> & Partial<TemplateSpec>): TemplateSpec => ({
  ...cpu,
  ...own,
  constants: own.constants ?? ((n, target, y) => ({ ...cpu.constants(n, target, y), THREADS })),
});
