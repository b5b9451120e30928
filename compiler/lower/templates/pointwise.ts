// kernels/cpu/pointwise.hpp: a region of elementwise nodes without an anchor. select.ts makes its node, which has one
// output with the shape of the domain, and the attribute `flat`.

import { ceilDiv } from "../../util/math.js";
import { type Domain, domainOf } from "../domain.js";
import type { TemplateSpec } from "../template.js";
import { TooLarge } from "../too_large.js";
import { flagAttr, outputType } from "./shapes.js";
import { combineTasks, partialBytes } from "./sums.js";

const FLAT_CHUNK = 16384; // elements of a task, flat_chunk in C++

/** pointwise_tile in C++: the pixels per tile, for `pixels` pixels per group. */
function tilePixels(pixels: number, c: number): number {
  const tile = Math.min(Math.floor(65536 / c), Math.floor((pixels + 31) / 32), 1024);
  return Math.max(tile, 8);
}

/**
 * Constants: PIXELS per row, C, FLAT (1 if all leaves are full or scalar and nothing is summed: one run of elements).
 */
export const pointwise: TemplateSpec = {
  name: "pointwise",
  op: "pointwise",
  prologue: [],
  epilogue: true,
  sums: true,
  moments: true,
  constants: (n) => {
    const { pixels, channels }: Domain = domainOf(outputType(n).shape);
    return { PIXELS: pixels, C: channels, FLAT: flagAttr(n, "flat") ? 1 : 0 };
  },
  launch: (n, { rows, groups }, target, y) => {
    const { pixels, channels }: Domain = domainOf(outputType(n).shape);
    if (flagAttr(n, "flat")) {
      const size = rows * pixels * channels;
      if (size >= 2 ** 31) throw new TooLarge(`pointwise: ${size} elements; a launch has at most 2^31 - 1`);
      return { tasks: [ceilDiv(size, FLAT_CHUNK)], workspaceBytes: 0, scratchBytes: 0 };
    }
    const ofGroup = (rows / groups) * pixels;
    const tiles = ceilDiv(ofGroup, tilePixels(ofGroup, channels));
    return {
      tasks: [groups * tiles, ...combineTasks(y, channels, groups, target)],
      workspaceBytes: partialBytes(y, channels, groups, tiles),
      scratchBytes: 0,
    };
  },
  flops: () => 0, // the elementwise nodes are counted one by one
};
