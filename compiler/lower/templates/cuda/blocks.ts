// What the CUDA templates share. A launch is one grid of blocks per phase, one after the other.

import { ceilDiv } from "../../../util/math.js";
import type { Fused, LaunchShape, TemplateSpec } from "../../template.js";
import { paddedChannels, partialValues } from "../sums.js";

/**
 * The number of multiprocessors that sizes are chosen for (H100, H200). The bits of results depend on it, as on every
 * tile size, but not on the GPU that runs the kernels.
 */
export const MULTIPROCESSORS = 132;
/** Threads per block of all kernels except matrix products and convolutions. */
export const THREADS = 256;

/** A launch whose i-th phase has tasks[i] blocks. */
export const grid = (tasks: readonly number[], more: Partial<LaunchShape> = {}): LaunchShape => ({
  tasks,
  workspaceBytes: 0,
  scratchBytes: 0,
  ...more,
});

/**
 * The number of blocks of the phase that combines the partials of channel sums, as a list; empty if there are none.
 * combine_tasks in kernels/cuda/sums.cuh.
 */
export const combineBlocks = (y: Fused, channels: number, groups: number): readonly number[] =>
  partialValues(y) === 0 ? [] : [groups * ceilDiv(channels, 8)];

/** The bytes of the partials of all groups, for `tiles` tiles per group. */
export const partialBytes = (y: Fused, channels: number, groups: number, tiles: number): number =>
  4 * groups * tiles * partialValues(y) * paddedChannels(channels);

/** The CUDA template of the same name: it offers what the CPU's offers, except `own`, and has a `launch` of its own. */
export const onCuda = (cpu: TemplateSpec, own: Pick<TemplateSpec, "launch"> & Partial<TemplateSpec>): TemplateSpec => ({
  ...cpu,
  ...own,
  constants: own.constants ?? ((n, target, y) => ({ ...cpu.constants(n, target, y), THREADS })),
});
