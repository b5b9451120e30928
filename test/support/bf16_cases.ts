// Op cases for targets that store activations as bf16: ops that read an activation as f32, and how far a result may be
// from the reference, which computes in f64.

import type { Builder } from "../../compiler/ir/builder.js";
import type { NdArray } from "../../compiler/ir/nd.js";
import type { Value } from "../../compiler/ir/types.js";
import * as op from "../../compiler/ops/index.js";
import { cpuArch } from "../../tools/cli/cpu.js";
import { type OpCase, opCase } from "./op_cases.js";

/** The kinds of CPU that compute the same bits, in rising order; those that this CPU is; and those that it is not. */
const sameBits = ["x86-64-v3", "x86-64-v4", "x86-64-v4+bf16"];
export const amx = "x86-64-v4+amx";
const native = cpuArch("native", "bf16");
export const hasAmx = native === amx;
const count = hasAmx ? sameBits.length : sameBits.indexOf(native) + 1;
export const archs: readonly string[] = sameBits.slice(0, count);
export const missingArchs: readonly string[] = [...sameBits.slice(count), ...(hasAmx ? [] : [amx])];

/** An activation, the result of a convolution, and one reader of it whose kernel loads f32. */
const reader = (name: string, read: (b: Builder, y: Value, x: Value) => Value): OpCase =>
  opCase(`read_${name}`, { x: [2, 8, 4, 5], w: [8, 8, 1, 1] }, (b, v) => {
    const y = op.relu(b, op.conv(b, v.x, v.w, { stride: 1, pad: 0 }));
    return read(b, y, v.x);
  });
const first = (b: Builder, y: Value): Value => op.slice(b, y, { axis: 0, start: 0, end: 1 }); // a view
export const readers: readonly OpCase[] = [
  reader("sum", (b, y) => op.sum(b, y, { axes: [2, 3] })),
  reader("max", (b, y) => op.max(b, y, { axes: [1] })),
  reader("all_finite", (b, y) => op.all_finite(b, [y])),
  reader("concat", (b, y, x) => op.concat(b, [y, x], { axis: 1 })),
  reader("view_sum", (b, y) => op.sum(b, first(b, y), { axes: [2, 3] })),
  reader("view_of_view_max", (b, y) => op.max(b, op.reshape(b, first(b, y), { shape: [1, 8, 20, 1] }), { axes: [1] })),
  reader("map", (b, y) => op.map(b, [y], { expr: "where(greater(x0,1),erf(x0),floor(x0))" })),
  opCase("read_depthwise", { x: [2, 8, 4, 5], w: [16, 8, 1, 1], d: [16, 1, 3, 3], e: [8, 16, 1, 1] }, (b, v) => {
    const wide = op.relu(b, op.conv(b, v.x, v.w, { stride: 1, pad: 0 }));
    const own = { strides: [1, 1], dilations: [1, 1], pads: [1, 1], parts: 16, out: [4, 5] };
    return op.conv(b, op.relu(b, op.conv_nd(b, wide, v.d, own)), v.e, { stride: 1, pad: 0 });
  }),
  opCase("read_broadcast", { x: [1, 8, 4, 5], w: [8, 8, 1, 1] }, (b, v) => {
    const y = op.conv(b, v.x, v.w, { stride: 1, pad: 0 });
    return op.mul(
      b,
      op.broadcast_copy(b, op.relu(b, y), { shape: [3, 8, 4, 5] }),
      op.broadcast_copy(b, v.x, { shape: [3, 8, 4, 5] }),
    );
  }),
  opCase("read_padded", { x: [2, 8, 4, 5], w: [8, 8, 1, 1], u: [8, 16, 1, 1] }, (b, v) => {
    const y = op.relu(b, op.conv(b, v.x, v.w, { stride: 1, pad: 0 }));
    return op.conv(b, op.pad_channels(b, y, { channels: 16 }), v.u, { stride: 1, pad: 0 });
  }),
  opCase("read_pixel_softmax", { x: [4, 8, 1, 1], w: [8, 8, 1, 1] }, (b, v) => {
    const y = op.conv(b, v.x, v.w, { stride: 1, pad: 0 });
    return op.softmax(b, op.reshape(b, y, { shape: [4, 8] }));
  }),
];

/** A convolution of an activation with 64 channels, which is stored as bf16. */
const window = (
  name: string,
  [h, w]: readonly [number, number],
  shape: readonly number[],
  read: (b: Builder, x: Value, w: Value) => Value,
): OpCase =>
  opCase(`window_${name}`, { u: [3, 8, h, w], e: [64, 8, 1, 1], w: shape }, (b, v) =>
    read(b, op.conv(b, v.u, v.e, { stride: 1, pad: 0 }), v.w),
  );
/**
 * TMA loads these activations as windows of images on sm_90a. Height and width differ, and with stride 2 one is odd and
 * one even, so that the corners of the windows differ, too.
 */
export const windows: readonly OpCase[] = [
  ...[1, 2].flatMap((stride) => [
    window(`fprop_${stride}`, [9, 6], [8, 64, 3, 3], (b, x, w) => op.conv(b, x, w, { stride, pad: 1 })),
    window(`wgrad_${stride}`, [9, 6], [64, 64, 1, 1], (b, x, w) => {
      const dy = op.conv(b, x, w, { stride, pad: 0 });
      return op.conv_wgrad(b, dy, x, { stride, pad: 1, r: 3, s: 3, groups: 1 });
    }),
  ]),
  window("fprop_1x1", [9, 6], [8, 64, 1, 1], (b, x, w) => op.conv(b, x, w, { stride: 2, pad: 0 })),
  window("dgrad", [9, 6], [64, 8, 3, 3], (b, dy, w) => op.conv_dgrad(b, dy, w, { stride: 1, pad: 1, h: 9, w: 6 })),
  window("dgrad_5x5", [9, 4], [64, 8, 5, 5], (b, dy, w) => op.conv_dgrad(b, dy, w, { stride: 1, pad: 1, h: 11, w: 6 })),
];

/** The norm of the difference, relative to that of `want`: below 6e-3 with two operands and a result of 8 bits. */
export const offBy = (got: NdArray, want: NdArray): number =>
  Math.hypot(...want.data.map((v, i) => v - (got.data[i] as number))) / Math.hypot(...want.data);
