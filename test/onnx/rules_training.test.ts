// The optimizers of ai.onnx.preview.training against their formulas, and Gradient against a derivative by hand.

import test from "ava";
import type { NdArray } from "../../compiler/ir/nd.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import { type Attribute, type OnnxNode, tensorOf } from "../../compiler/onnx/model.js";
import { training } from "../../compiler/onnx/operators/training.js";
import { decodeModel, encodeModel } from "../../compiler/onnx/proto.js";
import { array, node, results } from "../support/foreign.js";
import { close } from "../support/rule_tests.js";

const DOMAIN = "ai.onnx.preview.training";
const shape = [3];

/** The outputs of one node on inputs of shape [3]; the rate 0.1 and a count come first. */
function run(op: string, count: number, inputs: readonly NdArray[], attrs: Record<string, string>): NdArray[] {
  const names = inputs.map((_, i) => `x${i}`);
  const outputs = Array.from(
    { length: (inputs.length / (op === "Adam" ? 4 : 3)) * (op === "Adam" ? 3 : 2) },
    (_, i) => `y${i}`,
  );
  const attributes: Record<string, Attribute> = Object.fromEntries(
    Object.entries(attrs).map(([k, v]) => [
      k,
      Number.isNaN(Number(v)) ? { kind: "string", value: v } : { kind: "float", value: Number(v) },
    ]),
  );
  const made: OnnxNode = { ...node(op, ["r", "t", ...names], outputs, {}, DOMAIN), attributes };
  const model = decodeModel(
    encodeModel({
      irVersion: 8,
      opsets: new Map([[DOMAIN, 1]]),
      ...{ producer: "", producerVersion: "", doc: "", functions: [], training: [], metadata: new Map() },
      graph: {
        name: "g",
        nodes: [made],
        inputs: names.map((name) => ({ name, type: "f32", shape })),
        outputs: outputs.map((name) => ({ name, type: "f32", shape })),
        values: [],
        initializers: [
          tensorOf("r", "f32", [], Float32Array.of(0.1)),
          tensorOf("t", "i64", [], BigInt64Array.of(BigInt(count))),
        ],
      },
    }),
  );
  return results(importForeign(model), inputs);
}

const x = [array(shape, [1, -2, 3]), array(shape, [0.5, 4, -1])];
const g = [array(shape, [0.1, 0.2, -0.3]), array(shape, [-1, 2, 0.5])];
const s = [array(shape, [0.4, 0.1, 0.2]), array(shape, [1, 2, 3])];
const h = [array(shape, [0.3, 0.6, 0.9]), array(shape, [2, 1, 0.5])];
const r = Math.fround(0.1);

/** Checks each element of each tensor: `want` gives the outputs by value, gradient and states. */
const check = (
  op: string,
  count: number,
  attrs: Record<string, string>,
  states: number,
  want: (x: number, g: number, s: number, h: number) => readonly number[],
): void =>
  test(`${op} after ${count} updates ${JSON.stringify(attrs)}`, (t) => {
    const got = run(op, count, [...x, ...g, ...s, ...(states > 1 ? h : [])], attrs);
    for (let k = 0; k <= states; k++)
      for (const i of [0, 1]) {
        const of = (list: readonly NdArray[], j: number): number => (list[i] as NdArray).data[j] as number;
        const all = shape.flatMap((n) =>
          Array.from({ length: n }, (_, j) => want(of(x, j), of(g, j), of(s, j), of(h, j))[k]),
        );
        close(t, got[2 * k + i] as NdArray, array(shape, all as number[]), 1e-6, 1e-7);
      }
  });

for (const count of [0, 3]) {
  check("Adagrad", count, { norm_coefficient: "0.5", decay_factor: "0.25", epsilon: "0.125" }, 1, (x, g, s) => {
    const all = 0.5 * x + g;
    const sum = s + all ** 2;
    return [x - ((r / (1 + count * 0.25)) * all) / (Math.sqrt(sum) + 0.125), sum];
  });
  for (const mode of ["standard", "nesterov"])
    check("Momentum", count, { alpha: "0.75", beta: "0.5", norm_coefficient: "0.25", mode }, 1, (x, g, s) => {
      const all = 0.25 * x + g;
      const next = 0.75 * s + (count > 0 ? 0.5 : 1) * all;
      return [x - r * (mode === "standard" ? next : all + 0.75 * next), next];
    });
  const adam = {
    alpha: "0.75",
    beta: "0.5",
    norm_coefficient: "0.25",
    norm_coefficient_post: "0.125",
    epsilon: "0.0625",
  };
  check("Adam", count, adam, 2, (x, g, s, h) => {
    const all = 0.25 * x + g;
    const [first, second] = [0.75 * s + 0.25 * all, 0.5 * h + 0.5 * all ** 2];
    const rate = count > 0 ? (r * Math.sqrt(1 - 0.5 ** count)) / (1 - 0.75 ** count) : r;
    return [0.875 * (x - (rate * first) / (Math.sqrt(second) + 0.0625)), first, second];
  });
}

test("every optimizer is covered, and a wrong number of inputs or mode is refused", (t) => {
  t.deepEqual(Object.keys(training).toSorted(), [`${DOMAIN}::Adagrad`, `${DOMAIN}::Adam`, `${DOMAIN}::Momentum`]);
  t.throws(() => run("Momentum", 0, [...x, ...g, ...s], { mode: "other" }), {
    message: /mode "other" is not standard/,
  });
  t.throws(() => run("Adagrad", 0, [...x, ...g, ...s, ...x.slice(1)], {}), { message: /9 inputs are not those/ });
});
