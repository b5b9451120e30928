// What a launch would take on an H200 that did nothing wrong: the larger of its bytes over the measured bandwidth and
// its arithmetic over the measured speed of the tensor cores. Rates are those of a copy and of a large matrix product.

import type { Target } from "../ir/types.js";

export const ROOFLINE = {
  bytesPerSecond: 4.3e12,
  flopsPerSecond: { bf16: 790e12, tf32: 395e12, f32: 395e12 / 3 }, // f32: three tf32 products
} as const;

/** Microseconds. */
export function predictedMicroseconds(
  cost: { readonly bytes: number; readonly flops: number },
  target: Target,
): number {
  const flops = ROOFLINE.flopsPerSecond[target.precision ?? "f32"];
  return 1e6 * Math.max(cost.bytes / ROOFLINE.bytesPerSecond, cost.flops / flops);
}
