// A model that is exported and imported is the same: the graph node by node, the state bit for bit, in memory and
// through files.

import test, { type ExecutionContext } from "ava";
import { Builder } from "../../compiler/ir/builder.js";
import { print } from "../../compiler/ir/print.js";
import type { Graph } from "../../compiler/ir/types.js";
import { type Imported, importStep } from "../../compiler/onnx/import.js";
import { elementsOf } from "../../compiler/onnx/model.js";
import { decodeModel, encodeModel } from "../../compiler/onnx/proto.js";
import { exportStep } from "../../compiler/onnx/training.js";
import * as op from "../../compiler/ops/index.js";
import { classifierPrograms } from "../../models/classifier.js";
import { opCases } from "../support/cases.js";
import { stepModel, valuesOf } from "../support/ort_step.js";
import { config, programs } from "../support/tiny_mopro.js";
import { initialStates } from "../support/training.js";

const through = (g: Graph, opset?: number): Imported =>
  importStep(decodeModel(encodeModel(stepModel(g, initialStates(g, 3), opset))));

function same(t: ExecutionContext, got: Graph, want: Graph): void {
  t.is(print(got), print(want));
  t.deepEqual(
    got.nodes.map((n) => n.scope),
    want.nodes.map((n) => n.scope),
  );
  t.deepEqual(got.state, want.state);
  t.is(got.groups, want.groups);
}

for (const groups of [1, 2])
  for (const g of programs({ groups }).values())
    test(`${g.name}, groups ${groups}`, (t) => {
      const back = through(g);
      same(t, back.graph, g);
      for (const [name, x] of valuesOf(g, initialStates(g, 3)))
        t.deepEqual(elementsOf(back.values.get(name) as never), x, name);
    });

for (const g of classifierPrograms(config)) test(`the classifier's ${g.name}`, (t) => same(t, through(g, 21).graph, g));

for (const c of opCases) test(`op case ${c.name}`, (t) => same(t, through(c.graph).graph, c.graph));

test("inputs and states that are returned or stored as they are", (t) => {
  const b = Builder.create("passing", { groups: 2 });
  const x = b.input("x", { dtype: "f32", shape: [2] });
  const state = (name: string) => b.state(name, x.type, { kind: "constant", value: 0 }, "buffer");
  const [s, u, v] = [state("s"), state("u"), state("v")];
  b.update(s, x);
  b.update(u, s);
  b.update(v, op.neg(b, x));
  same(t, through(b.finish([x, s])).graph, b.finish([x, s]));
});

test("attributes come back exactly: fractions in f64, truth values, lists", (t) => {
  const b = Builder.create("attributes");
  const x = b.input("x", { dtype: "f32", shape: [2, 3] });
  const outputs = [
    op.scale(b, x, { factor: 1 / 3 }),
    op.scale(b, x, { factor: -0 }),
    op.scale(b, x, { factor: 2 ** 60 }),
    op.constant(b, { values: [0.1, 1 / 7], shape: [2] }),
    op.constant(b, { values: [1], shape: [1], dtype: "f32" }),
    op.constant(b, { values: [], shape: [0] }),
    op.sum(b, x, { axes: [], keepdims: false }),
    op.matmul(b, x, x, { ta: false, tb: true }),
    op.matmul(b, x, x, { tb: true, ta: false }),
  ];
  const g = b.finish(outputs);
  const back = through(g).graph;
  t.deepEqual(
    back.nodes.map((n) => n.attrs),
    g.nodes.map((n) => n.attrs),
  );
  same(t, back, g);
});

test("a state without a value, or with one of another type", (t) => {
  const g = programs().get("warmup") as Graph;
  const values = new Map(valuesOf(g, initialStates(g, 3)));
  const out = (v: typeof values) => () =>
    exportStep(g, { opset: 18, values: v, plan: { name: "x", meta: {} }, checkpoint: {} });
  t.throws(out(new Map([...values].filter(([k]) => k !== "queue"))), { message: /no value for %queue/ });
  t.throws(out(new Map(values).set("queue_ptr", new Float32Array(1))), {
    message: /queue_ptr: 1 elements of a Float32Array for i64\[1\]/,
  });
  t.throws(() => stepModel(g, initialStates(g, 3), 15), {
    message: /ScatterElements with reduction needs operator set 16/,
  });
});
