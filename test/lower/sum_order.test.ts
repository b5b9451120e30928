// The order in which groups are added is a balanced tree, so that every division of the groups between ranks gives the
// same bits. The summands are chosen so that other orders round differently.

import test from "ava";
import { Builder } from "../../compiler/ir/builder.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";
import * as op from "../../compiler/ops/index.js";
import { compiled, nativeTarget, runCompiled } from "../support/compiled.js";
import { uniform } from "../support/random.js";

const CHANNELS = 16;
const counts = [2, 3, 4, 6, 8] as const;

/** f32 sums of the halves, the left one the largest power of two below the number of summands. */
function tree(x: readonly number[]): number {
  if (x.length === 1) return x[0] as number;
  const left = 2 ** Math.floor(Math.log2(x.length - 1));
  return Math.fround(tree(x.slice(0, left)) + tree(x.slice(left)));
}
const inTurn = (x: readonly number[]): number => x.reduce((s, v) => Math.fround(s + v));

/** Summands [groups, CHANNELS] of very different sizes. */
function summands(groups: number): NdArray {
  const next = uniform(groups);
  return NdArray.fill([groups, CHANNELS], () => Math.fround(((next() - 0.5) / 3) * 2 ** Math.floor(12 * next())));
}

/** Kernels that add groups: dy is 1, so that each group's part of the result is its row of x. */
const kernels: Readonly<Record<string, (b: Builder, x: Value, groups: number) => Value>> = {
  wgrad: (b, x, groups) => {
    const image = op.reshape(b, x, { shape: [groups, CHANNELS, 1, 1] });
    const dy = b.input("dy", { dtype: "f32", shape: [groups, CHANNELS, 1, 1] });
    return op.conv_wgrad(b, dy, image, { stride: 1, pad: 0, r: 1, s: 1, groups });
  },
  matmul: (b, x, groups) =>
    op.matmul(b, b.input("dy", { dtype: "f32", shape: [groups, CHANNELS] }), x, { ta: true, groups }),
  group_sum: (b, x) => op.group_sum(b, x),
};

interface Case {
  readonly name: string;
  readonly groups: number;
  readonly graph: Graph;
}
const cases = Object.entries(kernels).flatMap(([name, build]) =>
  counts.map((groups): Case => {
    const b = Builder.create(`${name}_${groups}`, { groups });
    return {
      name,
      groups,
      graph: b.finish([build(b, b.input("x", { dtype: "f32", shape: [groups, CHANNELS] }), groups)]),
    };
  }),
);

test("the summands tell orders apart", (t) => {
  for (const groups of counts.filter((n) => n > 3)) {
    const x = summands(groups);
    const column = (c: number): number[] => Array.from({ length: groups }, (_, g) => x.at(g, c));
    const differs = Array.from({ length: CHANNELS }, (_, c) => tree(column(c)) !== inTurn(column(c)));
    t.true(differs.filter((d) => d).length > 2, `${groups} groups`);
  }
});

test("groups are added in a balanced tree: wgrad, matmul over rows, group_sum", async (t) => {
  const a = await compiled(
    "sum_order",
    cases.map((c) => c.graph),
    nativeTarget,
  );
  for (const { name, groups, graph } of cases) {
    const x = summands(groups);
    const ones = (v: Value): NdArray => NdArray.fill(v.type.shape, () => 1);
    const feed = new Map(graph.inputs.map((v) => [v, v.name === "x" ? x : ones(v)] as const));
    const [y] = (await runCompiled(a, graph, feed)).outputs as [NdArray];
    const want = Array.from({ length: CHANNELS }, (_, c) => tree(Array.from({ length: groups }, (_, g) => x.at(g, c))));
    y.data.forEach((v, i) => t.is(v, want[i % CHANNELS] as number, `${name} of ${groups} groups, element ${i}`));
  }
});
