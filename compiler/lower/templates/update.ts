// Templates that commit state: kernels/cpu/queue_push.hpp, prototype_update.hpp, increment.hpp. Each may write in
// place.

import { elements } from "../../ir/types.js";
import { ceilDiv } from "../../util/math.js";
import { ALIGN } from "../plan.js";
import { plain, type TemplateSpec } from "../template.js";
import { extents, inputType } from "./shapes.js";

const PROTOTYPE_BLOCK = 16; // classes of a task, prototype_block in C++

/** Constants: DIM, QUEUE of queue [DIM, QUEUE]. The launch's rows are the keys. */
export const queuePush: TemplateSpec = {
  ...plain,
  name: "queue_push",
  op: "queue_push",
  constants: (n) => {
    const [DIM, QUEUE] = extents(n, inputType(n, 0), 2) as [number, number];
    return { DIM, QUEUE };
  },
  launch: (n) => ({
    tasks: [extents(n, inputType(n, 0), 2)[0] as number, 1],
    workspaceBytes: 0,
    scratchBytes: 0,
  }),
  flops: () => 0,
  rows: (n) => extents(n, inputType(n, 2), 2)[0] as number,
};

/** Constants: CLASSES, DIM of prototypes [CLASSES, DIM]. The launch's rows are the embeddings. */
export const prototypeUpdate: TemplateSpec = {
  ...plain,
  name: "prototype_update",
  op: "prototype_update",
  constants: (n) => {
    const [CLASSES, DIM] = extents(n, inputType(n, 0), 2) as [number, number];
    return { CLASSES, DIM };
  },
  launch: (n) => ({
    tasks: [ceilDiv(extents(n, inputType(n, 0), 2)[0] as number, PROTOTYPE_BLOCK)],
    workspaceBytes: 0,
    scratchBytes: 0,
  }),
  flops: (n) => 3 * (elements(inputType(n, 0).shape) + elements(inputType(n, 1).shape)),
  rows: (n) => extents(n, inputType(n, 1), 2)[0] as number,
};

export const increment: TemplateSpec = {
  ...plain,
  name: "increment",
  op: "increment",
  flat: true,
  constants: () => ({ STRIDE: ALIGN / 8 }),
  launch: () => ({ tasks: [1], workspaceBytes: 0, scratchBytes: 0 }),
  flops: () => 1,
};
