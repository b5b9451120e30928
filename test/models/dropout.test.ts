// Dropout: its random numbers against known answers, what it keeps, and that steps, layers and ranks agree about it.

import test from "ava";
import { grad } from "../../compiler/autodiff/grad.js";
import { Builder } from "../../compiler/ir/builder.js";
import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";
import { philox4x32 } from "../../compiler/ops/general/philox.js";
import * as op from "../../compiler/ops/index.js";
import { distribute } from "../../compiler/passes/distribute.js";
import { Net } from "../../models/net.js";
import { dropout, linear } from "../../models/nn.js";
import { parameters, sgd } from "../../models/optim.js";
import { compiled, runCompiled } from "../support/compiled.js";
import { randomArray } from "../support/random.js";
import { evaluateRanks } from "../support/ranks.js";
import { initialStates, rows, run, type States } from "../support/training.js";

const f32 = (...shape: readonly number[]) => ({ dtype: "f32", shape }) as const;
const zeros = (x: NdArray): number => x.data.filter((v) => v === 0).length;

test("philox4x32 has the known answers of Random123", (t) => {
  const ones = 0xffffffff;
  t.deepEqual([...philox4x32([0, 0, 0, 0], [0, 0])], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  t.deepEqual(
    [...philox4x32([ones, ones, ones, ones], [ones, ones])],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  );
  t.deepEqual(
    [...philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  );
});

/** Two layers of dropout on ones [N, T, C], and the gradient of the sum of the first by the ones. */
function layers(shape: readonly number[], p: number): Graph {
  const b = Builder.create("layers");
  const net = new Net(b, { training: true });
  const x = b.input("x", f32(...shape));
  const [first, second] = ["first", "second"].map((name) => dropout(net.in(name), x, p)) as [Value, Value];
  const [dx] = grad(b, first, op.broadcast_to(b, op.scalar(b, 1), { shape }), [x]);
  net.commit(b.input("finite", f32()));
  return b.finish([first, second, dx as Value]);
}

/** The results of a step from step number `step`, and the state after it. */
function outputs(g: Graph, step: number, { finite = 1, seed = 5 } = {}): { values: NdArray[]; states: States } {
  const states = new Map([
    ["dropout.seed", NdArray.scalar(seed)],
    ["dropout.step", NdArray.scalar(step)],
  ]);
  const shape = g.inputs[0]?.type.shape as readonly number[];
  const r = run(g, states, { x: NdArray.fill(shape, () => 1), finite: NdArray.scalar(finite) });
  return { values: g.outputs.map((v) => r.outputs[v.name] as NdArray), states: r.states };
}

test("a share p becomes 0, the rest is divided by 1 - p, and the gradient passes where the values do", (t) => {
  const g = layers([50, 4, 25], 0.2);
  const { values, states } = outputs(g, 7);
  const [first, second, dx] = values as [NdArray, NdArray, NdArray];
  // 5000 elements: the standard deviation of the share is 0.0057
  for (const y of [first, second]) t.true(Math.abs(zeros(y) / 5000 - 0.2) < 4 * 0.0057, `${zeros(y)} of 5000`);
  t.deepEqual([...new Set(first.data)].toSorted(), [0, 1.25]);
  t.deepEqual([...dx.data], [...first.data]);
  const both = first.data.filter((v, i) => v === 0 && second.data[i] === 0).length;
  t.true(Math.abs(both / 5000 - 0.04) < 4 * 0.0028, `${both} are dropped by both layers, which are independent`);
  t.is(states.get("dropout.step")?.at(), 8);
});

test("another step, seed or row has other numbers; a step that is not finite does not count", (t) => {
  const g = layers([8, 16], 0.5);
  const of = (...args: Parameters<typeof outputs> extends [Graph, ...infer R] ? R : never): string =>
    outputs(g, ...args).values[0]?.data.join() ?? "";
  t.is(of(3), of(3));
  t.not(of(3), of(4));
  t.not(of(3), of(3, { seed: 6 }));
  const y = outputs(g, 3).values[0] as NdArray;
  t.is(new Set([0, 1, 2, 3, 4, 5, 6, 7].map((n) => rows(y, n, n + 1).data.join())).size, 8);
  t.is(outputs(g, 3, { finite: 0 }).states.get("dropout.step")?.at(), 3);
});

test("nothing is dropped in evaluation or with p = 0; p = 1 is refused", (t) => {
  const b = Builder.create("g");
  const x = b.input("x", f32(2, 3));
  t.is(dropout(new Net(b, { training: false }), x, 0.5), x);
  t.is(dropout(new Net(b, { training: true }), x, 0), x);
  t.throws(() => dropout(new Net(b.in("at"), { training: true }), x, 1), { message: /^dropout in at: p must be/ });
  t.is(b.states.length, 0);
});

/** A step of a network with dropout before and after a layer, on 8 rows of 3 tokens. */
function training(): Graph {
  const b = Builder.create("step", { groups: 4 });
  const net = new Net(b, { training: true });
  const tokens = dropout(net.in("a"), b.input("x", f32(8, 3, 10)), 0.4);
  const y = dropout(net.in("b"), op.tanh(b, linear(net.in("fc1"), tokens, 6)), 0.25);
  const logits = linear(net.in("fc2"), op.reshape(b, y, { shape: [-1, 18] }), 5);
  const target = b.input("target", { dtype: "i64", shape: [8] });
  const weight = op.constant(b, { values: [1], shape: [8] });
  const loss = op.softmax_cross_entropy(b, logits, target, weight, { groups: 4 });
  const params = parameters(b);
  const grads = grad(b, loss, op.constant(b, { values: [1], shape: [4] }), params);
  const finite = op.all_finite(b, [loss, ...grads]);
  net.commit(finite);
  const [lr, momentum, weight_decay] = [0.1, 0.9, 0.01].map((v) => op.scalar(b, v)) as [Value, Value, Value];
  sgd(b, params, grads, { lr, momentum, weight_decay }, finite, 0.25);
  return b.finish([loss]);
}

const labels = new NdArray([8], Float64Array.from([0, 1, 2, 3, 4, 0, 1, 2]));
const feed = { x: randomArray([8, 3, 10], 3), target: labels };

for (const ranks of [2, 4])
  test(`${ranks} ranks drop the same elements as one, and do not gather them`, (t) => {
    const whole = training();
    const states = new Map(initialStates(whole, 9)).set("dropout.step", NdArray.scalar(4));
    const want = run(whole, states, feed);
    const local = distribute(whole, ranks, "load");
    const own = (v: Value, r: number): NdArray => {
      if (v.name === "mail") return NdArray.fill(v.type.shape, () => r);
      return rows(feed[v.name as "x"], (8 / ranks) * r, (8 / ranks) * (r + 1));
    };
    const feeds = Array.from(
      { length: ranks },
      (_, r) => new Map([...states, ...local.inputs.map((v) => [v.name, own(v, r)] as const)]),
    );
    for (const env of evaluateRanks(local, feeds))
      for (const [s, v] of local.updates)
        (env.get(v) as NdArray).data.forEach((got, i) => {
          const wanted = want.states.get(s.name)?.data[i] as number;
          t.true(Math.abs(got - wanted) < 1e-12, `${s.name}: ${got}, not ${wanted}`);
        });
    for (const n of local.nodes.filter((m) => m.op === "dropout"))
      t.is(n.inputs[0]?.type.shape[0], 24 / ranks, "each rank computes its own rows");
  });

test("compiled, a step drops the same elements, with 1 and 2 threads", async (t) => {
  const whole = training();
  const states = new Map(initialStates(whole, 9)).set("dropout.step", NdArray.scalar(4));
  const given = new Map<Value, NdArray>([
    ...whole.inputs.map((v) => [v, feed[v.name as "x"]] as const),
    ...whole.state.map((v) => [v, states.get(v.name) as NdArray] as const),
  ]);
  const env = evaluate(whole, given);
  for (const threads of [1, 2]) {
    const artefact = await compiled(`dropout_${threads}`, [whole], undefined, threads);
    const { state } = await runCompiled(artefact, whole, given);
    for (const [s, v] of whole.updates)
      (env.get(v) as NdArray).data.forEach((want, i) => {
        const got = state.get(s.name)?.data[i] as number;
        t.true(Math.abs(got - want) < 1e-5, `${s.name}: ${got}, not ${want}`);
      });
  }
});
