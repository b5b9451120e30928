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

/** The norm of the difference, relative to that of `want`: below 6e-3 with two operands and a result of 8 bits. */
export const offBy = (got: NdArray, want: NdArray): number =>
  Math.hypot(...want.data.map((v, i) => v - (got.data[i] as number))) / Math.hypot(...want.data);
