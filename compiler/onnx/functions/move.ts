// Ops that move elements.

import * as op from "../../ops/index.js";
import { type Body, bodyOf } from "./body.js";

export const move: readonly Body[] = [
  bodyOf(op.reshape, (w, { x }, { attrs: { shape } }) => {
    const same = w.dynamicBatch && shape[0] === x.type.shape[0]; // 0 keeps the extent of that axis
    return w.reshape(x, same ? shape.with(0, 0) : shape);
  }),
  bodyOf(op.transpose, (w, { x }, { attrs: { perm } }) => w.transpose(x, perm)),
  bodyOf(op.concat, (w, { xs }, { attrs: { axis } }) => w.op("Concat", xs, { axis })),
  bodyOf(op.slice, (w, { x }, { attrs: { axis, start, end } }) => w.slice(x, axis, start, end)),
  bodyOf(op.pad_channels, (w, { x }, { attrs: { channels } }) => {
    const more = channels - (x.type.shape[1] as number);
    return w.op("Pad", [x, w.i64([0, 0, 0, 0, 0, more, 0, 0])]);
  }),
  bodyOf(op.take_rows, (w, { x, idx }) => w.op("Gather", [x, idx], { axis: 0 })),
  // every row is overwritten, so the first operand can be any tensor of the right shape
  bodyOf(op.put_rows, (w, { x, idx }) => w.op("ScatterND", [x, w.unsqueeze(idx, [1]), x])),
];
