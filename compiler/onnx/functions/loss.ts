// Ops on the rows of a matrix of logits. A label that is not a column matches no position of a one-hot row, so it is
// detected without an index out of range.

import * as op from "../../ops/index.js";
import type { In, Operand, Ref, Writer } from "../writer.js";
import { type Body, bodyOf, extent } from "./body.js";

/** bool [N, K]: whether column k is the target of row n. */
const oneHot = (w: Writer, target: In, classes: number): Ref => w.equal(w.unsqueeze(target, [1]), w.count(classes));

/** bool [N, K] -> bool [N]: whether any element of the row is set. */
const any = (w: Writer, flags: Ref): Ref => w.greater(w.reduce("Max", w.toFloat(flags), [1]), 0);

/** [N] -> [G]: the sum over the rows of each group. */
const groupRows = (w: Writer, x: In, groups: number): Ref => w.reduce("Sum", w.reshape(x, [groups, -1]), [1]);

/** [G] -> [N]: the number of each group, repeated for its rows. */
const spreadGroups = (w: Writer, x: In, groups: number, rows: number): Ref =>
  w.reshape(w.op("Expand", [w.unsqueeze(x, [1]), w.i64([groups, rows / groups])]), [rows]);

const softmax = (w: Writer, x: In): Ref => w.op("Softmax", [x], { axis: 1 });

/** [N, D] -> [N, 1]: the larger of each row's norm and eps. */
const lengths = (w: Writer, x: In, eps: number): Ref => w.max(w.sqrt(w.reduce("Sum", w.mul(x, x), [1], true)), eps);

/** weight * value, but 0 if the weight is 0, also for a value that is not finite. */
const weighted = (w: Writer, weight: In, value: In): Ref => w.where(w.equal(weight, 0), 0, w.mul(weight, value));

function topKCorrect(w: Writer, logits: Operand, target: Operand, k: number): Ref {
  const classes = extent(logits, 1);
  const hot = oneHot(w, target, classes);
  const own = w.reduce("Sum", w.where(hot, logits, 0), [1], true); // [N, 1]
  const earlier = w.less(w.count(classes), w.unsqueeze(target, [1])); // [N, K]
  const tie = w.and(w.equal(logits, own), earlier);
  const ahead = w.or(w.op("IsNaN", [logits]), w.or(w.greater(logits, own), tie));
  const rank = w.reduce("Sum", w.toFloat(ahead), [1]);
  const ownIsNumber = w.not(w.op("IsNaN", [w.reshape(own, [-1])]));
  return w.and(w.less(rank, k), w.and(any(w, hot), ownIsNumber));
}

export const loss: readonly Body[] = [
  bodyOf(op.softmax, (w, { x }) => softmax(w, x)),
  bodyOf(op.softmax_cross_entropy, (w, { logits, target, weight }, { attrs: { groups } }) => {
    const hot = oneHot(w, target, extent(logits, 1));
    const picked = w.neg(w.reduce("Sum", w.where(hot, w.op("LogSoftmax", [logits], { axis: 1 }), 0), [1]));
    const entropy = w.where(any(w, hot), picked, Number.NaN);
    const total = groupRows(w, weight, groups);
    const sum = groupRows(w, weighted(w, weight, entropy), groups);
    return w.where(w.equal(total, 0), 0, w.div(sum, total));
  }),
  bodyOf(op.softmax_cross_entropy_grad, (w, { logits, target, weight, dloss }, { attrs: { groups } }) => {
    const hot = oneHot(w, target, extent(logits, 1));
    const share = w.div(weight, spreadGroups(w, groupRows(w, weight, groups), groups, extent(logits, 0)));
    const factor = w.mul(share, spreadGroups(w, dloss, groups, extent(logits, 0)));
    const off = w.sub(softmax(w, logits), w.toFloat(hot));
    const valid = w.where(w.unsqueeze(any(w, hot), [1]), off, Number.NaN);
    return w.where(w.unsqueeze(w.equal(weight, 0), [1]), 0, w.mul(w.unsqueeze(factor, [1]), valid));
  }),
  bodyOf(op.l2_normalize, (w, { x }, { attrs: { eps } }) => w.div(x, lengths(w, x, eps))),
  bodyOf(op.l2_normalize_grad, (w, { x, dy }, { attrs: { eps } }) => {
    const by = lengths(w, x, eps);
    const y = w.div(x, by);
    const along = w.reduce("Sum", w.mul(y, dy), [1], true);
    const short = w.equal(by, eps); // also true of a norm of exactly eps, which does not occur in practice
    return w.div(w.sub(dy, w.where(short, 0, w.mul(y, along))), by);
  }),
  bodyOf(op.top_k_correct, (w, { logits, target, weight }, { attrs: { k, groups } }) =>
    groupRows(w, weighted(w, weight, w.toFloat(topKCorrect(w, logits, target, k))), groups),
  ),
  bodyOf(op.correct_labels, (w, { cls_logits, proto_logits, target, alpha, threshold }) => {
    const classes = extent(cls_logits, 1);
    const s = w.add(w.mul(softmax(w, cls_logits), alpha), w.mul(softmax(w, proto_logits), w.sub(1, alpha)));
    const relabel = w.greater(w.reduce("Max", s, [1]), threshold);
    const own = w.reduce("Sum", w.where(oneHot(w, target, classes), s, 0), [1]);
    const best = w.op("ArgMax", [s], { axis: 1, keepdims: 0 });
    return {
      target_new: w.where(relabel, best, target),
      kept: w.toFloat(w.or(relabel, w.greater(own, 1 / classes))),
    };
  }),
];
