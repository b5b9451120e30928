// The tiles of convolutions by pixels (fprop and dgrad): how many rows, images and channels a task and a register tile
// have. They depend only on the shape and the arch, not on the batch, the groups or the threads, because they determine
// the order of channel sums. Only a convolution without channel sums is cut finer for a small batch, which changes no
// bit. In bf16 the sizes that determine an order depend only on the shape, so that all CPUs compute the same bits. AMX
// adds in an order of its own.

import type { Target } from "../../ir/types.js";
import { ceilDiv } from "../../util/math.js";
import { vectorWidth } from "./sums.js";

const floor = Math.floor;
export const clamp = (x: number, low: number, high: number): number => Math.max(low, Math.min(high, x));

/** What the tile sizes are chosen for: the registers, and bytes that fit in a core's second-level cache. */
export interface Machine {
  readonly lanes: number;
  readonly vectors: number; // of channels in a register tile
  readonly pixels: number; // in a register tile of fprop and dgrad
  readonly slabBytes: number;
  readonly weightBytes: number; // of the weights of one channel block, which all pixels of a task use
  readonly spanBytes: number; // of the weights of all blocks, if each span of pixels uses all of them
}

const avx512: Machine = {
  ...{ lanes: 16, vectors: 4, pixels: 6 },
  ...{ slabBytes: 400 << 10, weightBytes: 640 << 10, spanBytes: 256 << 10 },
};
const avx2: Machine = {
  ...{ lanes: 8, vectors: 2, pixels: 6 },
  ...{ slabBytes: 200 << 10, weightBytes: 320 << 10, spanBytes: 128 << 10 },
};

/** Tiles of 32 pixels; sums stay in them over all taps. Weights are bf16, so that twice as many fit. */
const amx: Machine = {
  ...{ lanes: 16, vectors: 4, pixels: 32 },
  ...{ slabBytes: 800 << 10, weightBytes: Number.MAX_SAFE_INTEGER, spanBytes: 512 << 10 },
};

/** Whether convolutions are computed by AMX. */
export const usesAmx = (target: Target): boolean => target.precision === "bf16" && target.arch.endsWith("+amx");

export const machine = (target: Target): Machine =>
  usesAmx(target) ? amx : vectorWidth(target) === 16 ? avx512 : avx2;

/** The machine for which sizes that determine the order of a sum are chosen. */
export const orderMachine = (target: Target): Machine =>
  target.precision === "bf16" && !usesAmx(target) ? avx512 : machine(target);

/** The words of 32 bits in which convolutions move elements: an f32, or two bf16. */
export const wordsOf = (elements: number, target: Target): number =>
  target.precision === "bf16" ? ceilDiv(elements, 2) : elements;

/** The vectors per channel block, such that the blocks are about equal and none is larger than `m.vectors`. */
export function blockVectors(channels: number, m: Machine): number {
  const vectors = ceilDiv(channels, m.lanes);
  return ceilDiv(vectors, ceilDiv(vectors, m.vectors));
}

interface TileInput {
  readonly rows: number; // of the result
  readonly cols: number;
  readonly unit: number; // a task has a multiple of this many rows
  readonly slab: (rows: number) => number; // bytes of the slab for this many rows of one image
  readonly channels: number; // of the result
  readonly tapRow: number; // words of a row of taps, for one result channel
  readonly tapRows: number;
}

/** Tile constants of conv_fprop and conv_dgrad: see the headers. */
export type DirectTiles = {
  readonly TILE_VECTORS: number;
  readonly TILE_PIXELS: number;
  readonly TAP_ROWS: number;
  readonly IMAGE_BLOCK: number;
  readonly ROW_BLOCK: number;
  readonly CHANNEL_PARTS: number;
  readonly PIXEL_SPAN: number;
};

/** The rows and images per task. */
function taskPixels(t: TileInput, m: Machine): { readonly ROW_BLOCK: number; readonly IMAGE_BLOCK: number } {
  const all = ceilDiv(t.rows, t.unit);
  const unit = t.cols * t.unit;
  // A task reads all weights. If they are so large that they come from the shared cache, a task needs more pixels. With
  // about 400 pixels per task the threads have equal work.
  const least = 4 * t.channels * t.tapRow * t.tapRows > 2 << 20 ? ceilDiv(28, unit) : 1;
  let units = clamp(ceilDiv(400, unit), 1, all);
  while (units > least && t.slab(units * t.unit) > m.slabBytes) units--;
  units = ceilDiv(all, ceilDiv(all, units)); // row blocks of about one size
  const ROW_BLOCK = Math.min(units * t.unit, t.rows);
  if (ROW_BLOCK < t.rows) return { ROW_BLOCK, IMAGE_BLOCK: 1 };
  return {
    ROW_BLOCK,
    IMAGE_BLOCK: clamp(Math.min(floor(m.slabBytes / t.slab(ROW_BLOCK)), floor(200 / (ROW_BLOCK * t.cols))), 1, 8),
  };
}

const smallBatchTasks = 16; // that a launch has at least if its shape allows it: two for each of eight cores
const MANY_IMAGES = 8; // make enough tasks without being cut finer
const leastPixels = 28; // of such a task, so that a weight is used for a few register tiles

/** The pixels and channels of a task, cut until `images` images make enough tasks. */
function spread(
  t: TileInput,
  images: number,
  blocks: number,
  cut: { readonly ROW_BLOCK: number; readonly IMAGE_BLOCK: number; readonly CHANNEL_PARTS: number },
): typeof cut {
  let { ROW_BLOCK, IMAGE_BLOCK, CHANNEL_PARTS } = cut;
  const rowBlocks = (): number => ceilDiv(t.rows, ROW_BLOCK);
  const missing = (): number => smallBatchTasks / (ceilDiv(images, IMAGE_BLOCK) * rowBlocks() * CHANNEL_PARTS);
  while (missing() > 1 && IMAGE_BLOCK > 1) IMAGE_BLOCK--;
  const least = ceilDiv(leastPixels, t.cols * t.unit) * t.unit;
  if (missing() > 1) CHANNEL_PARTS = Math.min(blocks, Math.ceil(CHANNEL_PARTS * missing()));
  while (missing() > 1 && ROW_BLOCK - t.unit >= least) ROW_BLOCK -= t.unit;
  return { ROW_BLOCK: ceilDiv(ceilDiv(t.rows, t.unit), rowBlocks()) * t.unit, IMAGE_BLOCK, CHANNEL_PARTS };
}

/**
 * `images`: how many there are, if the result has no channel sums, whose order depends on the tasks. All batches of
 * MANY_IMAGES or more have the same tiles, and so the same kernels.
 */
export function directTiles(t: TileInput, target: Target, images?: number): DirectTiles {
  const m = machine(target);
  const order = orderMachine(target);
  const TILE_VECTORS = blockVectors(t.channels, m);
  const bytes = (of: Machine): number => 4 * blockVectors(t.channels, of) * of.lanes * t.tapRow; // of a block's taps
  const rowBytes = bytes(m);
  const TAP_ROWS = clamp(floor(order.weightBytes / bytes(order)), 1, t.tapRows);
  const blocks = ceilDiv(ceilDiv(t.channels, m.lanes), TILE_VECTORS);
  const rows = taskPixels(t, order);
  const few = rows.ROW_BLOCK === t.rows && rows.ROW_BLOCK * t.cols <= 100; // such a batch makes few tasks
  const parts = few ? clamp(floor((blocks * TILE_VECTORS * m.lanes) / 256), 1, Math.min(4, blocks)) : 1;
  const usual = { ...rows, CHANNEL_PARTS: parts };
  const { ROW_BLOCK, IMAGE_BLOCK, CHANNEL_PARTS } =
    images === undefined || images >= MANY_IMAGES ? usual : spread(t, images, blocks, usual);
  const pixels = ROW_BLOCK * t.cols;
  // If the weights of all blocks fit in the cache, a few pixels are computed for all blocks, so that whole pixels are
  // written.
  const PIXEL_SPAN = blocks * rowBytes * t.tapRows <= m.spanBytes ? 4 * m.pixels : IMAGE_BLOCK * pixels;
  return { TILE_VECTORS, TILE_PIXELS: m.pixels, TAP_ROWS, IMAGE_BLOCK, ROW_BLOCK, CHANNEL_PARTS, PIXEL_SPAN };
}
