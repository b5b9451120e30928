// The launches that the templates' specs compute are those that the C++ headers assume: tile sizes, task counts and
// scratch sizes of both sides are compared by static_assert over a table of shapes.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import type { Attrs, DType, Node, Target } from "../../compiler/ir/types.js";
import { type Fused, type LaunchShape, type TemplateSpec, unfused } from "../../compiler/lower/template.js";
import * as loss from "../../compiler/lower/templates/loss.js";
import { matmul } from "../../compiler/lower/templates/matmul.js";
import * as move from "../../compiler/lower/templates/move.js";
import { pointwise } from "../../compiler/lower/templates/pointwise.js";
import * as pool from "../../compiler/lower/templates/pool.js";
import * as reduce from "../../compiler/lower/templates/reduce.js";
import * as update from "../../compiler/lower/templates/update.js";
import { root } from "../../compiler/util/root.js";

const target: Target = { device: "cpu", arch: "x86-64-v3", ranks: [1] };
const none = unfused;
const sums: Fused = { ...unfused, sums: 2, moments: true };

const value = (shape: readonly number[], dtype: DType = "f32") => ({ name: "v", type: { dtype, shape } });
function node(op: string, inputs: readonly (readonly number[])[], output: readonly number[], attrs: Attrs = {}): Node {
  return { op, inputs: inputs.map((s) => value(s)), outputs: [value(output)], attrs, scope: "test" };
}
const launch = (t: TemplateSpec, n: Node, rows: number, groups = 1, y = none): LaunchShape =>
  t.launch(n, { rows, groups }, target, y);

/** C++ expressions and what they must be. */
const claims: [string, number][] = [];
const claim = (cpp: string, is: number | undefined): unknown => claims.push([cpp, is ?? Number.NaN]);

for (const [rows, groups, hw, c] of [
  [16, 1, 3136, 64],
  [16, 4, 49, 2048],
  [8, 2, 1, 1000],
  [4, 1, 12544, 3],
  [2, 2, 1, 1],
] as const) {
  const s = launch(pointwise, node("pointwise", [], [rows, c, hw, 1]), rows, groups, sums);
  const ofGroup = (rows / groups) * hw;
  const tiles = `ceil_div(${ofGroup}, pointwise_tile(${ofGroup}, ${c}))`;
  claim(`${groups} * ${tiles}`, s.tasks[0]);
  claim(`combine_tasks<Y, ${c}>(${groups})`, s.tasks[1]);
  claim(`${groups} * ${tiles} * partial_values<Y> * padded_channels(${c}) * 4`, s.workspaceBytes);
}
claim(
  "ceil_div(1000003, flat_chunk)",
  launch(pointwise, node("pointwise", [], [1000003, 1], { flat: true }), 1000003).tasks[0],
);

for (const [m, n, k, groups, ta] of [
  [16, 1000, 2048, 1, false],
  [256, 2048, 2048, 4, false],
  [1000, 2048, 16, 4, true],
  [337, 65, 9, 1, false],
  [2048, 10, 6, 3, true],
] as const) {
  const a = ta ? [k, m] : [m, k];
  const s = launch(matmul, node("matmul", [a, [k, n]], [m, n], { ta, groups }), m, groups, sums);
  const [rowGroups, termGroups] = ta ? [1, groups] : [groups, 1];
  const cut = `matmul_blocks(${m / rowGroups}, ${rowGroups}, ${n})`;
  claim(`${rowGroups} * ${cut}.m_blocks * ${cut}.n_blocks`, s.tasks[0]);
  claim(`combine_tasks<Y, ${n}>(${rowGroups})`, s.tasks[1]);
  claim(`matmul_scratch(${cut}, ${termGroups})`, s.scratchBytes);
  claim(`${rowGroups} * ${cut}.m_blocks * partial_values<Y> * padded_channels(${n}) * 4`, s.workspaceBytes);
}

for (const [kernel, stride, pad, h] of [
  [3, 2, 1, 112],
  [2, 2, 0, 7],
  [5, 1, 2, 9],
  [2, 3, 0, 20],
] as const) {
  const p = Math.floor((h + 2 * pad - kernel) / stride) + 1;
  const [x, y] = [
    [4, 70, h, h],
    [4, 70, p, p],
  ];
  const attrs = { kernel, stride, pad };
  const s = launch(pool.maxPoolGrad, node("max_pool_grad", [x, y], x, attrs), 4, 2, sums);
  claim(`4 * ceil_div(${h}, pool_tile)`, s.tasks[0]);
  claim(`4 * ceil_div(${h}, pool_tile) * partial_values<Y> * padded_channels(70) * 4`, s.workspaceBytes);
  claim(`pool_scratch(${kernel}, ${stride}, ${p}, ${p})`, s.scratchBytes);
  claim(`4 * ${p}`, launch(pool.maxPool, node("max_pool", [x], y, attrs), 4).tasks[0]);
}
claim(
  "3 * ceil_div(130, average_channels)",
  launch(pool.globalAvgPool, node("global_avg_pool", [[3, 130, 7, 7]], [3, 130]), 3).tasks[0],
);

for (const [shape, axes, outer, red, inner] of [
  [[40000], [0], 1, 40000, 1],
  [[3, 5, 7], [1], 3, 5, 7],
  [[2, 64, 112, 112], [0, 2, 3], 1, 25088, 64],
  [[2, 64, 9, 9], [1], 162, 64, 1],
] as const) {
  const s = launch(reduce.reduceSum, node("sum", [shape], [1], { axes }), 1);
  const tiles = `ceil_div(${red}, reduce_tile(${inner}))`;
  claim(`${outer} * ${tiles}`, s.tasks[0]);
  claim(`${tiles} > 1 ? ${outer} * ${tiles} * ${inner} * 4 : 0`, s.workspaceBytes);
}
claim("ceil_div(9001, group_sum_chunk)", launch(reduce.groupSum, node("group_sum", [[4, 9001]], [9001]), 1).tasks[0]);
claim(
  "ceil_div(65537, finite_chunk) + 1",
  launch(reduce.allFinite, node("all_finite", [[65537], [3]], []), 1).tasks[0],
);

for (const k of [1, 10, 1000, 8191, 8192, 70000]) {
  const n = node("softmax_cross_entropy", [[33, k], [33], [33]], [1]);
  claim(`ceil_div(33, row_block(${k}))`, launch(loss.softmaxCrossEntropy, n, 33).tasks[0]);
  claim(`ceil_div(33, row_block(${k}))`, launch(loss.softmaxCrossEntropyGrad, n, 33).tasks[1]);
  claim(`ceil_div(33, row_block(${k}))`, launch(loss.correctLabels, n, 33).tasks[0]);
}
claim(
  "7 * ceil_div(150528, row_piece)",
  launch(move.takeRows, node("take_rows", [[7, 3, 224, 56], [7]], []), 7).tasks[0],
);
claim(
  "ceil_div(8192, copy_lines(128))",
  launch(move.transpose, node("transpose", [[128, 8192]], [8192, 128], { perm: [1, 0] }), 8192).tasks[0],
);
claim(
  "ceil_div(16, copy_lines(8192)) + ceil_div(16, copy_lines(1))",
  launch(
    move.concat,
    node(
      "concat",
      [
        [16, 8192],
        [16, 1],
      ],
      [16, 8193],
      { axis: 1 },
    ),
    16,
  ).tasks[0],
);
claim(
  "ceil_div(1000, prototype_block)",
  launch(
    update.prototypeUpdate,
    node(
      "prototype_update",
      [
        [1000, 128],
        [8, 128],
      ],
      [1000, 128],
    ),
    8,
  ).tasks[0],
);

const headers = [
  "all_finite",
  "copy_nd",
  "global_avg_pool",
  "group_sum",
  "matmul",
  "max_pool_grad",
  "pointwise",
  "prototype_update",
  "reduce",
  "softmax_rows",
  "take_rows",
];

test("specs and headers agree on every launch", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "moproc launch "));
  const file = join(dir, "launch_shapes.cc");
  const text = [
    ...headers.map((h) => `#include "cpu/${h}.hpp"`),
    "using namespace moproc;",
    "struct Y { static constexpr int sums = 2, mean_buffer = 0, m2_buffer = 1; };",
    'template <int CLAIM, int64_t CPP, int64_t TS> struct Same { static_assert(CPP == TS, "specs and headers ' +
      'differ"); };',
    "constexpr int64_t quotient(int64_t a, int64_t b) { return (a + b - 1) / b; }",
    ...claims.map(([cpp, is], i) => `template struct Same<${i}, (${cpp.replaceAll("ceil_div", "quotient")}), ${is}>;`),
  ];
  try {
    writeFileSync(file, text.join("\n"));
    const flags = ["-std=c++20", "-march=x86-64-v3", "-fsyntax-only", `-I${join(root, "kernels")}`];
    const { status, stderr } = spawnSync("g++", [...flags, file], { encoding: "utf8" });
    t.is(status, 0, stderr);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("a reduction over axes that are no neighbours in memory is refused", (t) => {
  const n = node("sum", [[2, 3, 4, 5]], [4, 5], { axes: [0, 1] });
  t.throws(() => launch(reduce.reduceSum, n, 1), {
    message: /sum\(x: \[2,3,4,5\]\) over axes \[0,1\] in test: .*not neighbours/,
  });
});
