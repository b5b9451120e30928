// kernels/cpu/max_pool.hpp, max_pool_grad.hpp, global_avg_pool.hpp, pad_channels.hpp.

import { elements, type Node } from "../../ir/types.js";
import { ceilDiv } from "../../util/math.js";
import { plain, type TemplateSpec } from "../template.js";
import { extents, inputType, numberAttr, outputType } from "./shapes.js";
import { combineTasks, partialBytes } from "./sums.js";

const POOL_TILE = 8; // rows of dx per task, pool_tile in C++
const POOL_COLUMNS = 64; // channels at a time, pool_columns in C++
const PAD_PIXELS = 4096; // pixels of a task, pad_pixels in C++
const AVERAGE_CHANNELS = 64; // of a task, average_channels in C++

/** The constants of max_pool and its gradient: C, H, W of x, P, Q of `windows` [N, C, P, Q], KERNEL, STRIDE, PAD. */
export function windowConstants(
  n: Node,
  windows: readonly number[],
): Readonly<Record<"C" | "H" | "W" | "P" | "Q" | "KERNEL" | "STRIDE" | "PAD", number>> {
  const [, C, H, W] = extents(n, inputType(n, 0), 4) as [number, number, number, number];
  const [, , P, Q] = windows as [number, number, number, number];
  return {
    C,
    H,
    W,
    P,
    Q,
    KERNEL: numberAttr(n, "kernel"),
    STRIDE: numberAttr(n, "stride"),
    PAD: numberAttr(n, "pad"),
  };
}

export const maxPool: TemplateSpec = {
  name: "max_pool",
  op: "max_pool",
  prologue: ["x"],
  epilogue: true,
  sums: false,
  moments: false,
  constants: (n) => windowConstants(n, extents(n, outputType(n), 4)),
  launch: (n, { rows }) => ({
    tasks: [rows * (extents(n, outputType(n), 4)[2] as number)],
    workspaceBytes: 0,
    scratchBytes: 0,
  }),
  flops: (n) => elements(outputType(n).shape) * numberAttr(n, "kernel") ** 2,
};

export const maxPoolGrad: TemplateSpec = {
  name: "max_pool_grad",
  op: "max_pool_grad",
  prologue: ["x", "dy"],
  epilogue: true,
  sums: true,
  moments: true,
  constants: (n) => windowConstants(n, extents(n, inputType(n, 1), 4)),
  launch: (n, { rows, groups }, target, y) => {
    const { C, H, P, Q, KERNEL, STRIDE } = windowConstants(n, extents(n, inputType(n, 1), 4));
    const tiles = (rows / groups) * ceilDiv(H, POOL_TILE);
    const windowRows = Math.min(Math.floor((POOL_TILE + KERNEL - 2) / STRIDE) + 1, P);
    return {
      tasks: [groups * tiles, ...combineTasks(y, C, groups, target)],
      workspaceBytes: partialBytes(y, C, groups, tiles),
      scratchBytes: 2 * 4 * windowRows * Q * POOL_COLUMNS,
    };
  },
  flops: (n) => elements(inputType(n, 1).shape) * numberAttr(n, "kernel") ** 2 * 2,
};

/** Constants: PIXELS, C. */
export const globalAvgPool: TemplateSpec = {
  name: "global_avg_pool",
  op: "global_avg_pool",
  prologue: ["x"],
  epilogue: true,
  sums: false,
  moments: false,
  constants: (n) => {
    const [, C, h, w] = extents(n, inputType(n, 0), 4) as [number, number, number, number];
    return { PIXELS: h * w, C };
  },
  launch: (n, { rows }) => ({
    tasks: [rows * ceilDiv(extents(n, inputType(n, 0), 4)[1] as number, AVERAGE_CHANNELS)],
    workspaceBytes: 0,
    scratchBytes: 0,
  }),
  flops: (n) => elements(inputType(n, 0).shape),
};

/** Constants: PIXELS, C of x, PADDED channels of y. */
export const padChannels: TemplateSpec = {
  ...plain,
  name: "pad_channels",
  op: "pad_channels",
  prologue: ["x"],
  constants: (n) => {
    const [, C, h, w] = extents(n, inputType(n, 0), 4) as [number, number, number, number];
    const { dtype, shape } = outputType(n);
    return { PIXELS: h * w, C, PADDED: shape[1] as number, Stored: { type: dtype === "bf16" ? "bf16" : "float" } };
  },
  launch: (n, { rows }) => {
    const [, , h, w] = extents(n, outputType(n), 4) as [number, number, number, number];
    return { tasks: [ceilDiv(rows * h * w, PAD_PIXELS)], workspaceBytes: 0, scratchBytes: 0 };
  },
  flops: () => 0,
};
