// All kernel templates of a target, found by the IR op they compute or, for packing, by their own name.

import type { Target } from "../../ir/types.js";
import { allOps } from "../../ops/op.js";
import type { TemplateOf, TemplateSpec } from "../template.js";
import { batchMatmul } from "./batch_matmul.js";
import { collectives } from "./collective.js";
import * as conv from "./conv.js";
import { convWgrad } from "./conv_wgrad.js";
import { cudaTemplates } from "./cuda/index.js";
import { depthwise, depthwiseDgrad } from "./depthwise.js";
import { loopsOf } from "./loops.js";
import * as loss from "./loss.js";
import { matmul } from "./matmul.js";
import * as move from "./move.js";
import { pointwise } from "./pointwise.js";
import * as pool from "./pool.js";
import * as reduce from "./reduce.js";
import * as update from "./update.js";

const cpuTemplates: readonly TemplateSpec[] = [
  conv.convFprop,
  conv.convDgrad,
  convWgrad,
  conv.packConvFprop,
  conv.packConvDgrad,
  depthwise,
  depthwiseDgrad,
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
  loss.softmax,
  loss.softmaxCrossEntropy,
  loss.softmaxCrossEntropyGrad,
  loss.l2Normalize,
  loss.l2NormalizeGrad,
  loss.topKCorrect,
  loss.correctLabels,
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

const byOp = (all: readonly TemplateSpec[]): ReadonlyMap<string, TemplateSpec> => new Map(all.map((t) => [t.op, t]));
const tables = { cpu: byOp([...cpuTemplates, ...collectives]), cuda: byOp([...cudaTemplates, ...collectives]) };

/** The general template for ops that say their loops; the CPU has it. */
const general = new Map<string, TemplateSpec>();
function generalOf(op: string): TemplateSpec | undefined {
  if (!general.has(op) && allOps().some((o) => o.name === op && o.nest)) general.set(op, loopsOf(op));
  return general.get(op);
}

/** The templates of a device by op. Elementwise ops, views and composites have none; "pointwise" has one. */
export const templatesOf =
  ({ device }: Pick<Target, "device">): TemplateOf =>
  (of) => {
    const op = typeof of === "string" ? of : of.op;
    const own = tables[device].get(op);
    if (own && (typeof of === "string" || own.takes?.(of) !== false)) return own;
    return device === "cpu" ? generalOf(op) : undefined;
  };
