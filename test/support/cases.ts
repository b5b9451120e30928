// The cases of op_cases.ts. A new op needs one line here, and the tests that go through the table then test it, too.

import type { Value } from "../../compiler/ir/types.js";
import * as op from "../../compiler/ops/index.js";
import { generalCases } from "./general_cases.js";
import { bytes, fixed, flags, labels, number, type OpCase, opCase, positive } from "./op_cases.js";

const elementwise: readonly OpCase[] = [
  opCase("add", { a: [3, 5], b: [3, 5] }, (b, v) => op.add(b, v.a, v.b)),
  opCase("add_channel", { a: [4, 3, 2, 5], b: [1, 3, 1, 1] }, (b, v) => op.add(b, v.a, v.b), { groups: 2 }),
  opCase("add_images", { a: [4, 3, 2, 5], b: [3, 2, 5] }, (b, v) => op.add(b, v.a, v.b)),
  opCase("add_bias", { a: [6, 17], b: [17] }, (b, v) => op.add(b, v.a, v.b), { groups: 3 }),
  opCase("add_scalar", { a: [], b: [2, 3] }, (b, v) => op.add(b, v.a, v.b)),
  opCase("sub", { a: [3, 5], b: [3, 1] }, (b, v) => op.sub(b, v.a, v.b)),
  opCase("mul", { a: [3, 5], b: [3, 5] }, (b, v) => op.mul(b, v.a, v.b)),
  opCase("mul_row_channel", { a: [2, 3, 4, 2], b: [2, 3, 1, 1] }, (b, v) => op.mul(b, v.a, v.b)),
  opCase("mul_rank3", { a: [2, 3, 4], b: [2, 1, 4] }, (b, v) => op.mul(b, v.a, v.b)),
  opCase("mul_itself", { a: [7] }, (b, v) => op.mul(b, v.a, v.a)),
  opCase("div", { a: [3, 5], b: positive([5]) }, (b, v) => op.div(b, v.a, v.b)),
  opCase("neg", { x: [2, 33] }, (b, v) => op.neg(b, v.x)),
  opCase("relu", { x: [2, 33] }, (b, v) => op.relu(b, v.x)),
  opCase("relu_grad", { dy: fixed([2, 33]), y: fixed([2, 33]) }, (b, v) => op.relu_grad(b, v.dy, v.y)),
  opCase("exp", { x: [2, 33] }, (b, v) => op.exp(b, v.x)),
  opCase("log", { x: positive([2, 33]) }, (b, v) => op.log(b, v.x)),
  opCase("sqrt", { x: positive([2, 33]) }, (b, v) => op.sqrt(b, v.x)),
  opCase("tanh", { x: [2, 33] }, (b, v) => op.tanh(b, v.x)),
  opCase("sigmoid", { x: [2, 33] }, (b, v) => op.sigmoid(b, v.x)),
  opCase("abs", { x: [2, 33] }, (b, v) => op.abs(b, v.x)),
  opCase("stop_gradient", { x: fixed([2, 33]), y: [2, 33] }, (b, v) => op.mul(b, op.stop_gradient(b, v.x), v.y)),
  opCase("square", { x: [2, 33] }, (b, v) => op.square(b, v.x)),
  opCase("scale", { x: [2, 33] }, (b, v) => op.scale(b, v.x, { factor: -0.3 })),
  opCase("constant", { x: [2, 3] }, (b, v) => op.mul(b, v.x, op.constant(b, { values: [1, -2, 0.5], shape: [3] }))),
  opCase("constant_table", { x: [3, 2] }, (b, v) =>
    op.mul(b, v.x, op.constant(b, { values: [1, 2, 3, 4, 5, 6], shape: [3, 2] })),
  ),
  opCase("constant_images", { x: [2, 3, 2, 2] }, (b, v) => {
    const values = Array.from({ length: 24 }, (_, i) => i - 9);
    return op.mul(b, v.x, op.constant(b, { values, shape: [2, 3, 2, 2] }));
  }),
  opCase("constant_labels", { x: fixed([3, 4]) }, (b, v) => {
    const target = op.constant(b, { values: [2], shape: [3], dtype: "i64" });
    return op.softmax_cross_entropy(b, v.x, target, op.constant(b, { values: [1], shape: [3] }), {
      groups: 1,
    });
  }),
  opCase("cast", { x: [2, 3] }, (b, v) => op.cast(b, v.x, { to: "f32" })),
  opCase("broadcast_to", { x: [1, 3, 1, 1] }, (b, v) => op.broadcast_to(b, v.x, { shape: [2, 3, 4, 5] })),
  opCase("broadcast_copy", { x: fixed([3, 1, 2]) }, (b, v) => op.broadcast_copy(b, v.x, { shape: [2, 3, 4, 2] })),
  opCase("where_finite", { next: fixed([2, 9]), previous: fixed([2, 9]), finite: number(1) }, (b, v) =>
    op.where_finite(b, v.next, v.previous, v.finite),
  ),
];

const channelwise: readonly OpCase[] = [
  opCase("affine", { x: [4, 3, 2, 3], s: [2, 3], t: [2, 3] }, (b, v) => op.affine(b, v.x, v.s, v.t)),
  opCase("affine_matrix", { x: [4, 19], s: [1, 19], t: [1, 19] }, (b, v) => op.affine(b, v.x, v.s, v.t)),
  opCase(
    "affine2",
    { dy: fixed([4, 3, 2, 3]), x: fixed([4, 3, 2, 3]), a: fixed([2, 3]), b: fixed([2, 3]), c: fixed([2, 3]) },
    (b, v) => op.affine2(b, v.dy, v.x, v.a, v.b, v.c),
  ),
  opCase("normalize", { x: fixed([4, 3, 2, 3]), m: fixed([4, 3]), r: fixed([4, 3]) }, (b, v) =>
    op.normalize(b, v.x, v.m, v.r),
  ),
  opCase("normalize_image", { img: bytes([2, 3, 5, 4]) }, (b, v) =>
    op.normalize_image(b, v.img, { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }),
  ),
  opCase("spread_pixels", { x: [2, 5] }, (b, v) => op.spread_pixels(b, v.x, { h: 3, w: 2 })),
];

const move: readonly OpCase[] = [
  opCase("reshape", { x: [2, 6] }, (b, v) => op.reshape(b, v.x, { shape: [3, -1] })),
  opCase("reshape_pixels", { x: [2, 5, 1, 1] }, (b, v) => op.reshape(b, v.x, { shape: [2, 5] })),
  opCase("transpose", { x: [3, 7] }, (b, v) => op.transpose(b, v.x, { perm: [1, 0] })),
  opCase("transpose_rank3", { x: [2, 3, 4] }, (b, v) => op.transpose(b, v.x, { perm: [2, 0, 1] })),
  opCase("transpose_images", { x: [2, 3, 4, 5] }, (b, v) => op.transpose(b, v.x, { perm: [1, 3, 0, 2] })),
  opCase("concat", { x: [3, 1], y: [3, 5], z: [3, 2] }, (b, v) => op.concat(b, [v.x, v.y, v.z], { axis: 1 })),
  opCase("concat_images", { x: [2, 3, 2, 2], y: [2, 4, 2, 2] }, (b, v) => op.concat(b, [v.x, v.y], { axis: 1 })),
  opCase("slice", { x: [3, 7] }, (b, v) => op.slice(b, v.x, { axis: 1, start: 2, end: 5 })),
  opCase("pad_channels", { x: [2, 3, 5, 4] }, (b, v) => op.pad_channels(b, v.x, { channels: 4 })),
  opCase("pad_channels_wide", { x: [2, 11, 3, 1] }, (b, v) => op.pad_channels(b, op.relu(b, v.x), { channels: 24 })),
  opCase("slice_rows", { x: [4, 3, 2, 2] }, (b, v) => op.slice(b, v.x, { axis: 0, start: 0, end: 2 })),
  opCase("slice_images", { x: [2, 3, 5, 4] }, (b, v) => op.slice(b, v.x, { axis: -2, start: 3, end: 5 })),
  opCase("take_rows", { x: [4, 3], idx: labels([2, 0, 3, 1]) }, (b, v) => op.take_rows(b, v.x, v.idx)),
  opCase("put_rows", { x: [4, 3, 2, 2], idx: labels([2, 0, 3, 1]) }, (b, v) => op.put_rows(b, v.x, v.idx)),
];

const reduce: readonly OpCase[] = [
  opCase("sum", { x: [3, 5] }, (b, v) => op.sum(b, v.x, { axes: [1] })),
  opCase("sum_keep", { x: [3, 5, 2] }, (b, v) => op.sum(b, v.x, { axes: [0, -1], keepdims: true })),
  opCase("sum_pixels", { x: [2, 3, 4, 5] }, (b, v) => op.sum(b, v.x, { axes: [2, 3] })),
  opCase("sum_images", { x: [2, 3, 4, 5] }, (b, v) => op.sum(b, v.x, { axes: [0], keepdims: true })),
  opCase("sum_all", { x: [3, 5] }, (b, v) => op.sum(b, v.x, { axes: [0, 1] })),
  opCase("mean", { x: [3, 5] }, (b, v) => op.mean(b, v.x, { axes: [0] })),
  opCase("mean_all", { x: [2, 3, 4, 5] }, (b, v) => op.mean(b, v.x, { axes: [0, 1, 2, 3] })),
  opCase("max", { x: [3, 5] }, (b, v) => op.max(b, v.x, { axes: [1], keepdims: true })),
  opCase("channel_sum", { x: fixed([6, 5, 3, 2]) }, (b, v) => op.channel_sum(b, v.x, { groups: 3 })),
  opCase("channel_sum_matrix", { x: fixed([6, 19]) }, (b, v) => op.channel_sum(b, v.x, { groups: 2 })),
  opCase("channel_moments", { x: fixed([6, 5, 3, 2]) }, (b, v) => {
    const { mean, m2 } = op.channel_moments(b, v.x, { groups: 2 });
    return [mean, m2];
  }),
  opCase("group_sum", { x: fixed([5, 7]) }, (b, v) => op.group_sum(b, v.x)),
];

const contractions: readonly OpCase[] = [
  opCase("matmul", { x: [3, 5], y: [5, 4] }, (b, v) => op.matmul(b, v.x, v.y)),
  opCase("matmul_ta", { x: [6, 3], y: [6, 4] }, (b, v) => op.matmul(b, v.x, v.y, { ta: true, groups: 2 })),
  opCase("matmul_tb", { x: [6, 5], y: [4, 5] }, (b, v) => op.matmul(b, v.x, v.y, { tb: true }), {
    groups: 3,
  }),
  opCase("matmul_ta_tb", { x: [5, 3], y: [4, 5] }, (b, v) => op.matmul(b, v.x, v.y, { ta: true, tb: true })),
  opCase("conv_1x1", { x: [2, 5, 3, 4], w: [6, 5, 1, 1] }, (b, v) => op.conv(b, v.x, v.w, { stride: 1, pad: 0 })),
  opCase("conv_1x1_stride_2", { x: [2, 4, 5, 6], w: [3, 4, 1, 1] }, (b, v) =>
    op.conv(b, v.x, v.w, { stride: 2, pad: 0 }),
  ),
  opCase("conv_3x3", { x: [4, 3, 5, 4], w: [5, 3, 3, 3] }, (b, v) => op.conv(b, v.x, v.w, { stride: 1, pad: 1 }), {
    groups: 2,
  }),
  opCase("conv_3x3_stride_2", { x: [2, 3, 6, 5], w: [4, 3, 3, 3] }, (b, v) =>
    op.conv(b, v.x, v.w, { stride: 2, pad: 1 }),
  ),
  opCase("conv_7x7", { x: [1, 3, 9, 8], w: [4, 3, 7, 7] }, (b, v) => op.conv(b, v.x, v.w, { stride: 2, pad: 3 })),
  opCase("conv_wide", { x: [2, 16, 5, 4], w: [24, 16, 3, 3] }, (b, v) => op.conv(b, v.x, v.w, { stride: 1, pad: 1 })),
  opCase("conv_wide_stride_2", { x: [2, 8, 6, 5], w: [16, 8, 3, 3] }, (b, v) =>
    op.conv(b, v.x, v.w, { stride: 2, pad: 1 }),
  ),
  opCase("conv_wide_1x1", { x: [2, 16, 5, 4], w: [8, 16, 1, 1] }, (b, v) =>
    op.conv(b, v.x, v.w, { stride: 2, pad: 0 }),
  ),
  opCase("conv_image", { x: fixed([2, 3, 9, 8]), w: [8, 3, 7, 7] }, (b, v) =>
    op.conv(b, v.x, v.w, { stride: 2, pad: 3 }),
  ),
  opCase("conv_image_odd", { x: fixed([2, 3, 8, 7]), w: [8, 3, 3, 3] }, (b, v) =>
    op.conv(b, v.x, v.w, { stride: 2, pad: 1 }),
  ),
  opCase("conv_dgrad_wide", { dy: fixed([2, 24, 3, 3]), w: fixed([24, 16, 3, 3]) }, (b, v) =>
    op.conv_dgrad(b, v.dy, v.w, { stride: 2, pad: 1, h: 6, w: 5 }),
  ),
  opCase("conv_dgrad_1x1", { dy: fixed([4, 8, 3, 2]), w: fixed([8, 16, 1, 1]) }, (b, v) =>
    op.conv_dgrad(b, v.dy, v.w, { stride: 1, pad: 0, h: 3, w: 2 }),
  ),
  opCase("conv_wgrad_wide", { dy: fixed([4, 16, 3, 3]), x: fixed([4, 8, 6, 5]) }, (b, v) =>
    op.conv_wgrad(b, v.dy, v.x, { stride: 2, pad: 1, r: 3, s: 3, groups: 2 }),
  ),
  opCase("conv_wgrad_of_conv", { x: fixed([2, 64, 3, 4]), w: fixed([64, 64, 1, 1]) }, (b, v) =>
    op.conv_wgrad(b, op.conv(b, v.x, v.w, { stride: 1, pad: 0 }), v.x, { stride: 1, pad: 1, r: 3, s: 3, groups: 1 }),
  ),
  opCase("conv_wgrad_image", { dy: fixed([2, 8, 5, 4]), x: fixed([2, 3, 9, 8]) }, (b, v) =>
    op.conv_wgrad(b, v.dy, v.x, { stride: 2, pad: 3, r: 7, s: 7, groups: 1 }),
  ),
  opCase("conv_dgrad", { dy: fixed([2, 4, 3, 3]), w: fixed([4, 3, 3, 3]) }, (b, v) =>
    op.conv_dgrad(b, v.dy, v.w, { stride: 2, pad: 1, h: 6, w: 5 }),
  ),
  opCase("transposed_conv", { dy: [2, 4, 3, 3], w: [4, 3, 3, 3] }, (b, v) =>
    op.conv_dgrad(b, v.dy, v.w, { stride: 2, pad: 1, h: 6, w: 5 }),
  ),
  opCase("conv_wgrad", { dy: fixed([4, 4, 3, 3]), x: fixed([4, 3, 6, 5]) }, (b, v) =>
    op.conv_wgrad(b, v.dy, v.x, { stride: 2, pad: 1, r: 3, s: 3, groups: 2 }),
  ),
];

const norm = { eps: 1e-5 };
const pooling: readonly OpCase[] = [
  opCase("max_pool", { x: [2, 3, 7, 6] }, (b, v) => op.max_pool(b, v.x, { kernel: 3, stride: 2, pad: 1 })),
  opCase("max_pool_2", { x: [2, 3, 5, 4] }, (b, v) => op.max_pool(b, v.x, { kernel: 2, stride: 2, pad: 0 })),
  opCase("max_pool_grad", { x: fixed([2, 3, 7, 6]), dy: fixed([2, 3, 4, 3]) }, (b, v) =>
    op.max_pool_grad(b, v.x, v.dy, { kernel: 3, stride: 2, pad: 1 }),
  ),
  opCase("global_avg_pool", { x: [2, 5, 3, 4] }, (b, v) => op.global_avg_pool(b, v.x)),
  opCase("batch_norm", { x: [4, 3, 3, 2], gamma: [3], beta: [3] }, (b, v) => {
    const { y, mean, var: variance } = op.batch_norm(b, v.x, v.gamma, v.beta, { ...norm, groups: 1 });
    return [y, mean, variance];
  }),
  opCase(
    "batch_norm_groups",
    { x: [6, 3, 3, 2], gamma: [3], beta: [3] },
    (b, v) => op.batch_norm(b, v.x, v.gamma, v.beta, { ...norm, groups: 3 }).y,
    { groups: 3 },
  ),
  opCase(
    "batch_norm_matrix",
    { x: [6, 5], gamma: [5], beta: [5] },
    (b, v) => op.batch_norm(b, v.x, v.gamma, v.beta, { ...norm, groups: 2 }).y,
    { groups: 2 },
  ),
  opCase(
    "batch_norm_grad",
    {
      x: fixed([4, 3, 3, 2]),
      dy: fixed([4, 3, 3, 2]),
      mean: fixed([2, 3]),
      var: fixed([2, 3], 0.1, 1),
      gamma: fixed([3]),
    },
    (b, v) => {
      const { dx, dgamma, dbeta } = op.batch_norm_grad(b, v.x, v.dy, v.mean, v.var, v.gamma, {
        ...norm,
        groups: 2,
      });
      return [dx, dgamma, dbeta];
    },
  ),
  opCase(
    "batch_norm_inference",
    { x: [4, 3, 3, 2], gamma: [3], beta: [3], mean: [3], var: positive([3]) },
    (b, v) => op.batch_norm_inference(b, v.x, v.gamma, v.beta, v.mean, v.var, norm),
    { groups: 2 },
  ),
];

const target = labels([0, 3, 2, 4, 1, 1]);
const weight = flags([1, 0, 1, 1, 0, 1]);
const loss: readonly OpCase[] = [
  opCase("softmax", { x: [3, 7] }, (b, v) => op.softmax(b, v.x)),
  opCase("softmax_cross_entropy", { logits: [6, 5], target, weight: flags([1, 1, 1, 1, 1, 1]) }, (b, v) =>
    op.softmax_cross_entropy(b, v.logits, v.target, v.weight, { groups: 1 }),
  ),
  opCase("softmax_cross_entropy_groups", { logits: [6, 5], target, weight }, (b, v) =>
    op.softmax_cross_entropy(b, v.logits, v.target, v.weight, { groups: 2 }),
  ),
  opCase("softmax_cross_entropy_empty_group", { logits: [6, 5], target, weight: flags([0, 0, 0, 2, 0, 0.5]) }, (b, v) =>
    op.softmax_cross_entropy(b, v.logits, v.target, v.weight, { groups: 2 }),
  ),
  opCase("softmax_cross_entropy_grad", { logits: fixed([6, 5]), target, weight, dloss: fixed([3]) }, (b, v) =>
    op.softmax_cross_entropy_grad(b, v.logits, v.target, v.weight, v.dloss, { groups: 3 }),
  ),
  opCase("l2_normalize", { x: [3, 7] }, (b, v) => op.l2_normalize(b, v.x, { eps: 1e-12 })),
  opCase("l2_normalize_short", { x: [3, 7] }, (b, v) => op.l2_normalize(b, v.x, { eps: 1.5 })),
  opCase("l2_normalize_grad", { x: fixed([3, 7]), dy: fixed([3, 7]) }, (b, v) =>
    op.l2_normalize_grad(b, v.x, v.dy, { eps: 1e-12 }),
  ),
  opCase("top_k_correct", { logits: fixed([6, 5]), target, weight }, (b, v) =>
    op.top_k_correct(b, v.logits, v.target, v.weight, { k: 2, groups: 2 }),
  ),
  opCase(
    "correct_labels",
    {
      cls: fixed([6, 5], -3, 3),
      proto: fixed([6, 5], -3, 3),
      target,
      alpha: number(0.25),
      threshold: number(0.5),
    },
    (b, v) => {
      const { target_new, kept } = op.correct_labels(b, v.cls, v.proto, v.target, v.alpha, v.threshold);
      return [target_new, kept];
    },
  ),
  opCase(
    "correct_labels_at_threshold", // scores of exactly 1, 1/2 and 1/4 (1/K), none of them above the threshold or 1/K
    {
      cls: {
        shape: [4, 4],
        values: [...[200, 0, 0, 0], ...[200, 0, 0, 0], ...[0, 0, 0, 0], ...[200, 0, 0, 0]],
        fixed: true,
      },
      proto: {
        shape: [4, 4],
        values: [...[200, 0, 0, 0], ...[200, 0, 0, 0], ...[0, 0, 0, 0], ...[0, 200, 0, 0]],
        fixed: true,
      },
      target: labels([0, 3, 3, 2]),
      alpha: number(0.5),
      threshold: number(1),
    },
    (b, v) => Object.values(op.correct_labels(b, v.cls, v.proto, v.target, v.alpha, v.threshold)),
  ),
];

const finite = number(1);
const update: readonly OpCase[] = [
  opCase(
    "adamw",
    {
      ...{ p: fixed([4, 9]), m: fixed([4, 9]), v: fixed([4, 9], 0, 1), g: fixed([4, 9]) },
      ...{ lr: number(0.1), beta1: number(0.9), beta2: number(0.99), eps: number(1e-3), wd: number(0.05) },
      ...{ c1: number(0.19), c2: number(0.02), clip: number(0.7), finite },
    },
    (b, v) => {
      const hyper = [v.lr, v.beta1, v.beta2, v.eps, v.wd, v.c1, v.c2, v.clip, v.finite] as const;
      const { m_new, v_new, p_new } = op.adamw(b, v.p, v.m, v.v, v.g, ...hyper, { grad_scale: 0.5 });
      return [m_new, v_new, p_new];
    },
  ),
  opCase(
    "sgd",
    {
      p: fixed([4, 9]),
      v: fixed([4, 9]),
      g: fixed([4, 9]),
      lr: number(0.1),
      momentum: number(0.9),
      wd: number(1e-4),
      finite,
    },
    (b, v) => {
      const { v_new, p_new } = op.sgd(b, v.p, v.v, v.g, v.lr, v.momentum, v.wd, v.finite, {
        grad_scale: 0.5,
      });
      return [v_new, p_new];
    },
  ),
  opCase("running_average", { previous: fixed([19]), batch: fixed([19]), finite: number(1) }, (b, v) =>
    op.running_average(b, v.previous, v.batch, v.finite, { momentum: 0.1 }),
  ),
  opCase("ema", { k: fixed([4, 9]), q: fixed([4, 9]), m: number(0.99) }, (b, v) => op.ema(b, v.k, v.q, v.m)),
  opCase("queue_push", { queue: fixed([3, 5]), ptr: labels([4]), keys: fixed([3, 3]), finite }, (b, v) => {
    const { queue_new, ptr_new } = op.queue_push(b, v.queue, v.ptr, v.keys, v.finite);
    return [queue_new, ptr_new];
  }),
  opCase("queue_push_long", { queue: fixed([3, 4]), ptr: labels([3]), keys: fixed([11, 3]), finite }, (b, v) => {
    const { queue_new, ptr_new } = op.queue_push(b, v.queue, v.ptr, v.keys, v.finite);
    return [queue_new, ptr_new];
  }),
  opCase(
    "prototype_update",
    { prototypes: fixed([5, 3]), q: fixed([6, 3]), target, kept: weight, m: number(0.9), finite },
    (b, v) => op.prototype_update(b, v.prototypes, v.q, v.target, v.kept, v.m, v.finite),
  ),
  opCase("increment", { x: { shape: [], dtype: "i64", values: [41] }, finite }, (b, v) =>
    op.increment(b, v.x, v.finite),
  ),
  opCase("all_finite", { x: fixed([3, 5]), y: fixed([7]) }, (b, v) => op.all_finite(b, [v.x, v.y])),
];

/** Combinations of ops that once went wrong, most of them with groups of rows beside other groups or none. */
const together: readonly OpCase[] = [
  opCase(
    "attention_of_groups",
    { x: [6, 5], gamma: [5], beta: [5] },
    (b, v) => {
      const { y } = op.batch_norm(b, v.x, v.gamma, v.beta, { ...norm, groups: 2 });
      return op.matmul(b, op.matmul(b, v.x, y, { tb: true }), y);
    },
    { groups: 2 },
  ),
  opCase(
    "moments_of_groups_after_a_product_over_terms",
    { x: [5, 6], w: [5, 4], gamma: [4], beta: [4] },
    (b, v) => op.batch_norm(b, op.matmul(b, v.x, v.w, { ta: true }), v.gamma, v.beta, { ...norm, groups: 2 }).y,
    { groups: 2 },
  ),
  opCase("scaled_weight", { x: [4, 6], w: [6, 5], s: [1, 5] }, (b, v) => op.matmul(b, v.x, op.mul(b, v.w, v.s)), {
    groups: 2,
  }),
  opCase(
    "frozen_and_own_statistics",
    { x: [4, 3, 2, 3], gamma: [3], beta: [3], mean: fixed([3]), var: fixed([3], 0.1, 1) },
    (b, v) => {
      const { y } = op.batch_norm(b, v.x, v.gamma, v.beta, { ...norm, groups: 2 });
      return op.batch_norm_inference(b, y, v.gamma, v.beta, v.mean, v.var, norm);
    },
    { groups: 2 },
  ),
  opCase("sums_of_different_groups", { x: fixed([12, 5]) }, (b, v) => {
    const y = op.relu(b, v.x);
    return [1, 2, 3].map((groups) => op.channel_sum(b, y, { groups }));
  }),
  opCase("statistics_in_other_groups", { x: [12, 3], gamma: [3], beta: [3] }, (b, v) => {
    const inner = op.batch_norm(b, v.x, v.gamma, v.beta, { ...norm, groups: 2 }).y;
    return op.batch_norm(b, op.add(b, inner, v.x), v.gamma, v.beta, { ...norm, groups: 3 }).y;
  }),
  opCase("mean_over_axes_apart", { x: [2, 3, 4, 5] }, (b, v) => op.mean(b, v.x, { axes: [0, 3], keepdims: true })),
  opCase("rows_of_an_input", { before: fixed([2, 2]), x: [5, 3] }, (b, v) => {
    const rows = (start: number, end: number): Value => op.slice(b, v.x, { axis: 0, start, end });
    return op.concat(b, [op.neg(b, rows(2, 5)), op.relu(b, rows(0, 2)), rows(1, 2)], { axis: 0 });
  }),
];

/** Every op at least once. */
export const opCases: readonly OpCase[] = [
  ...elementwise,
  ...channelwise,
  ...move,
  ...reduce,
  ...contractions,
  ...pooling,
  ...loss,
  ...update,
  ...together,
  ...generalCases,
];
