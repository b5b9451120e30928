// The templates over rows of a matrix: kernels/cpu/softmax.hpp, softmax_cross_entropy.hpp and its gradient,
// l2_normalize.hpp and its gradient, top_k_correct.hpp, correct_labels.hpp. All take plain buffers and the constant
// COLUMNS.

import { elements, type Node } from "../../ir/types.js";
import { ceilDiv } from "../../util/math.js";
import { type LaunchShape, plain, type TemplateSpec } from "../template.js";
import { extents, inputType, numberAttr } from "./shapes.js";

const columnsOf = (n: Node): number => extents(n, inputType(n, 0), 2)[1] as number;
const rowsOf = (n: Node): number => extents(n, inputType(n, 0), 2)[0] as number;

/** The number of tasks for blocks of rows; row_block in C++ has the rows per task. */
const rowTasks = (rows: number, columns: number): number =>
  ceilDiv(rows, columns >= 8192 ? 1 : Math.floor(8192 / columns));

type Sizes = (rows: number, columns: number, groups: number) => LaunchShape;
type More = (n: Node) => Readonly<Record<string, number>>;

/** A template with a phase over blocks of rows and possibly one over groups. */
function rowTemplate(op: string, launch: Sizes, flopsOfElement: number, more: More = () => ({})): TemplateSpec {
  return {
    name: op,
    op,
    ...plain,
    constants: (n) => ({ COLUMNS: columnsOf(n), ...more(n) }),
    launch: (n, { rows, groups }) => launch(rows, columnsOf(n), groups),
    flops: (n) => elements(inputType(n, 0).shape) * flopsOfElement,
    rows: rowsOf,
  };
}

const byRows: Sizes = (rows, columns) => ({
  tasks: [rowTasks(rows, columns)],
  workspaceBytes: 0,
  scratchBytes: 0,
});
const rowsThenGroups: Sizes = (rows, columns, groups) => ({
  tasks: [rowTasks(rows, columns), groups],
  workspaceBytes: 4 * rows,
  scratchBytes: 0,
});
const groupsThenRows: Sizes = (rows, columns, groups) => ({
  tasks: [groups, rowTasks(rows, columns)],
  workspaceBytes: 4 * groups,
  scratchBytes: 0,
});

export const softmax: TemplateSpec = rowTemplate("softmax", byRows, 20);
export const softmaxCrossEntropy: TemplateSpec = rowTemplate("softmax_cross_entropy", rowsThenGroups, 20);
export const softmaxCrossEntropyGrad: TemplateSpec = rowTemplate("softmax_cross_entropy_grad", groupsThenRows, 22);

/** Constants: COLUMNS, EPS. */
const eps: More = (n) => ({ EPS: numberAttr(n, "eps") });
export const l2Normalize: TemplateSpec = rowTemplate("l2_normalize", byRows, 3, eps);
export const l2NormalizeGrad: TemplateSpec = rowTemplate("l2_normalize_grad", byRows, 8, eps);

/** Constants: COLUMNS, TOP. */
export const topKCorrect: TemplateSpec = rowTemplate("top_k_correct", rowsThenGroups, 3, (n) => ({
  TOP: numberAttr(n, "k"),
}));

export const correctLabels: TemplateSpec = rowTemplate(
  "correct_labels",
  (rows, columns) => ({ tasks: [rowTasks(rows, columns)], workspaceBytes: 0, scratchBytes: 2 * 4 * columns }),
  45,
);
