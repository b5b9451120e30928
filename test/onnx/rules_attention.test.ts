// Rules of attention, rotary embeddings and caches, beside ONNX Runtime.

import test from "ava";
import type { NdArray } from "../../compiler/ir/nd.js";
import { attentions } from "../../compiler/onnx/operators/attention.js";
import { agrees, byRule, type Case, noise, of, same } from "../support/agree.js";
import { agreesCompiled } from "../support/agree_compiled.js";
import { coversAll } from "../support/rule_tests.js";

const seen = of("bool", [3, 5], [1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1]);
const q = noise("f32", [2, 4, 3, 6], 1);
const [k, v] = [noise("f32", [2, 4, 5, 6], 2), noise("f32", [2, 4, 5, 7], 3)];
agrees(
  "Attention",
  "heads, masks, causal order, soft caps, caches",
  [
    { opset: 23, inputs: [q, k, v] },
    { opset: 23, inputs: [q, k, v, seen], attrs: { scale: "0.3" } },
    { opset: 23, inputs: [q, k, v, noise("f32", [2, 1, 3, 5], 4)], attrs: { softcap: "0.5", is_causal: 1 } },
    { opset: 23, inputs: [q, noise("f32", [2, 2, 5, 6], 5), noise("f32", [2, 2, 5, 7], 6)] },
    {
      opset: 23,
      inputs: [noise("f32", [2, 3, 24], 7), noise("f32", [2, 5, 12], 8), noise("f32", [2, 5, 14], 9)],
      attrs: { q_num_heads: 4, kv_num_heads: 2 },
    },
    {
      opset: 23,
      inputs: [q, k, v, undefined, noise("f32", [2, 4, 2, 6], 10), noise("f32", [2, 4, 2, 7], 11)],
      outputs: ["f32", "f32", "f32"],
    },
    { opset: 23, inputs: [q, k, v], outputs: ["f32", undefined, undefined, "f32"] },
  ],
  [0, 1, 2, 4, 5],
);
agrees("Attention", "a cache outside, with its number of keys, and queries that see none", [
  { opset: 24, inputs: [q, k, v, undefined, undefined, undefined, of("i64", [2], [5, 3])] },
  { opset: 23, inputs: [q, k, v, of("bool", [3, 5], [1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1])] },
]);

/** A mask for [2, 1, 3, 5] of the keys that a query sees. */
const maskOf = (sees: (image: number, query: number, key: number) => boolean): ReturnType<typeof of> =>
  of(
    "bool",
    [2, 1, 3, 5],
    Array.from({ length: 30 }, (_, i) => Number(sees(Math.floor(i / 15), Math.floor(i / 5) % 3, i % 5))),
  );
/** Rules that say which keys a query sees, and the mask that says the same. */
const visible: readonly (readonly [string, Omit<Case, "op">, ReturnType<typeof of>])[] = [
  [
    "a mask for the first keys only",
    { opset: 23, inputs: [q, k, v, of("bool", [3, 2], [1, 0, 1, 1, 0, 1])] },
    maskOf((_, i, j) => j < 2 && [1, 0, 1, 1, 0, 1][i * 2 + j] === 1),
  ],
  [
    "keys up to the query's own place behind a cache outside",
    {
      opset: 24,
      inputs: [q, k, v, undefined, undefined, undefined, of("i64", [2], [4, 2])],
      attrs: { is_causal: 1 },
    },
    maskOf((n, i, j) => j <= i + ([4, 2][n] as number) - 3 && j < ([4, 2][n] as number)),
  ],
  [
    "keys around the query",
    { opset: 25, inputs: [q, k, v], attrs: { left_window_size: 1, right_window_size: 2 } },
    maskOf((_, i, j) => j >= i - 1 && j <= i + 2),
  ],
];
for (const [name, c, mask] of visible)
  test(`Attention: ${name}`, (t) => {
    const op = "Attention";
    const want = byRule({ opset: 23, op, inputs: [q, k, v, mask] })[0] as NdArray;
    same(t, { ...c, op }, byRule({ ...c, op })[0] as NdArray, want, name);
  });

const angles = (seed: number): ReturnType<typeof noise>[] => [0, 1].map((i) => noise("f32", [9, 3], seed + i));
const places = of("i64", [2, 3], [0, 1, 2, 8, 4, 3]);
agrees(
  "RotaryEmbedding",
  "halves, pairs, parts of heads, tables without positions",
  [
    { opset: 23, inputs: [q, ...angles(12), places] },
    { opset: 23, inputs: [q, ...angles(14), places], attrs: { interleaved: 1 } },
    {
      opset: 23,
      inputs: [noise("f32", [2, 3, 32], 16), ...angles(17), places],
      attrs: { num_heads: 4, rotary_embedding_dim: 6 },
    },
    { opset: 23, inputs: [q, noise("f32", [2, 3, 3], 19), noise("f32", [2, 3, 3], 20)] },
  ],
  [0, 1, 2],
);
const cache = noise("f32", [2, 3, 6, 4], 21);
agrees(
  "TensorScatter",
  "places in a line and in a circle",
  [
    { opset: 24, inputs: [cache, noise("f32", [2, 3, 2, 4], 22)] },
    { opset: 24, inputs: [cache, noise("f32", [2, 3, 2, 4], 23), of("i64", [2], [1, 4])] },
    { opset: 24, inputs: [cache, noise("f32", [2, 3, 3, 4], 24), of("i64", [2], [5, 4])], attrs: { mode: "circular" } },
    {
      opset: 24,
      inputs: [noise("i8", [2, 6, 4], 25), noise("i8", [2, 6, 1], 26), of("i64", [2], [3, 2])],
      attrs: { axis: -1 },
    },
  ],
  [0, 1],
);

agreesCompiled("rules_attention");
coversAll(attentions);
