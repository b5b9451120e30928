// The iteration space of a fused body.

import { elements } from "../ir/types.js";

/** rows x pixels x channels, channels innermost in memory: (n, h * w, c) of a 4-D tensor, (m, 1, n) of a matrix. */
export interface Domain {
  readonly rows: number;
  readonly pixels: number;
  readonly channels: number;
}

/** The domain of a tensor of this shape; a vector is one row, and a scalar one channel. */
export function domainOf(shape: readonly number[]): Domain {
  if (shape.length === 4) {
    const [rows, channels, h, w] = shape as [number, number, number, number];
    return { rows, pixels: h * w, channels };
  }
  if (shape.length < 2) return { rows: 1, pixels: 1, channels: shape[0] ?? 1 };
  return { rows: shape[0] as number, pixels: elements(shape.slice(1, -1)), channels: shape.at(-1) as number };
}
