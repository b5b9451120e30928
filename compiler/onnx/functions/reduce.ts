// Sums and maxima. The bodies of all ops that compute per group and channel reshape their operand with `grouped`.

import { elements } from "../../ir/types.js";
import * as op from "../../ops/index.js";
import type { Operand, Ref, Writer } from "../writer.js";
import { type Body, bodyOf, extent } from "./body.js";

/** x [N, C] or [N, C, H, W] as [G, N / G, C, H W]. */
export const grouped = (w: Writer, x: Operand, groups: number): Ref =>
  w.reshape(x, [groups, extent(x, 0) / groups, extent(x, 1), elements(x.type.shape.slice(2))]);

/** A table [G, C] as [G, 1, C, 1], which broadcasts to the result of `grouped`. */
export const tableOf = (w: Writer, t: Ref | Operand): Ref => w.unsqueeze(t, [1, 3]);

/** [G, n, C, P] -> [G, C]: the sum per group and channel. */
export const channelSum = (w: Writer, x: Ref): Ref => w.reduce("Sum", x, [1, 3]);

/** The number of values from which a statistic of a group and channel is computed. */
export const perGroup = (x: Operand, groups: number): number => elements(x.type.shape) / extent(x, 1) / groups;

/** The mean [G, C], the sum of squared deviations from it [G, C], and x - mean, of x, a result of `grouped`. */
export function moments(w: Writer, x: Ref, n: number): { readonly mean: Ref; readonly m2: Ref; readonly centred: Ref } {
  const mean = w.div(channelSum(w, x), n);
  const centred = w.sub(x, tableOf(w, mean));
  return { mean, m2: channelSum(w, w.mul(centred, centred)), centred };
}

export const reduce: readonly Body[] = [
  bodyOf(op.sum, (w, { x }, { attrs }) => w.reduce("Sum", x, attrs.axes, attrs.keepdims)),
  bodyOf(op.mean, (w, { x }, { attrs }) => w.reduce("Mean", x, attrs.axes, attrs.keepdims)),
  bodyOf(op.max, (w, { x }, { attrs }) => w.reduce("Max", x, attrs.axes, attrs.keepdims)),
  bodyOf(op.channel_sum, (w, { x }, { attrs: { groups } }) => channelSum(w, grouped(w, x, groups))),
  bodyOf(op.channel_moments, (w, { x }, { attrs: { groups } }) => {
    const { mean, m2 } = moments(w, grouped(w, x, groups), perGroup(x, groups));
    return { mean, m2 };
  }),
  bodyOf(op.group_sum, (w, { x }) => w.reduce("Sum", x, [0])),
];
