// kernels/cuda/queue_push.cuh, prototype_update.cuh, increment.cuh.

import { ceilDiv } from "../../../util/math.js";
import { extents, inputType } from "../shapes.js";
import * as cpu from "../update.js";
import { grid, onCuda, THREADS } from "./blocks.js";

export const queuePush = onCuda(cpu.queuePush, {
  launch: (n) => grid([extents(n, inputType(n, 0), 2)[0] as number, 1]),
});
/** One warp per class: prototype_block in C++. */
export const prototypeUpdate = onCuda(cpu.prototypeUpdate, {
  launch: (n) => grid([ceilDiv(extents(n, inputType(n, 0), 2)[0] as number, THREADS / 32)]),
});
export const increment = onCuda(cpu.increment, { launch: () => grid([1]) });
