// The tables of kernel templates against the table of ops: the test fails if an op that needs a template has none on a
// device.

import test from "ava";
import type { Node } from "../../compiler/ir/types.js";
import { isSum } from "../../compiler/lower/region.js";
import { templatesOf } from "../../compiler/lower/templates/index.js";
import { batch_matmul } from "../../compiler/ops/index.js";
import { type AnyOp, allOps } from "../../compiler/ops/op.js";

/** Sums that an epilogue takes; the pointwise template computes those that stand alone. */
const inEpilogues = (o: AnyOp): boolean => isSum({ op: o.name } as Node);

/** Ops that say their loops, which the general template for CPUs computes, and that GPUs have a template for. */
const onGpus: ReadonlySet<string> = new Set([batch_matmul.name]);

for (const device of ["cpu", "cuda"] as const)
  test(`${device}: every kernel and collective has a template, and no other op has one`, (t) => {
    const templateOf = templatesOf({ device });
    const general = (o: AnyOp): boolean => device === "cuda" && o.nest !== undefined && !onGpus.has(o.name);
    const needs = allOps().filter(
      (o) => (o.kind === "kernel" || o.kind === "collective") && !inEpilogues(o) && !general(o),
    );
    t.deepEqual(
      allOps()
        .filter((o) => templateOf(o.name))
        .map((o) => o.name),
      needs.map((o) => o.name),
    );
  });
