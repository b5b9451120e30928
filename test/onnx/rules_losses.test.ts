// Rules of losses, beside ONNX Runtime.

import type { ElementType } from "../../compiler/onnx/model.js";
import { losses } from "../../compiler/onnx/operators/losses.js";
import { agrees, type Case, noise, of } from "../support/agree.js";
import { agreesCompiled } from "../support/agree_compiled.js";
import { coversAll } from "../support/rule_tests.js";

const cases = (outputs: readonly ElementType[]): Omit<Case, "op">[] =>
  ["none", "mean", "sum"].flatMap((reduction, i) => [
    {
      opset: 13,
      inputs: [noise("f32", [4, 5], i, -3, 0), of("i64", [4], [0, 4, 2, 2])],
      attrs: { reduction },
      outputs,
    },
    {
      opset: 12,
      inputs: [
        noise("f32", [2, 3, 2, 2], 9 + i, -3, 0),
        noise("i32", [2, 2, 2], 3 + i, 0, 2),
        noise("f32", [3], 6 + i, 0.5, 2),
      ],
      attrs: { reduction, ignore_index: 1 },
      outputs,
    },
    {
      opset: 13,
      inputs: [noise("f32", [2, 3, 2], 12 + i, -3, 0), of("i64", [2, 2], [-1, 0, 2, -1])],
      attrs: { reduction, ignore_index: -1 },
      outputs,
    },
    {
      opset: 13,
      inputs: [noise("f64", [4, 5], 20 + i, -3, 0), of("i64", [4], [0, 4, 2, 2]), noise("f64", [5], 23, 0.5, 2)],
      attrs: { reduction },
      outputs: outputs.map(() => "f64" as const),
    },
  ]);
agrees("NegativeLogLikelihoodLoss", "reductions, weights, ignored targets", cases(["f32"]), [0]);
agrees("SoftmaxCrossEntropyLoss", "reductions, weights, ignored targets, its logarithms", cases(["f32", "f32"]), [0]);

agreesCompiled("rules_losses");
coversAll(losses);
