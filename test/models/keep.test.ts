// Programs that return every value: none is missing, names survive the passes, and the gradients are those that the
// optimizer gets.

import test from "ava";
import { evaluate } from "../../compiler/ir/evaluate.js";
import type { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";
import { optimize } from "../../compiler/pipeline.js";
import { relativeError } from "../support/compiled.js";
import { batch, program, programs, start } from "../support/tiny_mopro.js";

const kept = program("clean", programs({ keep_values: true }));
const plain = program("clean");
const target = { device: "cpu", arch: "x86-64-v3", ranks: [1] } as const;

function run(g: Graph): ReadonlyMap<string, NdArray> {
  const states = start(g);
  const inputs = batch();
  const feed = new Map<Value, NdArray>([
    ...g.inputs.map((v) => [v, inputs[v.name] as NdArray] as const),
    ...g.state.map((s) => [s, states.get(s.name) as NdArray] as const),
  ]);
  const env = evaluate(g, feed);
  return new Map([...g.outputs, ...g.updates.values()].map((v) => [v.name, env.get(v) as NdArray]));
}

test("all results of the plain program, every value between, a gradient for each that has one", (t) => {
  const names = new Set(kept.outputs.map((v) => v.name));
  for (const v of plain.outputs) t.true(names.has(v.name), v.name);
  for (const s of plain.state.filter((s) => s.role === "param")) t.true(names.has(`grad.${s.name}`), s.name);
  for (const name of [
    "encoder_q.conv1.conv",
    "encoder_q.layer1.0.bn1.batch_norm_y",
    "encoder_k.l2_normalize",
    "inst.div",
  ])
    t.true(names.has(name), name);
  for (const name of ["encoder_q.layer1.0.relu", "encoder_q.l2_normalize", "encoder_q.classifier.add", "loss_cls"])
    t.true(names.has(`grad.${name}`), name);
  t.false(
    [...names].some((n) => n.startsWith("grad.encoder_k.")),
    "the key encoder has no gradients",
  );
  const missing = kept.nodes
    .filter((n) => !["constant", "sgd", "ema", "running_average"].includes(n.op))
    .flatMap((n) => n.outputs)
    .filter((v) => !names.has(v.name));
  t.deepEqual(
    missing.map((v) => v.name).filter((n) => !n.startsWith("optimizer.")),
    [],
  );
});

test("values are in execution order, each gradient where it is complete", (t) => {
  const order = kept.outputs.map((v) => v.name);
  const sequence = [
    "encoder_q.conv1.conv",
    "encoder_q.bn1.relu",
    "encoder_q.l2_normalize",
    "encoder_k.conv1.conv",
    "inst.div",
    "loss",
    "grad.encoder_q.l2_normalize",
    "grad.encoder_q.bn1.relu",
    "grad.encoder_q.conv1.conv",
    "grad.encoder_q.conv1.weight",
  ];
  const places = sequence.map((name) => order.indexOf(name));
  t.false(places.includes(-1));
  t.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  );
});

test("passes keep names and values of all outputs", (t) => {
  const optimized = optimize(kept, target);
  t.deepEqual(
    optimized.outputs.map((v) => v.name),
    kept.outputs.map((v) => v.name),
  );
  const [before, after] = [run(kept), run(optimized)];
  for (const v of kept.outputs) {
    const error = relativeError(after.get(v.name) as NdArray, before.get(v.name) as NdArray);
    t.true(
      error < 1e-9 || (before.get(v.name) as NdArray).data.every((x) => Math.abs(x) < 1e-12),
      `${v.name}: ${error}`,
    );
  }
});

test("gradients are of the groups' mean loss: what the optimizer works with", (t) => {
  const values = run(kept);
  for (const n of kept.nodes.filter((n) => n.op === "sgd")) {
    const [p, , g] = n.inputs as [Value, Value, Value];
    const sum = values.get(g.name); // over two groups; a view has another name
    const mean = values.get(`grad.${p.name}`) as NdArray;
    t.truthy(sum, g.name);
    t.deepEqual(
      [...mean.data],
      [...(sum as NdArray).data].map((x) => x / 2),
      p.name,
    );
  }
  const dloss = values.get("grad.loss_cls") as NdArray;
  t.deepEqual([...dloss.data], [0.5, 0.5]);
});
