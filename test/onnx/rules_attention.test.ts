// Rules of attention, rotary embeddings and caches, beside ONNX Runtime.

import { attentions } from "../../compiler/onnx/operators/attention.js";
import { agrees, noise, of } from "../support/agree.js";
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

coversAll(attentions);
