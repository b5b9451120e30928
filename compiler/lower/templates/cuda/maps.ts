// Tensor maps of convolutions: which operands TMA loads on sm_90a, and how it sees them (kernels/cuda/tma_source.cuh).
// TMA can load operands without a prologue. With several taps the number of channels must also be a multiple of 64, so
// that every stage belongs to one tap.

import type { Extents, Fused, TensorMap, Window } from "../../template.js";
import type { ConvShape } from "../conv.js";
import { HOPPER_TERMS, type Tile } from "./gemm.js";

/** The sizes in K of the kernels: x is stored with C channels, of which the weights have WEIGHT_CHANNELS. */
export type Shape = ConvShape & { readonly WEIGHT_CHANNELS: number };

/** Whether x is images of 4 channels that are read as pairs of neighbouring pixels: ConvShape::paired in C++. */
export const isPaired = (s: Pick<ConvShape, "C" | "STRIDE" | "W">): boolean =>
  s.C === 4 && s.STRIDE === 2 && s.W % 2 === 0;

/** ConvShape::columns in C++: the number of terms of a result of conv_fprop. */
export function columnsOf(s: Shape): number {
  return isPaired(s) ? s.R * Math.floor((s.S + (s.PAD % 2) + 1) / 2) * 8 : s.R * s.S * s.C;
}

/** Whether the convolution has a single tap. */
export const isPoint = (s: Shape): boolean => s.R === 1 && s.S === 1;

/** Whether pixel i of the result depends only on pixel i of x. */
const isLinear = (s: Shape): boolean => isPoint(s) && s.STRIDE === 1 && s.PAD === 0;

/** Whether each stage of windows over `channels` channels belongs to one tap. */
const fitsStages = (s: Shape, channels: number): boolean =>
  !isPaired(s) && (isPoint(s) || channels % HOPPER_TERMS === 0);

/** The map of an operand as pixels of groups, in boxes of `lines` pixels of 64 channels. */
const pixels = (operand: string, channels: number, image: number, lines: number, e: Extents): TensorMap => ({
  operand,
  extents: [channels, (e.rows / e.groups) * image, e.groups],
  box: [HOPPER_TERMS, lines, 1],
});

/**
 * The window with `count` base pixels first, first + step, ... along each extent; h and w are [first, count, extent].
 */
function windowOf(h: readonly [number, number, number], w: readonly [number, number, number], step: number): Window {
  const upper = ([first, count, extent]: readonly [number, number, number]): number =>
    first + (count - 1) * step - (extent - 1);
  return { lower: [w[0], h[0]], upper: [upper(w), upper(h)], step };
}

/** The map of x as windows, for `lines` result pixels at a time. */
const windowsOfX = (s: Shape, lines: number, e: Extents): TensorMap => ({
  operand: "x",
  extents: [s.C, s.W, s.H, e.rows],
  box: [HOPPER_TERMS, lines],
  window: windowOf([-s.PAD, s.P, s.H], [-s.PAD, s.Q, s.W], s.STRIDE),
});

const plainX = (y: Fused): boolean => !y.prologues.has("x");
const plainDy = (y: Fused): boolean => !y.prologues.has("dy");

/** The maps of conv_fprop: of w, and of x if TMA can load it. */
export function fpropMaps(s: Shape, t: Tile, y: Fused, e: Extents): readonly TensorMap[] {
  const w: TensorMap = { operand: "w", extents: [columnsOf(s), s.OUT, 1], box: [HOPPER_TERMS, t.TILE_COLUMNS, 1] };
  if (!plainX(y) || !fitsStages(s, s.C)) return [w];
  return [isLinear(s) ? pixels("x", s.C, s.H * s.W, t.TILE_ROWS, e) : windowsOfX(s, t.TILE_ROWS, e), w];
}

/**
 * Where the taps of gradient position `a` begin in dy, relative to its cell; undefined if it has none. tap_run in
 * kernels/common/taps.h.
 */
function firstTap(a: number, s: Shape): number | undefined {
  const r0 = (a + s.PAD) % s.STRIDE;
  if (r0 >= s.R) return undefined;
  const taps = Math.floor((s.R - 1 - r0) / s.STRIDE) + 1;
  return Math.floor((a + s.PAD) / s.STRIDE) - taps + 1;
}

/** The maps of conv_dgrad: of w, and of dy if TMA can load it; none if stages would contain several taps. */
export function dgradMaps(s: Shape, t: Tile, y: Fused, e: Extents): readonly TensorMap[] {
  if (!isPoint(s) && s.OUT % HOPPER_TERMS !== 0) return [];
  const w: TensorMap = { operand: "w", extents: [s.C, s.R * s.S, s.OUT], box: [HOPPER_TERMS, 1, HOPPER_TERMS] };
  const firsts = new Set(Array.from({ length: s.STRIDE }, (_, a) => firstTap(a, s)).filter((f) => f !== undefined));
  if (!plainDy(y) || firsts.size !== 1) return [w]; // dy has one map, which must fit all residues
  if (isLinear(s)) return [pixels("dy", s.OUT, s.P * s.Q, t.TILE_ROWS, e), w];
  const first = [...firsts][0] as number;
  const cells = (n: number): number => Math.ceil(n / s.STRIDE);
  const window = windowOf([first, cells(s.H), s.P], [first, cells(s.W), s.Q], 1);
  return [{ operand: "dy", extents: [s.OUT, s.Q, s.P, e.rows], box: [HOPPER_TERMS, t.TILE_ROWS], window }, w];
}

/** The maps of conv_wgrad: of dy and of x, each if TMA can load it. */
export function wgradMaps(s: Shape, y: Fused, e: Extents): readonly TensorMap[] {
  const maps: TensorMap[] = [];
  if (plainDy(y)) maps.push(pixels("dy", s.OUT, s.P * s.Q, HOPPER_TERMS, e));
  if (plainX(y) && fitsStages(s, s.C)) {
    maps.push(isLinear(s) ? pixels("x", s.C, s.H * s.W, HOPPER_TERMS, e) : windowsOfX(s, HOPPER_TERMS, e));
  }
  return maps;
}
