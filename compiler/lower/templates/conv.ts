// The convolution templates: kernels/cpu/conv_{fprop,dgrad,wgrad}.hpp and pack_conv.hpp. Tile sizes are chosen here, from
// the shape and the arch alone, and handed to C++ as constants: they may not depend on the batch, the groups or the
// threads, because the order of channel sums (and of dw) follows from them.

import type { Node, Target, TensorType } from "../../ir/types.js";
import type { Epilogue, Extents, LaunchShape, TemplateSpec } from "../template.js";
import { combineTasks, partialBytes, vectorWidth } from "./conv_sums.js";

/** One convolution: x (n, H, W, C), w (OUT, R, S, C), y (n, P, Q, OUT). */
interface ConvShape {
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
}

type Constants = Readonly<Record<string, number>>;

const floor = Math.floor;
const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);
const clamp = (x: number, low: number, high: number): number => Math.max(low, Math.min(high, x));

function attr(node: Node, name: string): number {
  const value = node.attrs[name];
  if (typeof value !== "number") throw new Error(`internal: conv: ${node.op} in ${node.scope}: no number attribute ${name}`);
  return value;
}

function dims(node: Node, which: "inputs" | "outputs", at: number): readonly [number, number, number, number] {
  const shape = node[which][at]?.type.shape;
  if (shape?.length !== 4) throw new Error(`internal: conv: ${node.op} in ${node.scope}: ${which}[${at}] is not 4-D`);
  return shape as unknown as readonly [number, number, number, number];
}

function convShape(node: Node): ConvShape {
  const dilation = node.attrs["dilation"];
  if (dilation !== undefined && dilation !== 1)
    throw new Error(`internal: conv: ${node.op} in ${node.scope}: dilation ${String(dilation)} has no CPU kernel`);
  const STRIDE = attr(node, "stride");
  const PAD = attr(node, "pad");
  const make = (x: readonly number[], y: readonly number[], r: number, s: number): ConvShape => {
    const [, C, H, W] = x as readonly [number, number, number, number];
    const [, OUT, P, Q] = y as readonly [number, number, number, number];
    return { C, H, W, OUT, P, Q, R: r, S: s, STRIDE, PAD };
  };
  if (node.op === "conv") {
    const w = dims(node, "inputs", 1);
    return make(dims(node, "inputs", 0), dims(node, "outputs", 0), w[2], w[3]);
  }
  if (node.op === "conv_dgrad") {
    const w = dims(node, "inputs", 1);
    return make(dims(node, "outputs", 0), dims(node, "inputs", 0), w[2], w[3]);
  }
  if (node.op === "conv_wgrad") {
    const dw = dims(node, "outputs", 0);
    return make(dims(node, "inputs", 1), dims(node, "inputs", 0), dw[2], dw[3]);
  }
  throw new Error(`internal: conv: ${node.op} in ${node.scope} is no convolution`);
}

/** Multiply-adds count as two. */
function convFlops(node: Node): number {
  const s = convShape(node);
  const images = dims(node, "inputs", 0)[0];
  return 2 * images * s.P * s.Q * s.OUT * s.C * s.R * s.S;
}

/** What the tiles are fitted to: registers, and what may stay in a core's second-level cache. */
interface Machine {
  readonly lanes: number;
  readonly vectors: number; // of channels in a register tile
  readonly pixels: number; // in a register tile of fprop and dgrad
  readonly slabBytes: number;
  readonly weightBytes: number; // of one channel block, while all pixels of a task pass
  readonly spanBytes: number; // of the weights of all blocks, while a few pixels pass
}

function machine(target: Target): Machine {
  const lanes = vectorWidth(target);
  return lanes === 16
    ? { lanes, vectors: 4, pixels: 6, slabBytes: 400 << 10, weightBytes: 640 << 10, spanBytes: 256 << 10 }
    : { lanes, vectors: 2, pixels: 6, slabBytes: 200 << 10, weightBytes: 320 << 10, spanBytes: 128 << 10 };
}

/** Vectors of a channel block: as even as the largest block allows. */
function blockVectors(channels: number, m: Machine): number {
  const vectors = ceilDiv(channels, m.lanes);
  return ceilDiv(vectors, ceilDiv(vectors, m.vectors));
}

interface TileInput {
  readonly rows: number; // of the result
  readonly cols: number;
  readonly unit: number; // rows come in multiples of this
  readonly slab: (rows: number) => number; // bytes of the slab behind so many rows of one image
  readonly channels: number; // of the result
  readonly tapRow: number; // floats of a row of taps, for one result channel
  readonly tapRows: number;
}

/** NO, NP, RC, IB, PB, PARTS, SPAN of conv_fprop and conv_dgrad (see the headers). */
function directTiles(t: TileInput, m: Machine): Readonly<Record<"NO" | "NP" | "RC" | "IB" | "PB" | "PARTS" | "SPAN", number>> {
  const NO = blockVectors(t.channels, m);
  const most = ceilDiv(400, t.cols * t.unit); // about 400 pixels a task feed the threads evenly and amortise the weights
  const weights = 4 * t.channels * t.tapRow * t.tapRows;
  // A task reads all weights: where they come from the shared cache, a few pixels a task are too few.
  const least = weights > 2 << 20 ? ceilDiv(28, t.cols * t.unit) : 1;
  let units = clamp(most, 1, ceilDiv(t.rows, t.unit));
  while (units > least && t.slab(units * t.unit) > m.slabBytes) units--;
  units = ceilDiv(ceilDiv(t.rows, t.unit), ceilDiv(ceilDiv(t.rows, t.unit), units)); // row blocks of about one size
  const PB = Math.min(units * t.unit, t.rows);
  const pixels = PB * t.cols;
  const IB = PB < t.rows ? 1 : clamp(Math.min(floor(m.slabBytes / t.slab(PB)), floor(200 / pixels)), 1, 8);
  const rowBytes = 4 * NO * m.lanes * t.tapRow;
  const RC = clamp(floor(m.weightBytes / rowBytes), 1, t.tapRows);
  const blocks = ceilDiv(ceilDiv(t.channels, m.lanes), NO);
  const PARTS = PB === t.rows && pixels <= 100 ? clamp(floor((blocks * NO * m.lanes) / 256), 1, Math.min(4, blocks)) : 1;
  // Where the weights of all blocks stay in the cache, few pixels pass all blocks: their results are written side by side.
  const SPAN = blocks * rowBytes * t.tapRows <= m.spanBytes ? 4 * m.pixels : IB * PB * t.cols;
  return { NO, NP: m.pixels, RC, IB, PB, PARTS, SPAN };
}

const scratchOf = (c: Constants, m: Machine, pixels: number, slabFloats: number): number => {
  const [NO, NP] = [c["NO"]!, c["NP"]!];
  const table = ceilDiv(pixels, 8) * 8 * 8;
  const acc = 4 * (c["RC"]! < c["R"]! ? pixels : NP) * NO * m.lanes;
  return table + acc + 4 * slabFloats;
};

/** Floats between the pixels of a slab: tile pixels must not lie a multiple of 4 KiB apart. */
const slabSpacing = (c: number, stride: number): number => ((c * stride) % 1024 === 0 ? c + 16 : c);

// fprop

const fpropSlab = (s: ConvShape, rows: number): number => {
  const stride = s.R === 1 && s.S === 1 ? 1 : s.STRIDE;
  return ((rows - 1) * stride + s.R) * ((s.Q - 1) * stride + s.S) * slabSpacing(s.C, stride);
};

function fpropConstants(node: Node, target: Target): Constants {
  const s = convShape(node);
  const tiles = directTiles(
    {
      rows: s.P, cols: s.Q, unit: 1, channels: s.OUT, tapRow: s.S * s.C, tapRows: s.R,
      slab: (rows) => 4 * fpropSlab(s, rows),
    },
    machine(target),
  );
  return { ...s, ...tiles };
}

function directLaunch(c: Constants, e: Extents, target: Target, y: Epilogue, rows: number, cols: number, channels: number,
  slab: number): LaunchShape {
  const m = machine(target);
  const [IB, PB, PARTS] = [c["IB"]!, c["PB"]!, c["PARTS"]!];
  const tiles = ceilDiv(e.rows / e.groups, IB) * ceilDiv(rows, PB);
  return {
    tasks: [e.groups * tiles * PARTS, ...combineTasks(y, channels, e.groups, target)],
    workspaceBytes: partialBytes(y, channels, e.groups, tiles),
    scratchBytes: scratchOf(c, m, IB * PB * cols, IB * slab),
  };
}

/** conv(x, w) -> y. Prologue of x, packed w, epilogue with sums and moments. */
export const convFprop: TemplateSpec = {
  name: "conv_fprop",
  op: "conv",
  prologue: ["x"],
  epilogue: true,
  sums: true,
  moments: true,
  packs: { w: "pack_conv_fprop" },
  constants: fpropConstants,
  launch(node, e, target, y) {
    const c = fpropConstants(node, target);
    const s = convShape(node);
    return directLaunch(c, e, target, y, s.P, s.Q, s.OUT, fpropSlab(s, c["PB"]!));
  },
  flops: convFlops,
};

// dgrad: the same formulas as kernels/cpu/conv_dgrad.hpp

/** Lowest and one past the highest dy position that the phases of one direction read, relative to their index. */
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

function dgradSlab(s: ConvShape, rows: number): number {
  const [rowLow, rowHigh] = dgradReach(s.STRIDE, s.PAD, s.R);
  const [colLow, colHigh] = dgradReach(s.STRIDE, s.PAD, s.S);
  return (ceilDiv(rows, s.STRIDE) - 1 + rowHigh - rowLow) * (ceilDiv(s.W, s.STRIDE) - 1 + colHigh - colLow) * slabSpacing(s.OUT, 1);
}

function dgradConstants(node: Node, target: Target): Constants {
  const s = convShape(node);
  const tiles = directTiles(
    {
      rows: s.H, cols: s.W, unit: s.STRIDE, channels: s.C, tapRow: s.S * s.OUT, tapRows: s.R,
      slab: (rows) => 4 * dgradSlab(s, rows),
    },
    machine(target),
  );
  return { ...s, ...tiles };
}

/** conv_dgrad(dy, w) -> dx. Prologue of dy, packed w, epilogue with sums. */
export const convDgrad: TemplateSpec = {
  name: "conv_dgrad",
  op: "conv_dgrad",
  prologue: ["dy"],
  epilogue: true,
  sums: true,
  moments: true,
  packs: { w: "pack_conv_dgrad" },
  constants: dgradConstants,
  launch(node, e, target, y) {
    const c = dgradConstants(node, target);
    const s = convShape(node);
    return directLaunch(c, e, target, y, s.H, s.W, s.C, dgradSlab(s, c["PB"]!));
  },
  flops: convFlops,
};

// wgrad

const wgradPixels = 112; // staged at a time: panels of one k and one c stay in the first-level cache
const wgradPartialBytes = 4 << 20; // of one group, unless a single dw is larger
const wgradTasks = 16; // a group's tasks, where the shape allows

/** Floats of the staged x of one channel panel and image, and the panel's width. */
function wgradX(s: ConvShape, rows: number): { xw: number; image: number } {
  const stride = s.R === 1 && s.S === 1 ? 1 : s.STRIDE;
  const xw = Math.min(s.C, 16);
  return { xw, image: ((rows - 1) * stride + s.R) * ((s.Q - 1) * stride + s.S) * xw };
}

function wgradConstants(node: Node, target: Target): Constants {
  const s = convShape(node);
  const m = machine(target);
  const NV = blockVectors(s.OUT, m);
  const NB = 6;
  const kPanels = ceilDiv(s.OUT, NV * m.lanes);
  const cPanels = ceilDiv(s.C, Math.min(s.C, 16));
  const PB = ceilDiv(s.P, ceilDiv(s.P, clamp(floor(wgradPixels / s.Q), 1, s.P)));
  const IB = PB < s.P ? 1 : clamp(floor(wgradPixels / (s.P * s.Q)), 1, 16);
  const bytes = 4 * kPanels * NV * m.lanes * s.R * s.S * s.C;
  const SPLITS = clamp(floor(wgradPartialBytes / bytes), 1, 64);
  // Halve the side of the block that costs less staging until there are tasks enough.
  let KT = kPanels;
  let CT = cPanels;
  while (SPLITS * ceilDiv(kPanels, KT) * ceilDiv(cPanels, CT) < wgradTasks && (KT > 1 || CT > 1)) {
    if (CT * 16 >= KT * NV * m.lanes && CT > 1) CT = ceilDiv(CT, 2);
    else if (KT > 1) KT = ceilDiv(KT, 2);
    else CT = ceilDiv(CT, 2);
  }
  return { ...s, NV, NB, KT, CT, IB, PB, SPLITS };
}

/** conv_wgrad(dy, x) -> dw. Prologues of both operands; sums inside a group in a fixed order, over groups in a tree. */
export const convWgrad: TemplateSpec = {
  name: "conv_wgrad",
  op: "conv_wgrad",
  prologue: ["dy", "x"],
  epilogue: false,
  sums: false,
  moments: false,
  constants: wgradConstants,
  launch(node, e, target) {
    const s = convShape(node);
    const c = wgradConstants(node, target);
    const [NV, KT, CT, IB, PB] = [c["NV"]!, c["KT"]!, c["CT"]!, c["IB"]!, c["PB"]!];
    const kw = NV * vectorWidth(target);
    const { xw, image } = wgradX(s, PB);
    const kPanels = ceilDiv(s.OUT, kw);
    const cPanels = ceilDiv(s.C, xw);
    const splits = e.groups * Math.min(e.rows / e.groups, c["SPLITS"]!);
    const blocks = ceilDiv(kPanels, KT) * ceilDiv(cPanels, CT);
    const sums = KT * kw * CT * xw * s.R * s.S; // of a block; a single split keeps them in scratch
    const staged = IB * (KT * PB * s.Q * kw + CT * image);
    return {
      tasks: splits === 1 ? [blocks] : [splits * blocks, kPanels * cPanels * s.R],
      workspaceBytes: splits === 1 ? 0 : 4 * splits * blocks * sums,
      scratchBytes: 4 * (splits === 1 ? staged + sums : staged),
    };
  },
  flops: convFlops,
  rows: (node) => dims(node, "inputs", 0)[0], // the images, not the rows of dw
};

// packing: one node a weight and use, attributes stride and pad are those of the convolution

function packShape(node: Node, target: Target): { C: number; OUT: number; R: number; S: number; m: Machine } {
  const [OUT, C, R, S] = dims(node, "inputs", 0);
  return { C, OUT, R, S, m: machine(target) };
}

const packed = (channels: number, rest: number, m: Machine): TensorType => ({
  dtype: "f32",
  shape: [ceilDiv(channels, m.lanes) * m.lanes * rest],
});

/** pack_conv_fprop(w) -> packed f32[n]. */
export const packConvFprop: TemplateSpec = {
  name: "pack_conv_fprop",
  header: "pack_conv",
  op: "pack_conv_fprop",
  prologue: [],
  epilogue: false,
  sums: false,
  moments: false,
  constants(node, target) {
    const { m, ...s } = packShape(node, target);
    return { ...s, NO: blockVectors(s.OUT, m) };
  },
  launch(node, _extents, target) {
    const { OUT, m } = packShape(node, target);
    return { tasks: [ceilDiv(OUT, blockVectors(OUT, m) * m.lanes)], workspaceBytes: 0, scratchBytes: 0 };
  },
  flops: () => 0,
  packed(node, target) {
    const { C, OUT, R, S, m } = packShape(node, target);
    return packed(OUT, C * R * S, m);
  },
};

/** pack_conv_dgrad(w; stride, pad) -> packed f32[n]. */
export const packConvDgrad: TemplateSpec = {
  name: "pack_conv_dgrad",
  header: "pack_conv",
  op: "pack_conv_dgrad",
  prologue: [],
  epilogue: false,
  sums: false,
  moments: false,
  constants(node, target) {
    const { m, ...s } = packShape(node, target);
    return { ...s, STRIDE: attr(node, "stride"), PAD: attr(node, "pad"), NO: blockVectors(s.C, m) };
  },
  launch(node, _extents, target) {
    const { C, m } = packShape(node, target);
    return { tasks: [ceilDiv(C, blockVectors(C, m) * m.lanes)], workspaceBytes: 0, scratchBytes: 0 };
  },
  flops: () => 0,
  packed(node, target) {
    const { C, OUT, R, S, m } = packShape(node, target);
    return packed(C, OUT * R * S, m);
  },
};
