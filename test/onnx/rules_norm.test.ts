// Rules of normalisations: values by their definition, and random ones beside ONNX Runtime.

import test from "ava";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Tensor } from "../../compiler/onnx/model.js";
import { normalization } from "../../compiler/onnx/operators/normalization.js";
import { agrees, byRule, type Case, noise, same } from "../support/agree.js";
import { agreesCompiled } from "../support/agree_compiled.js";
import { f32, one, some } from "../support/foreign.js";
import { arrayOf } from "../support/onnx_cases.js";
import { check, coversAll, map } from "../support/rule_tests.js";

const images = some([2, 3, 2, 2]);
check("LRN", "an odd and an even size", () =>
  [3, 2].map((size) => {
    const x = some([1, 4, 2, 2]);
    const want = map(x, (v, i) => {
      const c = Math.floor(i / 4);
      let sum = 0;
      for (let d = -Math.floor((size - 1) / 2); d <= Math.ceil((size - 1) / 2); d++)
        if (c + d >= 0 && c + d < 4) sum += (x.data[i + 4 * d] as number) ** 2;
      return v / (2 + (0.5 / size) * sum) ** 0.25;
    });
    return [one("LRN", 13, x, { size, alpha: "0.5", beta: "0.25", bias: "2.0" }), want] as const;
  }),
);

for (const opset of [6, 7, 9, 15])
  check("BatchNormalization", `inference in operator set ${opset}, images and other ranks`, () => {
    const tables = [
      [1, 2, -1],
      [0, 1, 2],
      [0.5, 0, 1],
      [1, 4, 0.25],
    ].map((xs) => f32([3], xs));
    const want = (x: NdArray, inner: number): NdArray =>
      map(x, (v, i) => {
        const [gamma, beta, mean, variance] = tables.map(
          (t) => arrayOf(t).data[Math.floor(i / inner) % 3] as number,
        ) as [number, number, number, number];
        return (gamma * (v - mean)) / Math.sqrt(variance + 0.25) + beta;
      });
    const attrs = { epsilon: "0.25", momentum: "0.5", ...(opset === 6 && { is_test: 1 }) };
    return [
      [one("BatchNormalization", opset, images, attrs, tables), want(images, 4)],
      [one("BatchNormalization", opset, some([2, 3, 5]), attrs, tables), want(some([2, 3, 5]), 5)],
    ];
  });

const vector = (n: number, seed: number, least = 0.5): ReturnType<typeof noise> => noise("f32", [n], seed, least, 2);
agrees(
  "BatchNormalization",
  "other ranks and types, and training with running statistics",
  [
    { opset: 15, inputs: [noise("f32", [2, 3, 4, 2, 3], 1), vector(3, 2), vector(3, 3), vector(3, 4), vector(3, 5)] },
    { opset: 9, inputs: [noise("f64", [2, 3, 4], 6), ...[7, 8, 9, 10].map((seed) => noise("f64", [3], seed, 0.5, 2))] },
    ...[
      [4, 3],
      [2, 3, 5],
      [2, 3, 4, 4],
    ].map((shape, i) => ({
      opset: 14 + (i % 2),
      inputs: [noise("f32", shape, 11 + i), vector(3, 2), vector(3, 3), vector(3, 4), vector(3, 5)],
      attrs: { training_mode: 1, momentum: "0.75", epsilon: "0.01" },
      outputs: ["f32", "f32", "f32"] as const,
    })),
  ],
  [0, 1, 2],
);
agrees(
  "InstanceNormalization",
  "images and lines",
  [
    { opset: 6, inputs: [noise("f32", [2, 3, 4, 5], 20), vector(3, 21), vector(3, 22)], attrs: { epsilon: "0.01" } },
    { opset: 6, inputs: [noise("f32", [2, 3, 9], 23), vector(3, 24), vector(3, 25)] },
  ],
  [0, 1, 2],
);
agrees(
  "GroupNormalization",
  "scales of groups, and of channels",
  [
    { opset: 18, inputs: [noise("f32", [2, 6, 3, 2], 26), vector(3, 27), vector(3, 28)], attrs: { num_groups: 3 } },
    {
      opset: 21,
      inputs: [noise("f32", [2, 6, 5], 29), vector(6, 30), vector(6, 31)],
      attrs: { num_groups: 2, epsilon: "0.1" },
    },
  ],
  [0, 1, 2],
);
agrees(
  "LayerNormalization",
  "axes, statistics, no bias, f16",
  [
    {
      opset: 17,
      inputs: [noise("f32", [2, 3, 4], 32), noise("f32", [3, 4], 33), noise("f32", [3, 4], 34)],
      attrs: { axis: 1 },
      outputs: ["f32", "f32", "f32"],
    },
    { opset: 17, inputs: [noise("f32", [2, 3, 2, 4], 35), noise("f32", [4], 36)], attrs: { epsilon: "0.5" } },
    {
      opset: 17,
      inputs: [noise("f32", [2, 3, 4], 35), noise("f32", [2, 3, 4], 36)],
      attrs: { axis: -3 },
      outputs: ["f32", "f32", "f32"],
    },
    {
      opset: 17,
      inputs: [noise("f16", [2, 8], 37), noise("f16", [8], 38), noise("f16", [8], 39)],
      relative: 2e-3,
      absolute: 2e-3,
    },
  ],
  [0, 1, 2],
);
agrees(
  "RMSNormalization",
  "axes",
  [
    { opset: 23, inputs: [noise("f32", [2, 3, 4], 40), noise("f32", [3, 4], 41)], attrs: { axis: 1, epsilon: "0.01" } },
    { opset: 23, inputs: [noise("f32", [2, 3, 4], 42), noise("f32", [4], 43)] },
  ],
  [0, 1],
);
agrees(
  "LpNormalization",
  "both exponents, axes",
  [
    { opset: 1, inputs: [noise("f32", [2, 3, 4], 44)], attrs: { axis: 1, p: 1 } },
    { opset: 1, inputs: [noise("f32", [2, 3, 4], 45)] },
    { opset: 1, inputs: [noise("f64", [2, 3, 4], 46)], attrs: { axis: 0 } },
  ],
  [0],
);
agrees("LpNormalization", "rows of zeros", [{ opset: 1, inputs: [noise("f32", [2, 3], 47, 0, 0)] }]);
agrees(
  "MeanVarianceNormalization",
  "its axes by default, and others",
  [
    { opset: 13, inputs: [noise("f32", [2, 3, 4, 5], 48)] },
    { opset: 9, inputs: [noise("f32", [2, 3, 4, 5], 49)], attrs: { axes: [0, 1, 2, 3] } },
  ],
  [0],
);
agrees(
  "LRN",
  "sizes beyond the channels",
  [{ opset: 13, inputs: [noise("f32", [2, 4, 3, 2], 50)], attrs: { size: 7, alpha: "0.5" } }],
  [0],
);
test("BatchNormalization: the training forms before version 14 have the statistics of the batch, too", (t) => {
  const inputs = [noise("f32", [2, 3, 4, 4], 60), ...[61, 62, 63, 64].map((seed) => vector(3, seed))];
  const own = { epsilon: "0.25", momentum: "0.75" };
  const op = "BatchNormalization";
  const want = byRule({ op, opset: 15, inputs, attrs: { ...own, training_mode: 1 }, outputs: ["f32", "f32", "f32"] });
  const batch = byRule({
    ...{ op, opset: 15, inputs, outputs: ["f32", "f32", "f32"] },
    attrs: { ...own, training_mode: 1, momentum: "0.0" },
  });
  for (const [opset, attrs] of [
    [6, { is_test: 0 }],
    [7, {}],
    [9, {}],
  ] as const) {
    const c: Case = { op, opset, inputs, attrs: { ...own, ...attrs }, outputs: Array(5).fill("f32") };
    const got = byRule(c);
    for (const [i, w] of [...want, batch[1], batch[2]].entries())
      same(t, c, got[i] as NdArray, w as NdArray, `operator set ${opset}, output ${i}`);
  }
});
test("BatchNormalization: without `spatial` each pixel has its own statistics", (t) => {
  const x = noise("f32", [5, 2, 3], 65);
  const tables = [66, 67, 68, 69].map((seed) => noise("f32", [2, 3], seed, 0.5, 2));
  const flat = (shape: readonly number[]) => (v: Tensor) => ({ ...v, dims: shape });
  for (const extra of [{ attrs: { is_test: 1 } }, { attrs: { is_test: 0 }, outputs: Array(5).fill("f32") }]) {
    const c = { op: "BatchNormalization", opset: 6, ...extra };
    const got = byRule({ ...c, inputs: [x, ...tables], attrs: { ...extra.attrs, spatial: 0 } });
    const want = byRule({ ...c, inputs: [flat([5, 6])(x), ...tables.map(flat([6]))] });
    for (const [i, w] of want.entries())
      same(t, { ...c, inputs: [] }, new NdArray(w.shape, (got[i] as NdArray).data), w, `output ${i}`);
  }
});

agreesCompiled("rules_norm");
coversAll(normalization);
