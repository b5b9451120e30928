// Elementwise ops between a batch of images x [N, C, H, W] (or a matrix [N, C]) and tables with one value per group of
// rows and channel, [G, C]. Row n belongs to group floor(n / (N / G)). If G = 1, the whole batch has one value per
// channel.

import { floats } from "../ir/element_types.js";
import { NdArray } from "../ir/nd.js";
import type { TensorType, Value } from "../ir/types.js";
import { constant } from "./constant.js";
import { cast, div, mul, sub } from "./elementwise.js";
import { defineOp, type Op } from "./op.js";
import { channel_sum } from "./reduce.js";
import { channelsOf, dim, eachChannelElement, wantGroups, wantRank, wantShape } from "./shape.js";

type NoAttrs = Record<never, never>;

function checkGroups(x: TensorType, tables: Readonly<Record<string, TensorType>>): void {
  wantRank("x", x, 2, 4);
  const groups = Object.values(tables)[0]?.shape[0] ?? 1;
  for (const [name, t] of Object.entries(tables)) wantShape(name, t, [groups, dim(x, 1)]);
  wantGroups(dim(x, 0), groups);
}

/** y[i] = f(i, k), where k is the index in the tables of the group and channel of element i of x. */
function perChannel(x: NdArray, table: NdArray, f: (i: number, k: number) => number): NdArray {
  const y = NdArray.fill(x.shape, () => 0);
  const channels = dim(x, 1);
  eachChannelElement(x, dim(table, 0), (i, g, c) => {
    y.data[i] = f(i, g * channels + c);
  });
  return y;
}

/** y = scale[g, c] * x + bias[g, c]. */
export const affine: Op<readonly ["x", "scale", "bias"], readonly ["y"], NoAttrs> = defineOp({
  name: "affine",
  inputs: ["x", "scale", "bias"],
  outputs: ["y"],
  types: { x: floats, scale: floats, bias: floats },
  kind: "elementwise",
  onnx: "moproc::Affine",
  access: { scale: "group_channel", bias: "group_channel" },
  infer: ({ x, scale, bias }, _: NoAttrs) => {
    checkGroups(x, { scale, bias });
    return { y: x };
  },
  reference: ({ x, scale, bias }) => ({
    y: perChannel(x, scale, (i, k) => (x.data[i] as number) * (scale.data[k] as number) + (bias.data[k] as number)),
  }),
  grad: (b, p) => {
    const dy = p.d.y as Value;
    const shape = p.in.scale.type.shape;
    const groups = shape[0] as number;
    return {
      x: affine(b, dy, p.in.scale, constant(b, { values: [0], shape })),
      scale: channel_sum(b, mul(b, dy, p.in.x), { groups }),
      bias: channel_sum(b, dy, { groups }),
    };
  },
  code: ([x, s, t]) => [`fma(${x}, ${s}, ${t})`],
});

/** y = a[g, c] * dy + b[g, c] * x + c[g, c], the form of batch_norm's dx. It has no gradient. */
export const affine2: Op<readonly ["dy", "x", "a", "b", "c"], readonly ["y"], NoAttrs> = defineOp({
  name: "affine2",
  inputs: ["dy", "x", "a", "b", "c"],
  outputs: ["y"],
  types: { dy: floats, x: floats, a: floats, b: floats, c: floats },
  kind: "elementwise",
  onnx: "moproc::Affine2",
  access: { a: "group_channel", b: "group_channel", c: "group_channel" },
  infer: ({ dy, x, a, b, c }, _: NoAttrs) => {
    checkGroups(x, { a, b, c });
    wantShape("dy", dy, x.shape);
    return { y: dy };
  },
  reference: ({ dy, x, a, b, c }) => {
    const at = (t: NdArray, i: number): number => t.data[i] as number;
    return { y: perChannel(x, a, (i, k) => at(a, k) * at(dy, i) + at(b, k) * at(x, i) + at(c, k)) };
  },
  code: ([dy, x, a, b, c]) => [`fma(${a}, ${dy}, fma(${b}, ${x}, ${c}))`],
});

/** y = (x - mean[g, c]) * rstd[g, c]. It has no gradient. */
export const normalize: Op<readonly ["x", "mean", "rstd"], readonly ["y"], NoAttrs> = defineOp({
  name: "normalize",
  inputs: ["x", "mean", "rstd"],
  outputs: ["y"],
  types: { x: floats, mean: floats, rstd: floats },
  kind: "elementwise",
  onnx: "moproc::Normalize",
  access: { mean: "group_channel", rstd: "group_channel" },
  infer: ({ x, mean, rstd }, _: NoAttrs) => {
    checkGroups(x, { mean, rstd });
    return { y: x };
  },
  reference: ({ x, mean, rstd }) => ({
    y: perChannel(x, mean, (i, k) => ((x.data[i] as number) - (mean.data[k] as number)) * (rstd.data[k] as number)),
  }),
  code: ([x, m, r]) => [`(${x} - ${m}) * ${r}`],
});

type ImageAttrs = { mean: readonly number[]; std: readonly number[] };
/**
 * img u8[N, C, H, W] -> y f32 of the same shape: (img / 255 - mean[c]) / std[c], rounded after each operation, in this
 * order. Throws unless mean and std have C numbers each and those of std are positive.
 */
export const normalize_image: Op<readonly ["img"], readonly ["y"], ImageAttrs> = defineOp({
  name: "normalize_image",
  inputs: ["img"],
  outputs: ["y"],
  attrs: ["mean", "std"],
  types: { img: ["u8"] },
  kind: "composite",
  onnx: "moproc::NormalizeImage",
  batch: { rows: ["img"] },
  infer: ({ img }, { mean, std }: ImageAttrs) => {
    wantRank("img", img, 4);
    const channels = dim(img, 1);
    if (mean.length !== channels || std.length !== channels) {
      throw new Error(`${mean.length} means and ${std.length} deviations for ${channels} channels`);
    }
    if (!std.every((s) => s > 0)) throw new Error(`deviations must be positive: [${std}]`);
    return { y: { dtype: "f32" as const, shape: img.shape } };
  },
  reference: ({ img }, { mean, std }) => {
    const { c: channels, pixels } = channelsOf(img);
    return {
      y: NdArray.fill(img.shape, (i) => {
        const c = Math.floor(i / pixels) % channels;
        return ((img.data[i] as number) / 255 - (mean[c] as number)) / (std[c] as number);
      }),
    };
  },
  expand: (b, { img }, { mean, std }) => {
    const shape = [1, dim(img.type, 1), 1, 1];
    const unit = div(b, cast(b, img, { to: "f32" }), constant(b, { values: [255], shape: [] }));
    const centred = sub(b, unit, constant(b, { values: mean, shape }));
    return { y: div(b, centred, constant(b, { values: std, shape })) };
  },
});
