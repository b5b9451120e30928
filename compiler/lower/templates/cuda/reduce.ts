// kernels/cuda/reduce.cuh, group_sum.cuh, all_finite.cuh.

import { elements } from "../../../ir/types.js";
import { ceilDiv } from "../../../util/math.js";
import type { TemplateSpec } from "../../template.js";
import * as cpu from "../reduce.js";
import { inputType } from "../shapes.js";
import { grid, onCuda, THREADS } from "./blocks.js";

const GROUP_SUM_CHUNK = 2048; // elements of a block, group_sum_chunk in C++
const FINITE_CHUNK = 16384; // elements of a block, finite_chunk in C++

const reduction = (spec: TemplateSpec): TemplateSpec =>
  onCuda(spec, {
    launch: (n) => {
      const { outer, red, inner } = cpu.reducedRuns(n);
      const tiles = ceilDiv(red, Math.max(16, Math.floor(16384 / inner))); // reduce_tile in C++
      const blocks = outer * ceilDiv(inner, THREADS);
      const extent = [outer, red, inner];
      return tiles > 1
        ? grid([blocks * tiles, blocks], { extent, workspaceBytes: 4 * outer * tiles * inner })
        : grid([blocks], { extent });
    },
  });
export const reduceSum = reduction(cpu.reduceSum);
export const reduceMax = reduction(cpu.reduceMax);

export const groupSum = onCuda(cpu.groupSum, {
  launch: (n) => grid([ceilDiv(elements(inputType(n, 0).shape.slice(1)), GROUP_SUM_CHUNK)]),
});

export const allFinite = onCuda(cpu.allFinite, {
  launch: (n) => {
    const chunks = n.inputs.reduce((s, v) => s + ceilDiv(elements(v.type.shape), FINITE_CHUNK), 0);
    return grid([chunks, 1], { workspaceBytes: 4 * chunks });
  },
});
