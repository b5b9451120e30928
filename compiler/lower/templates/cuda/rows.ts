// kernels/cuda/rows.cuh: templates over rows of a matrix, with one warp per row, or one block per row if rows are long.

import { ceilDiv } from "../../../util/math.js";
import type { TemplateSpec } from "../../template.js";
import * as cpu from "../loss.js";
import { extents, inputType } from "../shapes.js";
import { grid, onCuda, THREADS } from "./blocks.js";

/** row_tasks in C++. */
const rowBlocks = (rows: number, columns: number): number => ceilDiv(rows, columns >= 4096 ? 1 : THREADS / 32);

type Phases = (
  blocks: number,
  rows: number,
  groups: number,
) => readonly [tasks: readonly number[], workspaceBytes: number];
const byRows: Phases = (blocks) => [[blocks], 0];
const rowsThenGroups: Phases = (blocks, rows, groups) => [[blocks, groups], 4 * rows];
const groupsThenRows: Phases = (blocks, _rows, groups) => [[groups, blocks], 4 * groups];

const rowTemplate = (spec: TemplateSpec, phases: Phases): TemplateSpec =>
  onCuda(spec, {
    launch: (n, { rows, groups }) => {
      const columns = extents(n, inputType(n, 0), 2)[1] as number;
      const [tasks, workspaceBytes] = phases(rowBlocks(rows, columns), rows, groups);
      return grid(tasks, { workspaceBytes });
    },
  });

export const softmax = rowTemplate(cpu.softmax, byRows);
export const softmaxCrossEntropy = rowTemplate(cpu.softmaxCrossEntropy, rowsThenGroups);
export const softmaxCrossEntropyGrad = rowTemplate(cpu.softmaxCrossEntropyGrad, groupsThenRows);
export const l2Normalize = rowTemplate(cpu.l2Normalize, byRows);
export const l2NormalizeGrad = rowTemplate(cpu.l2NormalizeGrad, byRows);
export const topKCorrect = rowTemplate(cpu.topKCorrect, rowsThenGroups);
export const correctLabels = rowTemplate(cpu.correctLabels, byRows);
