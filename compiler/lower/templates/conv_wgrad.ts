// The template of the gradient of a convolution's weights: kernels/cpu/conv_wgrad.hpp and, on AMX, conv_wgrad_amx.hpp.
// Tile sizes depend only on the shape and the arch, because they determine the order of dw's sum.

import type { Node, Target } from "../../ir/types.js";
import { ceilDiv } from "../../util/math.js";
import type { TemplateSpec } from "../template.js";
import { type ConvShape, convFlops, convShape, dims, type ElementConstant, elementOf } from "./conv.js";
import { blockVectors, clamp, machine, orderMachine, usesAmx, wordsOf } from "./conv_tiles.js";
import { vectorWidth } from "./sums.js";

const floor = Math.floor;

/** Staged at a time: panels of one k and one c stay in the first-level cache; with AMX, all panels in the second. */
const wgradPixels = { F32: 112, Bf16: 168, Amx: 400 };
const amxSumBytes = 512 << 10; // of a task's block, which are read and written for each staged chunk
const wgradPartialBytes = 4 << 20; // of one group, unless a single dw is larger
const wgradTasks = 16; // tasks per group, at least, if the shape allows it

/** The columns of taps that have sums of their own. With AMX, the (s, c) of few channels share them. */
const columnsOf = (s: ConvShape, target: Target): number =>
  usesAmx(target) && s.R * s.S > 1 && s.C < 16 ? ceilDiv(s.S * s.C, 16) : s.S;

/** The width of a channel panel of x, and what is staged of an image: words of a panel of x, and of a channel of dy. */
function wgradStaged(s: ConvShape, rows: number, target: Target): { xWidth: number; image: number; y: number } {
  const point = s.R === 1 && s.S === 1;
  const stride = point ? 1 : s.STRIDE;
  if (usesAmx(target)) {
    const rowPairs = ceilDiv(s.Q, 2);
    if (!point) {
      const tap = 16 * ceilDiv((rows - 1) * stride + s.R, stride) * stride * rowPairs;
      const pairs = rows * rowPairs;
      let steps = ceilDiv(pairs, 16);
      while (pairs % steps > 0) steps++; // of equal length
      return { xWidth: 16, image: columnsOf(s, target) * tap, y: 16 * steps };
    }
    const pairs = ceilDiv(rows * s.Q, 2);
    const steps = ceilDiv(pairs, 16);
    return { xWidth: 16, image: 16 * steps * ceilDiv(pairs, steps), y: 16 * steps };
  }
  const xWidth = Math.min(s.C, 16);
  const pixels = ((rows - 1) * stride + s.R) * ((s.Q - 1) * stride + s.S);
  return point
    ? { xWidth, image: wordsOf(pixels, target) * xWidth, y: wordsOf(rows * s.Q, target) }
    : { xWidth, image: pixels * xWidth, y: rows * wordsOf(s.Q, target) };
}

/** Tile constants of conv_wgrad: see the header. */
type WgradTiles = {
  readonly TILE_VECTORS: number;
  readonly TILE_POSITIONS: number;
  readonly OUT_PANELS: number;
  readonly IN_PANELS: number;
  readonly IMAGE_BLOCK: number;
  readonly ROW_BLOCK: number;
  readonly SPLITS: number;
};

/** The largest number of rows, and then of images, that have at most `pixels` pixels. */
function wgradRows(s: ConvShape, pixels: number, amx: boolean): { ROW_BLOCK: number; IMAGE_BLOCK: number } {
  let ROW_BLOCK = clamp(floor(pixels / s.Q), 1, s.P);
  if (amx) while (s.P % ROW_BLOCK > 0) ROW_BLOCK--;
  else ROW_BLOCK = ceilDiv(s.P, ceilDiv(s.P, ROW_BLOCK));
  return { ROW_BLOCK, IMAGE_BLOCK: ROW_BLOCK < s.P ? 1 : clamp(floor(pixels / (s.P * s.Q)), 1, 16) };
}

function wgradConstants(node: Node, target: Target): ConvShape & WgradTiles & ElementConstant {
  const s = convShape(node);
  const amx = usesAmx(target);
  const m = machine(target);
  const TILE_VECTORS = amx ? 1 : blockVectors(s.OUT, m);
  const TILE_POSITIONS = 6;
  const kPanels = ceilDiv(s.OUT, TILE_VECTORS * m.lanes);
  const cPanels = ceilDiv(s.C, amx ? 16 : Math.min(s.C, 16));
  const element = elementOf(target);
  const rows = wgradRows(s, wgradPixels[element.Element.type], amx);
  const order = orderMachine(target);
  const width = blockVectors(s.OUT, order) * order.lanes;
  const bytes = 4 * ceilDiv(s.OUT, width) * width * s.R * s.S * s.C;
  const SPLITS = clamp(floor(wgradPartialBytes / bytes), 1, 64);
  // Halve the side of the block that costs less staging, until there are enough tasks (and, with AMX, until the sums
  // stay in the cache; x is then staged for each column of taps).
  let OUT_PANELS = kPanels;
  let IN_PANELS = cPanels;
  const few = (): boolean =>
    SPLITS * ceilDiv(kPanels, OUT_PANELS) * ceilDiv(cPanels, IN_PANELS) < wgradTasks ||
    (amx && OUT_PANELS * IN_PANELS * s.R * columnsOf(s, target) * 1024 > amxSumBytes);
  const xCost = 16 * (amx ? s.S : 1);
  while (few() && (OUT_PANELS > 1 || IN_PANELS > 1)) {
    if (IN_PANELS * xCost >= OUT_PANELS * TILE_VECTORS * m.lanes && IN_PANELS > 1) IN_PANELS = ceilDiv(IN_PANELS, 2);
    else if (OUT_PANELS > 1) OUT_PANELS = ceilDiv(OUT_PANELS, 2);
    else IN_PANELS = ceilDiv(IN_PANELS, 2);
  }
  return { ...s, ...element, TILE_VECTORS, TILE_POSITIONS, OUT_PANELS, IN_PANELS, ...rows, SPLITS };
}

/** conv_wgrad(dy, x) -> dw, with prologues of both. Sums in a fixed order inside a group, and over groups in a tree. */
export const convWgrad: TemplateSpec = {
  name: "conv_wgrad",
  op: "conv_wgrad",
  prologue: ["dy", "x"],
  epilogue: false,
  sums: false,
  moments: false,
  streams: true,
  constants: wgradConstants,
  launch(node, e, target) {
    const c = wgradConstants(node, target);
    const yWidth = c.TILE_VECTORS * vectorWidth(target);
    const { xWidth, image, y } = wgradStaged(c, c.ROW_BLOCK, target);
    const kPanels = ceilDiv(c.OUT, yWidth);
    const cPanels = ceilDiv(c.C, xWidth);
    const splits = e.groups * Math.min(e.rows / e.groups, c.SPLITS);
    const blocks = ceilDiv(kPanels, c.OUT_PANELS) * ceilDiv(cPanels, c.IN_PANELS);
    // of a block, in scratch if one split
    const sums = c.OUT_PANELS * yWidth * c.IN_PANELS * xWidth * c.R * columnsOf(c, target);
    const staged = c.IMAGE_BLOCK * (c.OUT_PANELS * y * yWidth + c.IN_PANELS * image);
    return {
      tasks: splits === 1 ? [blocks] : [splits * blocks, kPanels * cPanels * c.R],
      workspaceBytes: splits === 1 ? 0 : 4 * splits * blocks * sums,
      scratchBytes: 4 * (splits === 1 ? staged + sums : staged),
    };
  },
  flops: convFlops,
  rows: (node) => dims(node, "inputs", 0)[0], // the images, not the rows of dw
};
