// kernels/cpu/batch_matmul.hpp: products of stacks of f32 matrices. Other element types take the general template.

import { elements, type Node, type TensorType } from "../../ir/types.js";
import { plain, type TemplateSpec } from "../template.js";
import { blocksOf, TERM_BLOCK } from "./matmul.js";
import { inputType, outputType, storageStrides } from "./shapes.js";

/** The steps of a tensor along the axes of a stack to which numpy broadcasts it, and those of its matrix. */
function steps(t: TensorType, stack: readonly number[]) {
  const strides = storageStrides(t.shape);
  const missing = stack.length + 2 - t.shape.length;
  const own = (axis: number): number => (axis < 0 || t.shape[axis] === 1 ? 0 : (strides[axis] as number));
  return { outer: stack.map((_, i) => own(i - missing)), matrix: strides.slice(-2) };
}

function sizes(n: Node) {
  const [a, b, y] = [inputType(n, 0), inputType(n, 1), outputType(n)];
  const [rows, columns] = y.shape.slice(-2) as [number, number];
  const stack = y.shape.slice(0, -2);
  const outer = stack.length > 0 ? stack : [1];
  return { a, b, y, rows, columns, terms: a.shape.at(-1) as number, outer, stack: elements(stack) };
}

export const batchMatmul: TemplateSpec = {
  name: "batch_matmul",
  op: "batch_matmul",
  ...plain,
  takes: (n) => {
    const { y, terms } = sizes(n);
    return y.dtype === "f32" && elements(y.shape) > 0 && terms > 0;
  },
  constants: (n) => {
    const { a, b, y, rows, columns, terms, outer, stack } = sizes(n);
    const [from, to, into] = [steps(a, outer), steps(b, outer), steps(y, outer)];
    return {
      ...{ M: rows, N: columns, TERMS: terms, STACK: stack, OUTER: outer },
      ...{ A_OUTER: from.outer, B_OUTER: to.outer, Y_OUTER: into.outer },
      ...{ A_STEPS: from.matrix, B_STEPS: to.matrix, Y_STEPS: into.matrix },
    };
  },
  launch: (n) => {
    const { rows, columns, stack } = sizes(n);
    const cut = blocksOf(rows, stack, columns);
    return {
      tasks: [stack * cut.mBlocks * cut.nBlocks],
      workspaceBytes: 0,
      scratchBytes: 4 * (cut.rows * TERM_BLOCK + TERM_BLOCK * cut.columns + cut.rows * cut.columns),
    };
  },
  flops: (n) => {
    const { y, terms } = sizes(n);
    return 2 * elements(y.shape) * terms;
  },
  rows: () => 1,
};
