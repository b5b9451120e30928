// The program that counts correct answers, which all models have.

import { Builder } from "../compiler/ir/builder.js";
import type { Graph, TensorType, Value } from "../compiler/ir/types.js";
import * as op from "../compiler/ops/index.js";
import { finish, Net } from "./nn.js";

/**
 * A program with the inputs `input`, target i64 [N] and weight f32 [N], where N is the first extent of the input. Its
 * outputs are logits [N, K], as `logitsOf` makes them of the network in evaluation mode, and correct1 and correct5, the
 * numbers of rows whose target is among the first 1 and 5 classes. Rows of weight 0, which fill up a short batch, do
 * not count.
 */
export function evaluateProgram(
  name: string,
  input: { readonly name: string; readonly type: TensorType },
  logitsOf: (net: Net, x: Value) => Value,
): Graph {
  const b = Builder.create(name);
  const x = b.input(input.name, input.type);
  const rows = [input.type.shape[0] as number];
  const target = b.input("target", { dtype: "i64", shape: rows });
  const weight = b.input("weight", { dtype: "f32", shape: rows });
  const logits = logitsOf(new Net(b, { training: false }), x);
  return finish(b, {
    logits,
    correct1: op.top_k_correct(b, logits, target, weight, { k: 1, groups: 1 }),
    correct5: op.top_k_correct(b, logits, target, weight, { k: 5, groups: 1 }),
  });
}
