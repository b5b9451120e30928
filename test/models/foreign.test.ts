// Networks of other programs as trunks: what is found in them, what their gradients are, and what stays as it is.

import test from "ava";
import { grad } from "../../compiler/autodiff/grad.js";
import { Builder } from "../../compiler/ir/builder.js";
import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { State, Value } from "../../compiler/ir/types.js";
import { findHead, imageInput } from "../../compiler/onnx/find_head.js";
import type { Model } from "../../compiler/onnx/model.js";
import { numbersIn } from "../../compiler/onnx/numbers.js";
import * as op from "../../compiler/ops/index.js";
import { ForeignNetwork, type ForeignOptions } from "../../models/foreign.js";
import { Net } from "../../models/nn.js";
import { networks } from "../support/foreign_networks.js";

const SIZE = 16;
const pixels = { mean: [0, 0, 0], std: [1, 1, 1] } as const;

const network = (m: Model, more: Partial<ForeignOptions> = {}): ForeignNetwork =>
  new ForeignNetwork(
    m,
    {
      input: imageInput(m),
      head: findHead(m),
      keep: false,
      frozen: () => false,
      freezeBatchNorm: false,
      pixels,
      ...more,
    },
    SIZE,
  );

const IMAGES = 3;

/** Fills a shape with numbers of a smooth sequence. */
const waves = (shape: readonly number[], step: number): NdArray => {
  let i = 0;
  return NdArray.fill(shape, () => Math.sin(step * ++i));
};

test("head, input, parameters and sizes of four networks", (t) => {
  const facts = (name: keyof typeof networks) => {
    const m = networks[name](SIZE);
    const { facts: f } = network(m);
    const { feature, logits } = findHead(m);
    return [feature, logits, f.featureSize, f.trained.length, f.numbers, f.normalizations, f.freed.length];
  };
  t.deepEqual(facts("residual"), ["flat", "logits", 8, 9, [], 3, 0]);
  t.deepEqual(facts("squeezing"), ["drop", "scores", 16, 14, [], 0, 0]);
  t.deepEqual(facts("mobile"), ["row", "head/out", 16, 15, [], 5, 1]);
  t.deepEqual(facts("transformer"), ["class", "head/out", 16, 22, ["scale", "root", "one", "half"], 0, 6]);
});

/** The program of a loss on the outputs, and the gradients of all parameters. */
function program(net: ForeignNetwork, training: boolean) {
  const b = Builder.create("program");
  const x = b.input("x", { dtype: "f32", shape: [IMAGES, 3, SIZE, SIZE] });
  const n = new Net(b, { training });
  const { feature, logits } = net.build(n, x);
  const y = logits ?? feature;
  const weights = waves(y.type.shape, 0.7);
  const loss = op.sum(b, op.mul(b, y, op.constant(b, { values: [...weights.data], shape: weights.shape })), {
    axes: [0, 1],
  });
  const forward = b.finish([loss]);
  const params = b.states.filter((s) => s.role === "param");
  const grads = grad(b, loss, op.constant(b, { values: [1], shape: [] }), params);
  if (training) n.commit(op.constant(b, { values: [1], shape: [] }));
  return { g: b.finish([loss, y, ...grads]), forward, x, loss, y, params, grads };
}

const feedOf = (net: ForeignNetwork, states: readonly State[], x: Value): Map<Value, NdArray> =>
  new Map<Value, NdArray>([
    [x, waves(x.type.shape, 0.37)],
    ...states.map((s): [Value, NdArray] => {
      const tensor = net.facts.values.get(s.name);
      return [s, tensor ? new NdArray(tensor.dims, Float64Array.from(numbersIn(tensor))) : NdArray.fill([], () => 0)];
    }),
  ]);

for (const name of Object.keys(networks) as (keyof typeof networks)[])
  for (const training of [true, false])
    test(`${name}, ${training ? "training" : "evaluation"}: gradients agree with central differences`, (t) => {
      const net = network(networks[name](SIZE), { keep: name === "squeezing" });
      const { g, forward, x, loss, params, grads } = program(net, training);
      const feed = feedOf(net, g.state, x);
      const env = evaluate(g, feed);
      const lossAt = (p: Value, i: number, by: number): number => {
        const moved = feed.get(p) as NdArray;
        const data = Float64Array.from(moved.data);
        data[i] = (data[i] as number) + by;
        return (evaluate(forward, new Map(feed).set(p, new NdArray(moved.shape, data))).get(loss) as NdArray)
          .data[0] as number;
      };
      const step = 1e-5;
      params.forEach((p, k) => {
        const d = env.get(grads[k] as Value) as NdArray;
        t.deepEqual(d.shape, p.type.shape);
        const i = Math.floor(d.data.length / 2);
        const expected = (lossAt(p, i, step) - lossAt(p, i, -step)) / (2 * step);
        const got = d.data[i] as number;
        t.true(Math.abs(got - expected) <= 1e-6 + 1e-5 * Math.abs(expected), `${p.name}: ${got}, ${expected}`);
      });
      t.deepEqual(
        params.map((p) => p.name),
        [...net.facts.trained],
      );
    });
