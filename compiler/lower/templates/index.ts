// All kernel templates of the CPU target, found by the IR op they compute or, for packing, by their own name.

import type { TemplateSpec } from "../template.js";
import * as conv from "./conv.js";
import * as loss from "./loss.js";
import { matmul } from "./matmul.js";
import * as move from "./move.js";
import { pointwise } from "./pointwise.js";
import * as pool from "./pool.js";
import * as reduce from "./reduce.js";
import * as update from "./update.js";

const all: readonly TemplateSpec[] = [
  conv.convFprop, conv.convDgrad, conv.convWgrad, conv.packConvFprop, conv.packConvDgrad,
  matmul, pointwise,
  pool.maxPool, pool.maxPoolGrad, pool.globalAvgPool,
  reduce.reduceSum, reduce.reduceMax, reduce.groupSum, reduce.allFinite,
  loss.softmax, loss.softmaxCrossEntropy, loss.softmaxCrossEntropyGrad, loss.l2Normalize, loss.l2NormalizeGrad,
  loss.topKCorrect, loss.correctLabels,
  move.takeRows, move.putRows, move.transpose, move.slice, move.concat, move.broadcastCopy,
  update.queuePush, update.prototypeUpdate, update.increment,
];

const byOp = new Map(all.map((t) => [t.op, t]));

/** The template of an op, or undefined for elementwise ops, views and composites. */
export const templateOf = (op: string): TemplateSpec | undefined => byOp.get(op);
