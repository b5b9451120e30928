// The grids, workspaces and shared memory that the CUDA specs compute are those that kernels/cuda assumes: compared by
// static_assert over a table of shapes. (The headers of matrix products assert their shared memory whenever one is
// compiled.)

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import type { Attrs, Node, Target } from "../../compiler/ir/types.js";
import { type Fused, type LaunchShape, type TemplateSpec, unfused } from "../../compiler/lower/template.js";
import * as move from "../../compiler/lower/templates/cuda/move.js";
import { pointwise } from "../../compiler/lower/templates/cuda/pointwise.js";
import * as pool from "../../compiler/lower/templates/cuda/pool.js";
import * as reduce from "../../compiler/lower/templates/cuda/reduce.js";
import * as rows from "../../compiler/lower/templates/cuda/rows.js";
import { prototypeUpdate } from "../../compiler/lower/templates/cuda/update.js";
import { root } from "../../compiler/util/root.js";

const target: Target = { device: "cuda", arch: "sm_90a", ranks: [1], precision: "bf16" };
const sums: Fused = { ...unfused, sums: 2, moments: true };

const value = (shape: readonly number[]) => ({ name: "v", type: { dtype: "f32" as const, shape } });
const node = (
  op: string,
  inputs: readonly (readonly number[])[],
  output: readonly number[],
  attrs: Attrs = {},
): Node => ({
  op,
  inputs: inputs.map(value),
  outputs: [value(output)],
  attrs,
  scope: "test",
});
const launch = (t: TemplateSpec, n: Node, extent: number, groups = 1, y = unfused): LaunchShape =>
  t.launch(n, { rows: extent, groups }, target, y);

/** C++ expressions and what they must be. */
const claims: [string, number][] = [];
const claim = (cpp: string, is: number | undefined): unknown => claims.push([cpp, is ?? Number.NaN]);

for (const [n, groups, hw, c] of [
  [16, 1, 3136, 64],
  [16, 4, 49, 2048],
  [8, 2, 1, 1000],
  [4, 1, 12544, 3],
  [256, 1, 3136, 256],
  [2, 2, 1, 1],
] as const) {
  const ofGroup = (n / groups) * hw;
  for (const [y, has] of [
    [unfused, false],
    [sums, true],
  ] as const) {
    const s = launch(pointwise, node("pointwise", [], [n, c, hw, 1]), n, groups, y);
    const tiles = `ceil_div(${ofGroup}, pointwise_tile(${ofGroup}, ${c}, ${has}))`;
    claim(`${groups} * ${tiles} * pointwise_channel_blocks(${c}, ${has})`, s.tasks[0]);
    if (has) claim(`combine_tasks<Y, ${c}>(${groups})`, s.tasks[1]);
    if (has) claim(`${groups} * ${tiles} * partial_values<Y> * padded_channels(${c}) * 4`, s.workspaceBytes);
  }
}
claim(
  "ceil_div(1000003, flat_chunk)",
  launch(pointwise, node("pointwise", [], [1000003, 1], { flat: true }), 1000003).tasks[0],
);

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
  const grad = node("max_pool_grad", [x, y], x, attrs);
  const s = launch(pool.maxPoolGrad, grad, 4, 2, sums);
  claim(`4 * ceil_div(${h}, pool_tile) * pool_channel_blocks(70)`, s.tasks[0]);
  claim(`4 * ceil_div(${h}, pool_tile) * partial_values<Y> * padded_channels(70) * 4`, s.workspaceBytes);
  claim(
    `pool_shared(70, ${kernel}, ${stride}, ${p}, ${p})`,
    pool.maxPoolGrad.constants(grad, target, sums).SHARED_BYTES as number,
  );
  claim(`pool_tasks(4 * ${p * p}, 70)`, launch(pool.maxPool, node("max_pool", [x], y, attrs), 4).tasks[0]);
}
claim(
  "pool_tasks(3, 130)",
  launch(pool.globalAvgPool, node("global_avg_pool", [[3, 130, 7, 7]], [3, 130]), 3).tasks[0],
);
claim(
  "pool_tasks(3 * 99, 24)",
  launch(pool.padChannels, node("pad_channels", [[3, 11, 9, 11]], [3, 24, 9, 11]), 3).tasks[0],
);

for (const [shape, axes, outer, red, inner] of [
  [[40000], [0], 1, 40000, 1],
  [[3, 5, 700], [1], 3, 5, 700],
  [[2, 64, 112, 112], [0, 2, 3], 1, 25088, 64],
  [[2, 64, 9, 9], [1], 162, 64, 1],
] as const) {
  const s = launch(reduce.reduceSum, node("sum", [shape], [1], { axes }), 1);
  const tiles = `ceil_div(${red}, reduce_tile(${inner}))`;
  claim(`${outer} * ${tiles} * reduce_columns(${inner})`, s.tasks[0]);
  claim(`${tiles} > 1 ? ${outer} * ${tiles} * ${inner} * 4 : 0`, s.workspaceBytes);
}
claim("ceil_div(9001, group_sum_chunk)", launch(reduce.groupSum, node("group_sum", [[4, 9001]], [9001]), 1).tasks[0]);
claim(
  "ceil_div(65537, finite_chunk) + 1",
  launch(reduce.allFinite, node("all_finite", [[65537], [3]], []), 1).tasks[0],
);

for (const k of [1, 10, 1000, 4095, 4096, 70000]) {
  const n = node("softmax_cross_entropy", [[33, k], [33], [33]], [1]);
  claim(`row_tasks(33, ${k})`, launch(rows.softmaxCrossEntropy, n, 33).tasks[0]);
  claim(`row_tasks(33, ${k})`, launch(rows.softmaxCrossEntropyGrad, n, 33).tasks[1]);
  claim(`row_tasks(33, ${k})`, launch(rows.correctLabels, n, 33).tasks[0]);
}
claim("7 * row_pieces(150528)", launch(move.takeRows, node("take_rows", [[7, 3, 224, 56], [7]], []), 7).tasks[0]);
claim(
  "copy_blocks(128, 8192)",
  launch(move.transpose, node("transpose", [[128, 8192]], [8192, 128], { perm: [1, 0] }), 8192).tasks[0],
);
claim(
  "copy_blocks(8192, 16) + copy_blocks(1, 16)",
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
    prototypeUpdate,
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
  "group_sum",
  "max_pool_grad",
  "pointwise",
  "prototype_update",
  "reduce",
  "rows",
  "take_rows",
];

test("CUDA specs and headers agree on every launch", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "moproc launch "));
  const file = join(dir, "launch_shapes.cc");
  const text = [
    ...headers.map((h) => `#include "cuda/${h}.cuh"`),
    "using namespace moproc;",
    "struct Y { static constexpr int sums = 2, mean_buffer = 0, m2_buffer = 1; };",
    'template <int CLAIM, int64_t CPP, int64_t TS> struct Same { static_assert(CPP == TS, "specs and headers ' +
      'differ"); };',
    ...claims.map(([cpp, is], i) => `template struct Same<${i}, (${cpp}), ${is}>;`),
  ];
  try {
    writeFileSync(file, text.join("\n"));
    const include = [`-I${join(root, "kernels")}`, `-I${join(root, "test", "emulator")}`];
    const flags = [
      "-std=c++20",
      "-march=x86-64-v3",
      "-DMOPROC_EMULATOR",
      "-Wno-unknown-pragmas",
      "-fsyntax-only",
      ...include,
    ];
    const { status, stderr } = spawnSync("g++", [...flags, file], { encoding: "utf8" });
    t.is(status, 0, stderr.slice(0, 4000));
  } finally {
    rmSync(dir, { recursive: true });
  }
});
