// Workspace and second phase of the templates whose epilogue computes channel sums or moments: kernels/cpu/sums.hpp.

import type { Target } from "../../ir/types.js";
import type { Fused } from "../template.js";

/** The f32 lanes of a register. Throws for an arch that the CPU kernels do not support. */
export function vectorWidth(target: Target): number {
  if (["x86-64-v4", "x86-64-v4+bf16", "x86-64-v4+amx"].includes(target.arch)) return 16;
  if (target.arch === "x86-64-v3") return 8;
  throw new Error(
    `arch ${target.arch}: the CPU kernels are written for x86-64-v3 and x86-64-v4, also with +bf16 or +amx`,
  );
}

/** Channels are padded to 16 in the workspace of partials, whatever the register width. */
export const paddedChannels = (c: number): number => Math.ceil(c / 16) * 16;

/** The values per channel that a tile writes to the workspace. */
export const partialValues = (y: Fused): number => y.sums + (y.moments ? 2 : 0);

/** The bytes of the partials of all groups, for `tiles` tiles per group. */
export const partialBytes = (y: Fused, channels: number, groups: number, tiles: number): number =>
  4 * groups * tiles * partialValues(y) * paddedChannels(channels);

/** The number of tasks of the phase that combines the partials, as a list; empty if there is nothing to combine. */
export const combineTasks = (y: Fused, channels: number, groups: number, target: Target): readonly number[] =>
  partialValues(y) === 0 ? [] : [groups * Math.ceil(channels / vectorWidth(target))];
