// A lower estimate of the time of a launch on an H200: the larger of its bytes divided by the measured bandwidth and
// its arithmetic divided by the measured speed of the tensor cores. The rates were measured with a copy and with a
// large matrix product.

import type { Target } from "../ir/types.js";

export const ROOFLINE = {
  bytesPerSecond: 4.3e12,
  flopsPerSecond: { bf16: 790e12, tf32: 395e12, f32: 395e12 / 3 }, // f32: three tf32 products
} as const;

/** The predicted time in microseconds of a launch that moves `bytes` and computes `flops`. */
export function predictedMicroseconds(
  cost: { readonly bytes: number; readonly flops: number },
  target: Target,
): number {
  const flops = ROOFLINE.flopsPerSecond[target.precision ?? "f32"];
  return 1e6 * Math.max(cost.bytes / ROOFLINE.bytesPerSecond, cost.flops / flops);
}
