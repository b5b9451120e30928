// The templates of convolutions by pixels, kernels/cpu/conv_{fprop,dgrad}.hpp, and of their packed weights,
// pack_conv.hpp. Tile sizes are chosen in conv_tiles.ts, and are passed to C++ as constants. conv_wgrad.ts has the
// gradient of weights.

import type { Node, Target, TensorType } from "../../ir/types.js";
import { conv, conv_dgrad, conv_wgrad } from "../../ops/conv.js";
import { ceilDiv } from "../../util/math.js";
import { type Extents, type Fused, type LaunchShape, plain, type TemplateSpec } from "../template.js";
import { blockVectors, type DirectTiles, directTiles, type Machine, machine, usesAmx, wordsOf } from "./conv_tiles.js";
import { combineTasks, partialBytes, vectorWidth } from "./sums.js";

/** One convolution: x (n, H, W, C), w (OUT, R, S, C), y (n, P, Q, OUT). */
export type ConvShape = {
  readonly C: number;
  readonly H: number;
  readonly W: number;
  readonly OUT: number;
  readonly P: number;
  readonly Q: number;
  readonly R: number;
  readonly S: number;
  readonly STRIDE: number;
  readonly PAD: number;
};

const floor = Math.floor;

const broken = (node: Node, what: string): Error => new Error(`internal: conv: ${node.op} in ${node.scope}: ${what}`);

function attr(node: Node, name: string): number {
  const value = node.attrs[name];
  if (typeof value !== "number") throw broken(node, `no number attribute ${name}`);
  return value;
}

type Four = readonly [number, number, number, number];

export function dims(node: Node, which: "inputs" | "outputs", at: number): Four {
  const [a, b, c, d, ...more] = node[which][at]?.type.shape ?? [];
  if (a === undefined || b === undefined || c === undefined || d === undefined || more.length > 0)
    throw broken(node, `${which}[${at}] is not 4-D`);
  return [a, b, c, d];
}

/** The sizes of a convolution or one of its gradients. Throws for any other node and for a dilation. */
export function convShape(node: Node): ConvShape {
  const { dilation = 1 } = node.attrs;
  if (dilation !== 1) throw broken(node, `dilation ${String(dilation)} has no kernel`);
  const make = ([, C, H, W]: Four, [OUT, , R, S]: Four, [, , P, Q]: Four): ConvShape => ({
    C,
    H,
    W,
    OUT,
    P,
    Q,
    R,
    S,
    STRIDE: attr(node, "stride"),
    PAD: attr(node, "pad"),
  });
  const [first, second, out] = [dims(node, "inputs", 0), dims(node, "inputs", 1), dims(node, "outputs", 0)];
  if (node.op === conv.name) return make(first, second, out);
  if (node.op === conv_dgrad.name) return make(out, second, first);
  if (node.op === conv_wgrad.name) return make(second, out, first);
  throw broken(node, "not a convolution");
}

/** The floating-point operations of a convolution; a multiply-add counts as two. */
export function convFlops(node: Node): number {
  const s = convShape(node);
  const images = dims(node, "inputs", 0)[0];
  return 2 * images * s.P * s.Q * s.OUT * s.C * s.R * s.S;
}

/** What is multiplied, and how: a struct of kernels/cpu/bf16.hpp or conv_amx.hpp. */
export type ElementConstant = { readonly Element: { readonly type: "F32" | "Bf16" | "Amx" } };
export const elementOf = (target: Target): ElementConstant => ({
  Element: { type: usesAmx(target) ? "Amx" : target.precision === "bf16" ? "Bf16" : "F32" },
});

/** Words between the pixels of a slab: the distance of a tile's pixels must not be a multiple of 4 KiB. */
const slabSpacing = (c: number, stride: number): number => ((c * stride) % 1024 === 0 ? c + 16 : c);

// fprop

/** The words of the slab of one image. */
const fpropSlab = (s: ConvShape, rows: number, target: Target): number => {
  const stride = s.R === 1 && s.S === 1 ? 1 : s.STRIDE;
  const spacing = slabSpacing(wordsOf(s.C, target), stride);
  return ((rows - 1) * stride + s.R) * ((s.Q - 1) * stride + s.S) * spacing;
};

function fpropConstants(node: Node, target: Target, y: Fused): ConvShape & DirectTiles & ElementConstant {
  const s = convShape(node);
  const slab = (rows: number): number => 4 * fpropSlab(s, rows, target);
  const rest = { unit: 1, channels: s.OUT, tapRow: s.S * wordsOf(s.C, target), tapRows: s.R, slab };
  const images = y.sums > 0 || y.moments ? undefined : dims(node, "inputs", 0)[0];
  return { ...s, ...elementOf(target), ...directTiles({ rows: s.P, cols: s.Q, ...rest }, target, images) };
}

/** The result: rows x cols pixels per image, its channels, and the words of the slab of one image. */
interface Result {
  readonly rows: number;
  readonly cols: number;
  readonly channels: number;
  readonly slab: number;
}

function directLaunch(c: ConvShape & DirectTiles, r: Result, e: Extents, target: Target, y: Fused): LaunchShape {
  const tiles = ceilDiv(e.rows / e.groups, c.IMAGE_BLOCK) * ceilDiv(r.rows, c.ROW_BLOCK);
  const pixels = c.IMAGE_BLOCK * c.ROW_BLOCK * r.cols;
  const table = ceilDiv(pixels, 8) * 8 * 8;
  const sums = 4 * (c.TAP_ROWS < c.R ? pixels : c.TILE_PIXELS) * c.TILE_VECTORS * vectorWidth(target);
  return {
    tasks: [e.groups * tiles * c.CHANNEL_PARTS, ...combineTasks(y, r.channels, e.groups, target)],
    workspaceBytes: partialBytes(y, r.channels, e.groups, tiles),
    scratchBytes: table + sums + 4 * c.IMAGE_BLOCK * r.slab,
  };
}

/** conv(x, w) -> y, with a prologue of x, packed w, and an epilogue with sums and moments. */
export const convFprop: TemplateSpec = {
  name: "conv_fprop",
  op: "conv",
  prologue: ["x"],
  epilogue: true,
  sums: true,
  moments: true,
  streams: true,
  packs: { w: "pack_conv_fprop" },
  constants: fpropConstants,
  launch(node, e, target, y) {
    const c = fpropConstants(node, target, y);
    const result = { rows: c.P, cols: c.Q, channels: c.OUT, slab: fpropSlab(c, c.ROW_BLOCK, target) };
    return directLaunch(c, result, e, target, y);
  },
  flops: convFlops,
};

// dgrad: the same formulas as kernels/cpu/conv_dgrad.hpp

/** The lowest, and one past the highest, dy position that the phases of a direction read, relative to their index. */
function dgradReach(stride: number, pad: number, taps: number): readonly [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (let a = 0; a < stride; a++) {
    const r0 = (a + pad) % stride;
    if (r0 >= taps) continue;
    const n = floor((taps - 1 - r0) / stride) + 1;
    const first = floor((a + pad) / stride) - n + 1;
    low = Math.min(low, first);
    high = Math.max(high, first + n);
  }
  return [low, high];
}

function dgradSlab(s: ConvShape, rows: number, target: Target): number {
  const [rowLow, rowHigh] = dgradReach(s.STRIDE, s.PAD, s.R);
  const [colLow, colHigh] = dgradReach(s.STRIDE, s.PAD, s.S);
  const slabRows = ceilDiv(rows, s.STRIDE) - 1 + rowHigh - rowLow;
  return slabRows * (ceilDiv(s.W, s.STRIDE) - 1 + colHigh - colLow) * slabSpacing(wordsOf(s.OUT, target), 1);
}

function dgradConstants(node: Node, target: Target): ConvShape & DirectTiles & ElementConstant {
  const s = convShape(node);
  const slab = (rows: number): number => 4 * dgradSlab(s, rows, target);
  const rest = { unit: s.STRIDE, channels: s.C, tapRow: s.S * wordsOf(s.OUT, target), tapRows: s.R, slab };
  return { ...s, ...elementOf(target), ...directTiles({ rows: s.H, cols: s.W, ...rest }, target) };
}

/** conv_dgrad(dy, w) -> dx, with a prologue of dy, packed w, and an epilogue with sums and moments. */
export const convDgrad: TemplateSpec = {
  name: "conv_dgrad",
  op: "conv_dgrad",
  prologue: ["dy"],
  epilogue: true,
  sums: true,
  moments: true,
  streams: true,
  packs: { w: "pack_conv_dgrad" },
  constants: dgradConstants,
  launch(node, e, target, y) {
    const c = dgradConstants(node, target);
    const result = { rows: c.H, cols: c.W, channels: c.C, slab: dgradSlab(c, c.ROW_BLOCK, target) };
    return directLaunch(c, result, e, target, y);
  },
  flops: convFlops,
};

// packing: one node per weight and kind of use; its attributes stride and pad are those of the convolution

function packShape(node: Node, target: Target): { C: number; OUT: number; R: number; S: number; m: Machine } {
  const [OUT, C, R, S] = dims(node, "inputs", 0);
  return { C, OUT, R, S, m: machine(target) };
}

/** The type of a packed weight with `taps` taps over `depth` channels for each of `channels` channels of the result. */
function packedType(channels: number, taps: number, depth: number, m: Machine, target: Target): TensorType {
  const words = ceilDiv(channels, m.lanes) * m.lanes * taps * wordsOf(depth, target);
  return target.precision === "bf16" ? { dtype: "bf16", shape: [2 * words] } : { dtype: "f32", shape: [words] };
}

/** pack_conv_fprop(w) -> packed[n], f32 or bf16. */
export const packConvFprop: TemplateSpec = {
  name: "pack_conv_fprop",
  header: "pack_conv",
  op: "pack_conv_fprop",
  ...plain,
  constants(node, target) {
    const { m, ...s } = packShape(node, target);
    return { ...s, ...elementOf(target), TILE_VECTORS: blockVectors(s.OUT, m) };
  },
  launch(node, _extents, target) {
    const { C, OUT, R, S, m } = packShape(node, target);
    const scratchBytes = 4 * m.lanes * R * S * wordsOf(C, target);
    return { tasks: [ceilDiv(OUT, blockVectors(OUT, m) * m.lanes)], workspaceBytes: 0, scratchBytes };
  },
  flops: () => 0,
  packed(node, target) {
    const { C, OUT, R, S, m } = packShape(node, target);
    return packedType(OUT, R * S, C, m, target);
  },
};

/** pack_conv_dgrad(w; stride, pad) -> packed[n], f32 or bf16. */
export const packConvDgrad: TemplateSpec = {
  name: "pack_conv_dgrad",
  header: "pack_conv",
  op: "pack_conv_dgrad",
  ...plain,
  constants(node, target) {
    const { m, ...s } = packShape(node, target);
    const uses = { STRIDE: attr(node, "stride"), PAD: attr(node, "pad") };
    return { ...s, ...elementOf(target), ...uses, TILE_VECTORS: blockVectors(s.C, m) };
  },
  launch(node, _extents, target) {
    const { C, m } = packShape(node, target);
    return { tasks: [ceilDiv(C, blockVectors(C, m) * m.lanes)], workspaceBytes: 0, scratchBytes: 0 };
  },
  flops: () => 0,
  packed(node, target) {
    const { C, OUT, R, S, m } = packShape(node, target);
    return packedType(C, R * S, OUT, m, target);
  },
};
