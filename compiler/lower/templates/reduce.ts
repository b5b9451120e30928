// kernels/cpu/reduce.hpp, group_sum.hpp, all_finite.hpp: reductions of stored tensors. They take no prologue, because
// large sums of elementwise values are channel sums, which epilogues compute.

import { elements, type Node } from "../../ir/types.js";
import { ceilDiv } from "../../util/math.js";
import { plain, type TemplateSpec } from "../template.js";
import { inputType, listAttr, positiveAxis, storageOrder } from "./shapes.js";

const GROUP_SUM_CHUNK = 4096; // elements of a task, group_sum_chunk in C++
const FINITE_CHUNK = 65536; // elements of a task, finite_chunk in C++

/** A reduction in memory order: x [outer, red, inner] -> y [outer, inner]. */
export interface Reduced {
  readonly outer: number;
  readonly red: number;
  readonly inner: number;
}

/**
 * The sizes of a sum or max whose reduced axes are one run in storage order; axes of extent 1 do not interrupt a run.
 * Throws if they are two runs, as axes 0 and 1 of a 4-D tensor are; the pass `expand` splits such reductions.
 */
export function reducedRuns(n: Node): Reduced {
  const { shape } = inputType(n, 0);
  const axes = new Set(listAttr(n, "axes").map((a) => positiveAxis(a, shape.length)));
  const [outer, red, inner] = [[1], [1], [1]];
  let stage = outer;
  for (const axis of storageOrder(shape.length)) {
    const d = shape[axis] as number;
    if (d === 1) continue;
    if (axes.has(axis)) {
      if (stage === inner) {
        throw new Error(
          `${n.op}(x: [${shape}]) over axes [${[...axes]}] in ${n.scope || "<top>"}: ` +
            "they are not neighbours in memory; reduce over one of them, then over the other",
        );
      }
      stage = red;
    } else if (stage === red) stage = inner;
    stage.push(d);
  }
  return { outer: elements(outer), red: elements(red), inner: elements(inner) };
}

/** reduce_tile in C++: the positions of the reduced axis per task. */
const tileOf = (inner: number): number => Math.max(16, Math.floor(16384 / inner));

/** Constants: KIND (0 sum, 1 max). Params::extent is outer, red, inner. */
function reduction(op: string, kind: number): TemplateSpec {
  return {
    name: "reduce",
    op,
    ...plain,
    constants: () => ({ KIND: kind }),
    launch: (n) => {
      const { outer, red, inner } = reducedRuns(n);
      const tiles = ceilDiv(red, tileOf(inner));
      return {
        tasks: tiles > 1 ? [outer * tiles, outer] : [outer],
        workspaceBytes: tiles > 1 ? 4 * outer * tiles * inner : 0,
        scratchBytes: 0,
        extent: [outer, red, inner],
      };
    },
    flops: (n) => elements(inputType(n, 0).shape),
  };
}

export const reduceSum: TemplateSpec = reduction("sum", 0);
export const reduceMax: TemplateSpec = reduction("max", 1);

function groupSizes(n: Node): { readonly groups: number; readonly rest: number } {
  const { shape } = inputType(n, 0);
  return { groups: shape[0] as number, rest: elements(shape.slice(1)) };
}

/** Constants: X_GROUPS, REST (the elements of the result). */
export const groupSum: TemplateSpec = {
  name: "group_sum",
  op: "group_sum",
  ...plain,
  constants: (n) => ({ X_GROUPS: groupSizes(n).groups, REST: groupSizes(n).rest }),
  launch: (n) => ({
    tasks: [ceilDiv(groupSizes(n).rest, GROUP_SUM_CHUNK)],
    workspaceBytes: 0,
    scratchBytes: 0,
  }),
  flops: (n) => elements(inputType(n, 0).shape),
};

const sizes = (n: Node): readonly number[] => n.inputs.map((v) => elements(v.type.shape));

/** Constants: SIZES (the elements of each operand). */
export const allFinite: TemplateSpec = {
  name: "all_finite",
  op: "all_finite",
  ...plain,
  constants: (n) => ({ SIZES: sizes(n) }),
  launch: (n) => {
    const chunks = sizes(n).reduce((s, size) => s + ceilDiv(size, FINITE_CHUNK), 0);
    return { tasks: [chunks, 1], workspaceBytes: 4 * chunks, scratchBytes: 0 };
  },
  flops: (n) => sizes(n).reduce((a, b) => a + b, 0),
};
