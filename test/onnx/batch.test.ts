// Models for any number of rows: every op case is exported with a free first axis and run by ONNX Runtime on twice as
// many rows as it was written for, or it is refused with the reason.

import test from "ava";
import { Builder } from "../../compiler/ir/builder.js";
import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Node, State, Value } from "../../compiler/ir/types.js";
import { exportGraph } from "../../compiler/onnx/export.js";
import type { Model } from "../../compiler/onnx/proto.js";
import * as op from "../../compiler/ops/index.js";
import { opOf } from "../../compiler/ops/op.js";
import { attrsForRows, rowsOf } from "../../compiler/ops/rows.js";
import { opCases } from "../support/cases.js";
import { relativeError } from "../support/compiled.js";
import { fixed, type OpCase, opCase } from "../support/op_cases.js";
import { OrtModel } from "../support/ort.js";

/** The case's only node with the operands that have rows as inputs, all other operands as weights. */
function withBatch(c: OpCase): { readonly g: Graph; readonly n: Node; readonly rows: readonly Value[] } | undefined {
  const n = c.graph.nodes[0] as Node;
  const all = n.inputs.filter((v, i) => rowsOf(n)?.operands[i] && c.feed.has(v));
  const most = Math.max(...all.map((v) => v.type.shape[0] as number)); // fewer are a table with a row per group
  const rows = all.filter((v) => v.type.shape[0] === most);
  if (c.graph.nodes.length > 1 || rows.length === 0) return undefined;
  const weight = (v: Value): State => ({ ...v, init: { kind: "constant", value: 0 }, role: "param" });
  const states = new Map(c.graph.inputs.filter((v) => !rows.includes(v)).map((v) => [v, weight(v)]));
  const inputs = n.inputs.map((v) => states.get(v) ?? v);
  const g = { ...c.graph, inputs: [...new Set(rows)], state: [...states.values()], nodes: [{ ...n, inputs }] };
  return { g, n, rows };
}

function anyBatch(g: Graph, feed: ReadonlyMap<Value, NdArray>): Model | string {
  const values = [...feed].map(([v, x]) => {
    const elements = v.type.dtype === "i64" ? BigInt64Array.from(x.data, BigInt) : Float32Array.from(x.data);
    return [v.name, elements] as const;
  });
  try {
    return exportGraph(g, { opset: 18, initializers: new Map(values), dynamicBatch: "N" });
  } catch (e) {
    return (e as Error).message;
  }
}

/** The rows of x, then the same from the last to the first. */
function twice(x: NdArray): NdArray {
  const width = x.data.length / (x.shape[0] as number);
  const rows = Array.from({ length: x.shape[0] as number }, (_, i) => [...x.data.subarray(i * width, (i + 1) * width)]);
  return new NdArray(x.shape.with(0, 2 * rows.length), Float64Array.from([...rows, ...rows.toReversed()].flat()));
}

const more = opCase("broadcast_rows", { x: [2, 3, 1, 1] }, (b, v) => op.broadcast_to(b, v.x, { shape: [2, 3, 4, 5] }));

// ONNX forbids positions outside of a tensor
const inside = opCases.filter((c) => !c.name.endsWith("_outside"));

const cases = [...inside, more].flatMap((c) => {
  const made = withBatch(c);
  return made ? [{ c, ...made, model: anyBatch(made.g, c.feed) }] : [];
});

for (const { c, g, n, rows, model } of cases)
  if (typeof model !== "string")
    test(`${c.name} on twice as many rows`, async (t) => {
      const feed = new Map([...c.feed].map(([v, x]) => [v, rows.includes(v) ? twice(x) : x] as const));
      const b = Builder.create("twice");
      const inputs = new Map([...feed].map(([v, x]) => [v, b.input(v.name, { ...v.type, shape: x.shape })] as const));
      const attrs = attrsForRows(
        n.attrs,
        (count) => 2 * count,
        (count) => count,
      );
      const outputs = b.emit(
        n.op,
        n.inputs.map((v) => inputs.get(v) as Value),
        attrs,
      );
      const want = evaluate(
        b.finish(outputs),
        new Map([...feed].map(([v, x]) => [inputs.get(v) as Value, x] as const)),
      );
      const session = await OrtModel.load(model);
      const got = await session.run(new Map(rows.map((v) => [v.name, feed.get(v) as NdArray])));
      for (const [i, v] of n.outputs.entries()) {
        if (!g.outputs.includes(v)) continue;
        const [x, y] = [got.get(v.name) as NdArray, want.get(outputs[i] as Value) as NdArray];
        t.deepEqual(x.shape, y.shape);
        t.true(relativeError(x, y) < 1e-5, `%${v.name} is off by ${relativeError(x, y)}`);
      }
    });

test("every elementwise op without tables per group takes any number of rows", (t) => {
  const refused = cases.filter(({ n, model }) => opOf(n.op).kind === "elementwise" && typeof model === "string");
  t.deepEqual([...new Set(refused.map(({ n }) => n.op))].toSorted(), ["affine", "affine2", "normalize"]);
  for (const { n, model } of refused) t.regex(model as string, /takes the rows in groups|extent along/, n.op);
  const taken = new Set(cases.filter(({ model }) => typeof model !== "string").map(({ n }) => n.op));
  for (const name of ["conv", "matmul", "softmax", "max_pool", "global_avg_pool", "batch_norm_inference", "reshape"])
    t.true(taken.has(name), name);
});

const f32 = (...shape: readonly number[]) => ({ dtype: "f32", shape }) as const;
const zero = { kind: "constant", value: 0 } as const;
const refusals: readonly (readonly [string, RegExp, (b: Builder, x: Value) => Value])[] = [
  ["a permutation of the rows", /take_rows.*all rows at once/, (b, x) => op.take_rows(b, x, b.input("i", i64(4)))],
  ["a slice of the rows", /slice.*all rows at once/, (b, x) => op.slice(b, x, { axis: -2, start: 0, end: 2 })],
  ["rows below rows", /concat.*all rows at once/, (b, x) => op.concat(b, [x, x], { axis: -2 })],
  ["a sum over the rows", /sum.*all rows at once/, (b, x) => op.sum(b, x, { axes: [-2] })],
  ["a weight gradient", /matmul.*sums over the rows/, (b, x) => op.matmul(b, x, x, { ta: true })],
  ["rows on the right", /matmul.*%x has the batch/, (b, x) => op.matmul(b, x, x, { tb: true })],
  ["statistics of a group", /channel_sum.*in groups/, (b, x) => op.channel_sum(b, x, { groups: 1 })],
  ["all rows as one", /reshape.*has another number of rows/, (b, x) => op.reshape(b, x, { shape: [1, 12] })],
  ["other rows", /reshape.*depend on the number of rows/, (b, x) => op.reshape(b, x, { shape: [12] })],
  ["a row's number", /map.*all rows at once/, (b, x) => op.map(b, [x], { expr: "mul(x0,to_f32(i0))" })],
  [
    "rows as terms",
    /batch_matmul.*%w has a fixed extent/,
    (b, x) => op.batch_matmul(b, b.state("w", f32(2, 4), zero), x),
  ],
  [
    "a table per row",
    /add.*%constant has a fixed extent/,
    (b, x) => op.add(b, x, op.constant(b, { values: [1], shape: [4, 3] })),
  ],
];
const i64 = (...shape: readonly number[]) => ({ dtype: "i64", shape }) as const;
for (const [what, message, build] of refusals)
  test(`refused: ${what}`, (t) => {
    const b = Builder.create("g");
    const y = build(b, b.input("x", f32(4, 3)));
    t.regex(String(anyBatch(b.finish([y]), new Map())), message);
  });

test("refused: nodes that have the number of rows in them", (t) => {
  const pool = opCase("pool", { x: fixed([2, 1, 4, 4]), dy: fixed([2, 1, 2, 2]) }, (b, v) =>
    op.max_pool_grad(b, v.x, v.dy, { kernel: 2, stride: 2, pad: 0 }),
  );
  t.regex(String(anyBatch(pool.graph, pool.feed)), /max_pool_grad.*depend on the number of rows/);
});
