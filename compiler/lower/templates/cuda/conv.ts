// The convolutions of kernels/cuda: implicit GEMM on tensor cores. Tiles, runs and splits depend only on the shape of
// one group's part, because they determine the order of sums. The number of channels is a multiple of 8; images are
// padded to 4 channels, which the kernels read as pairs of pixels, or to 8 (lower/device_graph.ts).

import type { Attrs, DType, Node, Target, Value } from "../../../ir/types.js";
import { conv_dgrad, conv_wgrad } from "../../../ops/conv.js";
import { ceilDiv } from "../../../util/math.js";
import { type Constants, type Extents, type Fused, plain, type TemplateSpec, type TensorMap } from "../../template.js";
import * as cpu from "../conv.js";
import * as cpuWgrad from "../conv_wgrad.js";
import { numberAttr } from "../shapes.js";
import { partialValues } from "../sums.js";
import { combineBlocks, grid, MULTIPROCESSORS, onCuda, partialBytes, THREADS } from "./blocks.js";
import { dgradTiles, fitting, fpropTiles, wgradTiles } from "./conv_tiles.js";
import {
  convOperand,
  epilogueShared,
  HOPPER_TERMS,
  type HopperTile,
  hasHopper,
  hopperTile,
  type Operand,
  type Tile,
  wgradShared,
} from "./gemm.js";
import { limitsFor } from "./limits.js";
import { columnsOf, dgradMaps, fpropMaps, isPaired, isPoint, type Shape, wgradMaps } from "./maps.js";

function shapeOf(node: Node): Shape {
  const s = cpu.convShape(node);
  const weights = node.op === conv_wgrad.name ? node.outputs[0] : node.inputs[1];
  const shape = { ...s, WEIGHT_CHANNELS: weights?.type.shape[1] as number };
  const image = isPaired(shape) && node.op !== conv_dgrad.name;
  if ((shape.C % 8 !== 0 && !image) || shape.OUT % 8 !== 0) {
    const what = `${node.op} in ${node.scope || "<top>"}: ${shape.C} channels to ${shape.OUT}`;
    throw new Error(`${what}: on CUDA, channels must be multiples of 8 (except those of an image)`);
  }
  return shape;
}

/**
 * The operands that a convolution with several taps declines as prologues. Such a prologue would be computed once per
 * tap and block of channels: 9 taps of about 6 instructions per element take 1.8 ps (estimated) on 132 multiprocessors
 * that do nothing else. A kernel that stores the operand moves 4 bytes per element, 0.9 ps at 4.3 TB/s, and both the
 * forward pass and the weight gradient use the result.
 */
const unlessPoint =
  (names: readonly string[]) =>
  (node: Node): readonly string[] =>
    isPoint(shapeOf(node)) ? [] : names;

interface Result {
  readonly channels: number;
  readonly terms: number;
  readonly tiled: number; // pixels of one image, or cells of pixels, that tiles are made of
  readonly bytes: number; // moved for each of them
}

function fpropResult(s: Shape, o: Operand): Result {
  const bytes = o.bytes * (s.OUT + (s.C * s.H * s.W) / (s.P * s.Q));
  return { channels: s.OUT, terms: columnsOf(s), tiled: s.P * s.Q, bytes };
}
function dgradResult(s: Shape, o: Operand): Result {
  const cells = ceilDiv(s.H, s.STRIDE) * ceilDiv(s.W, s.STRIDE);
  const bytes = (o.bytes * (s.C * s.H * s.W + s.OUT * s.P * s.Q)) / cells;
  return { channels: s.C, terms: s.OUT * s.R * s.S, tiled: cells, bytes };
}

/**
 * How one convolution is computed. The path for sm_90a has the same grid as the other one, so if sm_90a is among the
 * targets, the number of its blocks determines the sizes.
 */
interface Way {
  readonly s: Shape;
  readonly o: Operand;
  readonly t: Tile;
  readonly hopper?: HopperTile;
  readonly slots: number; // blocks that run on the GPU at one time
}
function wayOf(node: Node, target: Target, y: Fused): Way {
  const [s, o] = [shapeOf(node), convOperand(target)];
  const wgrad = node.op === conv_wgrad.name;
  const has = hasHopper(target);
  const tilesOf = wgrad ? wgradTiles : node.op === conv_dgrad.name ? dgradTiles : fpropTiles;
  const bytes = (t: Tile): number => (wgrad ? wgradShared(t, o) : epilogueShared(t, o, y));
  const t = fitting(tilesOf(s, y, has), o, limitsFor(target, has), has, bytes);
  if (!has) return { s, o, t, slots: MULTIPROCESSORS * t.BLOCKS };
  const hopper = wgrad ? hopperTile(t, undefined, y.prologues.size > 1) : hopperTile(t, y, false);
  return { s, o, t, hopper, slots: MULTIPROCESSORS * hopper.HOPPER_BLOCKS };
}

/** The constants of the kernel. `maps`: those of its launch. */
const constantsOf = ({ s, o, t, hopper }: Way, shared: number, maps: readonly TensorMap[]): Constants => ({
  ...s,
  Operand: { type: o.type },
  ...t,
  SHARED_BYTES: shared,
  ...hopper,
  ...Object.fromEntries(maps.map((m, i) => [`${m.operand.toUpperCase()}_MAP`, i])),
});

const PARTIAL_SHARE = 0.01; // bytes of the partials of sums that are wanted, at most, per byte that the kernel moves
const SPLIT_SHARE = 0.015;

/**
 * The number of tiles that a block computes one after the other (`run`) and of such runs. Without sums a run is one
 * tile. With sums the run takes the least time, which is that of the waves of blocks and of the partials that they
 * write. It is between half and twice the length with which partials are PARTIAL_SHARE of the bytes.
 */
function runOf(
  r: Result,
  { t, slots }: Way,
  y: Fused,
  images: number,
): { readonly run: number; readonly runs: number } {
  const tiles = ceilDiv(images * r.tiled, t.TILE_ROWS);
  if (partialValues(y) === 0) return { run: 1, runs: tiles };
  const wanted = Math.max(1, (16 * r.channels) / (PARTIAL_SHARE * r.bytes * t.TILE_ROWS));
  const waves = (run: number): number => ceilDiv(ceilDiv(tiles, run) * ceilDiv(r.channels, t.TILE_COLUMNS), slots);
  const cost = (run: number): number => waves(run) * (run + PARTIAL_SHARE * wanted);
  const [first, last] = [Math.ceil(wanted / 2), 2 * Math.ceil(wanted)];
  let run = first;
  for (let other = first + 1; other <= last; other++) if (cost(other) < cost(run)) run = other;
  return { run, runs: ceilDiv(tiles, run) };
}

function rowsLaunch(r: Result, way: Way, e: Extents, y: Fused, maps: readonly TensorMap[]) {
  const { run, runs } = runOf(r, way, y, e.rows / e.groups);
  return grid([e.groups * runs * ceilDiv(r.channels, way.t.TILE_COLUMNS), ...combineBlocks(y, r.channels, e.groups)], {
    workspaceBytes: partialBytes(y, r.channels, e.groups, runs),
    extent: [run],
    maps,
  });
}

/** A template whose results are pixels: `maps` returns the tensor maps of its operands, `result` the sizes. */
const rowsSpec = (
  maps: (s: Shape, t: Tile, y: Fused, e: Extents) => readonly TensorMap[],
  result: (s: Shape, o: Operand) => Result,
): Pick<TemplateSpec, "constants" | "launch"> => {
  const mapsOf = (w: Way, y: Fused, e: Extents): readonly TensorMap[] => (w.hopper ? maps(w.s, w.t, y, e) : []);
  return {
    constants(node, target, y) {
      const way = wayOf(node, target, y);
      return constantsOf(way, epilogueShared(way.t, way.o, y), mapsOf(way, y, one));
    },
    launch(node, e, target, y) {
      const way = wayOf(node, target, y);
      return rowsLaunch(result(way.s, way.o), way, e, y, mapsOf(way, y, e));
    },
  };
};
const one: Extents = { rows: 1, groups: 1 }; // which operands have maps does not depend on extents

const operandType = (target: Target): DType => convOperand(target).dtype;

export const convFprop = onCuda(cpu.convFprop, {
  operandType,
  packs: { w: "pack_conv_fprop" },
  declines: unlessPoint(["x"]),
  ...rowsSpec(fpropMaps, fpropResult),
});

/** Reads the packed copy of the weight that conv_fprop reads. Its epilogue computes no moments. */
export const convDgrad = onCuda(cpu.convDgrad, {
  operandType,
  packs: { w: "pack_conv_fprop" },
  moments: false,
  declines: unlessPoint(["dy"]),
  ...rowsSpec(dgradMaps, dgradResult),
});

/** The number of parts of a group's pixels, each of which is summed by separate blocks. */
function splitsOf({ s, o, t, hopper, slots }: Way, images: number): number {
  const tiles = ceilDiv(s.OUT, t.TILE_ROWS) * ceilDiv(columnsOf(s), t.TILE_COLUMNS);
  const bytes = o.bytes * images * (s.P * s.Q * s.OUT + s.H * s.W * s.C);
  const cheap = (SPLIT_SHARE * bytes) / (8 * s.OUT * columnsOf(s)); // a partial is written and read in f32
  const stage = hopper ? Math.max(t.STAGE_TERMS, HOPPER_TERMS) : t.STAGE_TERMS;
  const most = ceilDiv(images * s.P * s.Q, stage); // a split has at least one stage
  return Math.max(1, Math.min(Math.floor(Math.min(slots / tiles, Math.max(cheap, MULTIPROCESSORS / tiles))), most));
}

export const convWgrad = onCuda(cpuWgrad.convWgrad, {
  operandType,
  declines: unlessPoint(["dy", "x"]),
  constants(node, target, y) {
    const way = wayOf(node, target, y);
    return constantsOf(way, wgradShared(way.t, way.o), way.hopper ? wgradMaps(way.s, y, one) : []);
  },
  launch(node, e, target, y) {
    const way = wayOf(node, target, y);
    const { s, t } = way;
    const splits = splitsOf(way, e.rows / e.groups);
    const size = s.OUT * columnsOf(s);
    const parts = e.groups * splits;
    const blocks = parts * ceilDiv(s.OUT, t.TILE_ROWS) * ceilDiv(columnsOf(s), t.TILE_COLUMNS);
    return grid(parts > 1 ? [blocks, ceilDiv(size, 128)] : [blocks], {
      workspaceBytes: parts > 1 ? 4 * parts * size : 0,
      extent: [splits],
      maps: way.hopper ? wgradMaps(s, y, e) : [],
    });
  },
});

/** Packs the weights for conv_fprop and conv_dgrad. */
export const packConvFprop: TemplateSpec = {
  ...plain,
  name: "pack_conv_fprop",
  header: "pack_conv",
  op: "pack_conv_fprop",
  packingAttrs: (user): Attrs => {
    const { C, W, STRIDE, PAD } = shapeOf(user);
    return { stride: STRIDE, pad: PAD, channels: C, width: C === 4 ? W : 0 }; // the width decides whether it is paired
  },
  constants(node, target) {
    return { ...packedShape(node), Operand: { type: convOperand(target).type }, THREADS };
  },
  launch(node) {
    const s = packedShape(node);
    return grid([ceilDiv(s.OUT * columnsOf(s), 8 * THREADS)]);
  },
  flops: () => 0,
  packed(node, target: Target) {
    const s = packedShape(node);
    return { dtype: convOperand(target).dtype, shape: [s.OUT * columnsOf(s)] };
  },
  rounds(node, target) {
    const s = packedShape(node);
    return convOperand(target).dtype === "bf16" && s.WEIGHT_CHANNELS === s.C;
  },
};

function packedShape(node: Node): Shape {
  const packed = node.inputs[0] as Value;
  const [OUT, WEIGHT_CHANNELS, R, S] = packed.type.shape as [number, number, number, number];
  const [C, W] = [numberAttr(node, "channels"), numberAttr(node, "width")];
  return {
    OUT,
    WEIGHT_CHANNELS,
    R,
    S,
    C,
    W,
    H: 0,
    P: 0,
    Q: 0,
    STRIDE: numberAttr(node, "stride"),
    PAD: numberAttr(node, "pad"),
  };
}
