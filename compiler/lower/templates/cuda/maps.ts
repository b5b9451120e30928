// Tensor maps of convolutions: which operands TMA brings on sm_90a, and how it sees them (kernels/cuda/tma_source.cuh).
// Those that are used as they are stored; of windows of several taps only such whose channels come in units of 64, so
// that a stage never leaves a tap.

import type { Extents, Fused, TensorMap, Window } from "../../template.js";
import type { ConvShape } from "../conv.js";
import { HOPPER_TERMS, type Tile } from "./gemm.js";

/** A convolution as K of the kernels has it: C stored channels of x, WEIGHT_CHANNELS of the weights. */
export type Shape = ConvShape & { readonly WEIGHT_CHANNELS: number };

/** Images of 4 channels, read as pairs of neighbouring pixels: ConvShape::paired in C++. */
export const isPaired = (s: Pick<ConvShape, "C" | "STRIDE" | "W">): boolean =>
  s.C === 4 && s.STRIDE === 2 && s.W % 2 === 0;

/** ConvShape::columns in C++: terms of an output. */
export function columnsOf(s: Shape): number {
  return isPaired(s) ? s.R * Math.floor((s.S + (s.PAD % 2) + 1) / 2) * 8 : s.R * s.S * s.C;
}

export const isPoint = (s: Shape): boolean => s.R === 1 && s.S === 1;

/** The only tap of pixel i is pixel i. */
const isLinear = (s: Shape): boolean => isPoint(s) && s.STRIDE === 1 && s.PAD === 0;

/** Whether stages of windows over `channels` channels stay within taps. */
const fitsStages = (s: Shape, channels: number): boolean =>
  !isPaired(s) && (isPoint(s) || channels % HOPPER_TERMS === 0);

/** Lines of 64 channels, pixels of a group. */
const pixels = (operand: string, channels: number, image: number, lines: number, e: Extents): TensorMap => ({
  operand,
  extents: [channels, (e.rows / e.groups) * image, e.groups],
  box: [HOPPER_TERMS, lines, 1],
});

/** Base pixels first, first + step, ...: `count` along an extent. */
function windowOf(h: readonly [number, number, number], w: readonly [number, number, number], step: number): Window {
  const upper = ([first, count, extent]: readonly [number, number, number]): number =>
    first + (count - 1) * step - (extent - 1);
  return { lower: [w[0], h[0]], upper: [upper(w), upper(h)], step };
}

/** Windows of x, `lines` result pixels at a time. */
const windowsOfX = (s: Shape, lines: number, e: Extents): TensorMap => ({
  operand: "x",
  extents: [s.C, s.W, s.H, e.rows],
  box: [HOPPER_TERMS, lines],
  window: windowOf([-s.PAD, s.P, s.H], [-s.PAD, s.Q, s.W], s.STRIDE),
});

const plainX = (y: Fused): boolean => !y.prologues.has("x");
const plainDy = (y: Fused): boolean => !y.prologues.has("dy");

export function fpropMaps(s: Shape, t: Tile, y: Fused, e: Extents): readonly TensorMap[] {
  const w: TensorMap = { operand: "w", extents: [columnsOf(s), s.OUT, 1], box: [HOPPER_TERMS, t.TILE_COLUMNS, 1] };
  if (!plainX(y) || !fitsStages(s, s.C)) return [w];
  return [isLinear(s) ? pixels("x", s.C, s.H * s.W, t.TILE_ROWS, e) : windowsOfX(s, t.TILE_ROWS, e), w];
}

/**
 * Where the taps of gradient position `a` begin in dy, relative to its cell: tap_run in kernels/common/taps.h.
 */
function firstTap(a: number, s: Shape): number | undefined {
  const r0 = (a + s.PAD) % s.STRIDE;
  if (r0 >= s.R) return undefined;
  const taps = Math.floor((s.R - 1 - r0) / s.STRIDE) + 1;
  return Math.floor((a + s.PAD) / s.STRIDE) - taps + 1;
}

export function dgradMaps(s: Shape, t: Tile, y: Fused, e: Extents): readonly TensorMap[] {
  if (!isPoint(s) && s.OUT % HOPPER_TERMS !== 0) return [];
  const w: TensorMap = { operand: "w", extents: [s.C, s.R * s.S, s.OUT], box: [HOPPER_TERMS, 1, HOPPER_TERMS] };
  const firsts = new Set(Array.from({ length: s.STRIDE }, (_, a) => firstTap(a, s)).filter((f) => f !== undefined));
  if (!plainDy(y) || firsts.size !== 1) return [w]; // one map for all residues
  if (isLinear(s)) return [pixels("dy", s.OUT, s.P * s.Q, t.TILE_ROWS, e), w];
  const first = [...firsts][0] as number;
  const cells = (n: number): number => Math.ceil(n / s.STRIDE);
  const window = windowOf([first, cells(s.H), s.P], [first, cells(s.W), s.Q], 1);
  return [{ operand: "dy", extents: [s.OUT, s.Q, s.P, e.rows], box: [HOPPER_TERMS, t.TILE_ROWS], window }, w];
}

export function wgradMaps(s: Shape, y: Fused, e: Extents): readonly TensorMap[] {
  const maps: TensorMap[] = [];
  if (plainDy(y)) maps.push(pixels("dy", s.OUT, s.P * s.Q, HOPPER_TERMS, e));
  if (plainX(y) && fitsStages(s, s.C)) {
    maps.push(isLinear(s) ? pixels("x", s.C, s.H * s.W, HOPPER_TERMS, e) : windowsOfX(s, HOPPER_TERMS, e));
  }
  return maps;
}
