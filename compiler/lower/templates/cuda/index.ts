// All kernel templates of the CUDA target, found by the IR op they compute or, for packing, by their own name.

import type { TemplateSpec } from "../../template.js";
import { batchMatmul } from "./batch_matmul.js";
import * as conv from "./conv.js";
import { matmul } from "./matmul.js";
import * as move from "./move.js";
import { pointwise } from "./pointwise.js";
import * as pool from "./pool.js";
import * as reduce from "./reduce.js";
import * as rows from "./rows.js";
import * as update from "./update.js";

export const cudaTemplates: readonly TemplateSpec[] = [
  conv.convFprop,
  conv.convDgrad,
  conv.convWgrad,
  conv.packConvFprop,
  matmul,
  batchMatmul,
  pointwise,
  pool.maxPool,
  pool.maxPoolGrad,
  pool.globalAvgPool,
  pool.padChannels,
  reduce.reduceSum,
  reduce.reduceMax,
  reduce.groupSum,
  reduce.allFinite,
  rows.softmax,
  rows.softmaxCrossEntropy,
  rows.softmaxCrossEntropyGrad,
  rows.l2Normalize,
  rows.l2NormalizeGrad,
  rows.topKCorrect,
  rows.correctLabels,
  move.takeRows,
  move.putRows,
  move.transpose,
  move.slice,
  move.concat,
  move.broadcastCopy,
  update.queuePush,
  update.prototypeUpdate,
  update.increment,
];
