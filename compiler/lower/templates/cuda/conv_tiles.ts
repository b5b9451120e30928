// Which tile a convolution has. Each rule lists tiles in order of preference, which are equal for all GPUs; the shared
// memory of the target's GPUs decides among them.

import type { Fused } from "../../template.js";
import { forOperand, type Operand, type Tile, tile } from "./gemm.js";
import { type Limits, residentBlocks } from "./limits.js";
import { columnsOf, isPoint, type Shape } from "./maps.js";

type Tiles = readonly [Tile, ...Tile[]];
type TilesOf = (s: Shape, y: Fused, hopper: boolean) => Tiles;

/**
 * conv_fprop. A prologue computes a stage in registers, so stages with one are short, and shorter if it reads several
 * tensors.
 */
export const fpropTiles: TilesOf = (s, y, hopper) => {
  const reads = y.prologues.get("x") ?? 0;
  const long = columnsOf(s) >= 128 && reads === 0;
  if (s.OUT > 64) {
    if (!isPoint(s)) return wide(hopper);
    if (reads > 1) return [tile(128, 128, 16, 3, 256, 2)];
    if (reads > 0) return [tile(128, 128, 32, 3, 256, 2)];
    return long ? [tile(128, 128, 64, 3, 256, 2), tile(128, 128, 32, 4, 256, 2)] : [tile(128, 128, 32, 4, 256, 2)];
  }
  return isPoint(s) ? narrow(long) : [tile(256, 64, 32, 4, 256, 2)];
};
/** Of a convolution with several taps. */
const wide = (hopper: boolean): Tiles =>
  hopper ? [tile(128, 128, 32, 4, 256, 2)] : [tile(256, 128, 32, 4, 512, 1), tile(128, 128, 32, 4, 256, 2)];
const narrow = (long: boolean): Tiles =>
  long ? [tile(128, 64, 64, 3, 128, 3), tile(128, 64, 32, 4, 128, 3)] : [tile(128, 64, 32, 4, 128, 3)];

export const dgradTiles: TilesOf = (s, y, hopper) => {
  if (y.prologues.has("dy"))
    return s.C > 32 || hopper ? [tile(128, 64, 32, 4, 256, 2)] : [tile(128, 32, 32, 4, 128, 4)];
  if (s.C > 64) return isPoint(s) ? [tile(128, 128, 32, 4, 256, 2)] : wide(hopper);
  return isPoint(s) ? narrow(s.OUT >= 128) : [tile(256, 64, 32, 4, 256, 2)];
};

export const wgradTiles: TilesOf = (s, y, hopper) => {
  const rows = s.OUT > 64 ? 128 : 64;
  const columns = columnsOf(s);
  if (y.prologues.has("dy")) return rows === 128 ? [tile(128, 64, 32, 4, 256, 2)] : [tile(64, 64, 32, 4, 128, 4)];
  const [bm, bn] = [rows, columns > 64 ? 128 : 64];
  const threads = Math.max(128, (bm * bn) / 64);
  const usual = tile(bm, bn, 32, 4, threads, threads === 128 ? 3 : 2);
  const fits192 = !hopper || !y.prologues.has("x"); // sm_90a's 128 loading threads do not divide lines of 192
  return rows === 64 && !isPoint(s) && columns % 192 === 0 && fits192 ? [tile(64, 192, 32, 4, 192, 2), usual] : [usual];
};

/**
 * The first tile of which as many blocks fit on a multiprocessor as it says. If there is none, the one with the most
 * threads there, with the BLOCKS that fit. `fixed`: all have the shape of the first, which another path needs. `bytes`
 * are of shared memory per block. Throws if no tile fits.
 */
export function fitting(tiles: Tiles, o: Operand, l: Limits, fixed: boolean, bytes: (t: Tile) => number): Tile {
  const [first] = tiles;
  const same = (t: Tile): boolean => t.TILE_ROWS === first.TILE_ROWS && t.TILE_COLUMNS === first.TILE_COLUMNS;
  const made = tiles
    .filter((t) => !fixed || same(t))
    .map((t) => forOperand(t, o))
    .map((t) => ({ t, fit: residentBlocks(l, t.THREADS, bytes(t)) }));
  const whole = made.find(({ t, fit }) => fit >= t.BLOCKS);
  if (whole) return whole.t;
  const best = made.reduce((a, b) => (b.fit * b.t.THREADS > a.fit * a.t.THREADS ? b : a));
  if (best.fit === 0) throw new Error(`a block of ${bytes(best.t)} bytes of shared memory; ${l.sharedOfBlock} fit`);
  return { ...best.t, BLOCKS: best.fit };
}
