// Scan of version 8, whose states and inputs are batches of sequences.

import test from "ava";
import type { NdArray } from "../../compiler/ir/nd.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import { elementsOf, type OnnxNode, type Tensor } from "../../compiler/onnx/model.js";
import type { Model, OnnxGraph } from "../../compiler/onnx/proto.js";
import { f32, i64, node, results, some } from "../support/foreign.js";
import { graph, model, values, withGraphs, x } from "../support/foreign_graphs.js";
import { OrtModel } from "../support/ort.js";
import { close } from "../support/rule_tests.js";

/** Two states, [batch, ...], of which one is a count, and two scanned inputs, of which one is read backwards. */
const batches = (lengths: Tensor | undefined): OnnxGraph =>
  graph(
    [
      node("Concat", ["x", "k"], ["both"], { axis: 0 }), // [3, 3]
      node("Unsqueeze", ["both", "last"], ["column"]), // [3, 3, 1]
      node("Concat", ["column", "column"], ["xs"], { axis: 2 }), // [3, 3, 2]
      withGraphs(
        node("Scan8", [lengths ? "lengths" : "", "sums", "counts", "xs", "column"], ["y", "n", "all", "backwards"], {
          num_scan_inputs: 2,
          directions: [0, 1],
        }),
        {
          body: graph(
            [
              node("Add", ["s", "e"], ["next"]),
              node("Add", ["c", "one"], ["more"]),
              node("Mul", ["next", "more"], ["each"]),
              node("Add", ["f", "more"], ["other"]),
            ],
            { s: ["f32", [2]], c: ["f32", [1]], e: ["f32", [2]], f: ["f32", [1]] },
            { next: ["f32", [2]], more: ["f32", [1]], each: ["f32", [2]], other: ["f32", [1]] },
            { one: f32([1], [1]) },
          ),
        },
      ),
    ],
    x,
    { y: ["f32", [3, 2]], n: ["f32", [3, 1]], all: ["f32", [3, 3, 2]], backwards: ["f32", [3, 3, 1]] },
    {
      k: f32([1, 3], [7, -2, 0.5]),
      last: i64([2]),
      sums: f32([3, 2], [0, 0.5, 1, -1, 2, 4]),
      counts: f32([3, 1], [0, 10, 100]),
      ...(lengths && { lengths }),
    },
  );
/** The same, but the body of Scan does not say which shapes its results have. */
const undeclared = (g: OnnxGraph): OnnxGraph => ({
  ...g,
  nodes: g.nodes.map((n) => {
    const { body } = n.attributes;
    if (body?.kind !== "graph") return n;
    const outputs = body.value.outputs.map((v) => ({ ...v, shape: undefined }));
    return { ...n, attributes: { ...n.attributes, body: { ...body, value: { ...body.value, outputs } } } };
  }),
});
/** Operator set 8 has Unsqueeze with an attribute. */
const ofVersion8 = (g: OnnxGraph): Model => {
  const nodes = g.nodes.map((n) => {
    if (n.op === "Scan8") return { ...n, op: "Scan" };
    if (n.op !== "Unsqueeze") return n;
    return { ...n, inputs: ["both"], attributes: { axes: { kind: "ints" as const, value: [2] } } };
  });
  return model({ ...g, nodes, initializers: g.initializers.filter((t) => t.name !== "last") }, [], 8);
};

const models: Readonly<Record<string, Model>> = {
  "Scan of version 8": ofVersion8(batches(undefined)),
  "Scan of version 8 with lengths": ofVersion8(batches(i64([1, 3, 2]))),
};
for (const [name, m] of Object.entries(models))
  test(name, async (t) => {
    const input = some([2, 3]);
    const got = results(importForeign(m), [input]);
    const want = await (await OrtModel.load(m)).run(new Map([["x", input]]));
    for (const [i, v] of m.graph.outputs.entries()) close(t, got[i] as NdArray, want.get(v.name) as NdArray);
  });

// ONNX Runtime refuses empty sequences: their states stay as they begin, and their results are 0
const emptied: Readonly<Record<string, readonly [OnnxGraph, readonly number[]]>> = {
  "one sequence of Scan is empty": [batches(i64([1, 0, 2])), [1]],
  "all sequences of Scan are empty": [batches(i64([0, 0, 0])), [0, 1, 2]],
  "all sequences of Scan are empty, and its body declares no shapes": [undeclared(batches(i64([0, 0, 0]))), [0, 1, 2]],
};
for (const [name, [g, rows]] of Object.entries(emptied))
  test(name, async (t) => {
    const input = some([2, 3]);
    const got = results(importForeign(ofVersion8(g)), [input]);
    const full = ofVersion8(batches(i64([1, 3, 2])));
    const want = await (await OrtModel.load(full)).run(new Map([["x", input]]));
    for (const [i, v] of g.outputs.entries()) {
      const y = want.get(v.name) as NdArray;
      const size = y.data.length / 3;
      const start = g.initializers.find((s) => s.name === ["sums", "counts"][i]);
      for (const row of rows)
        for (let e = row * size; e < (row + 1) * size; e++) y.data[e] = start ? Number(elementsOf(start)[e]) : 0;
      close(t, got[i] as NdArray, y);
    }
  });

/** A Scan over sequences without elements: its state passes, and what it would collect has no elements. */
test("sequences of Scan have no elements", (t) => {
  const g = batches(undefined);
  const none = { ...f32([3, 0, 2], []), name: "nothing" };
  const column = { ...f32([3, 0, 1], []), name: "column" };
  const scan = g.nodes.find((n) => n.op === "Scan8") as OnnxNode;
  const nodes = [{ ...scan, inputs: scan.inputs.map((name) => (name === "xs" ? "nothing" : name)) }];
  const outputs = values({
    y: ["f32", [3, 2]],
    n: ["f32", [3, 1]],
    all: ["f32", [3, 0, 2]],
    backwards: ["f32", [3, 0, 1]],
  });
  const f = importForeign(ofVersion8({ ...g, nodes, outputs, initializers: [...g.initializers, none, column] }));
  t.deepEqual(
    f.graph.outputs.map((v) => v.type.shape),
    [
      [3, 2],
      [3, 1],
      [3, 0, 2],
      [3, 0, 1],
    ],
  );
  const [y, n] = results(f, [some([2, 3])]) as [NdArray, NdArray];
  t.deepEqual([...y.data, ...n.data], [0, 0.5, 1, -1, 2, 4, 0, 10, 100]);
});

const refused: Readonly<Record<string, readonly [() => Model, RegExp]>> = {
  "a length beyond the longest sequence": [
    () => ofVersion8(batches(i64([1, 4, 2]))),
    /operator Scan .*the lengths \[1,4,2\] are not 3 numbers from 0 to 3/,
  ],
  "a negative length": [() => ofVersion8(batches(i64([1, -1, 2]))), /the lengths \[1,-1,2\] are not 3 numbers/],
  "lengths of two of three sequences": [() => ofVersion8(batches(i64([1, 2]))), /the lengths \[1,2\] are not 3/],
};
for (const [what, [m, message]] of Object.entries(refused))
  test(`refused: ${what}`, (t) => {
    t.throws(() => importForeign(m()), { message });
  });
