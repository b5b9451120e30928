// Each pass on a small graph: the resulting text, and the same values as before.

import test from "ava";
import { Builder } from "../../compiler/ir/builder.js";
import { evaluate } from "../../compiler/ir/evaluate.js";
import { print } from "../../compiler/ir/print.js";
import type { Graph, Pass, TensorType, Value } from "../../compiler/ir/types.js";
import { verify } from "../../compiler/ir/verify.js";
import * as op from "../../compiler/ops/index.js";
import { cse } from "../../compiler/passes/cse.js";
import { dce } from "../../compiler/passes/dce.js";
import { expand } from "../../compiler/passes/expand.js";
import { simplify } from "../../compiler/passes/simplify.js";
import { optimize } from "../../compiler/pipeline.js";
import { opCases } from "../support/cases.js";
import { nativeTarget } from "../support/compiled.js";
import { randomArray } from "../support/random.js";

const f32 = (...shape: number[]): TensorType => ({ dtype: "f32", shape });
const ops = (g: Graph): string[] => g.nodes.map((n) => n.op);
const target = nativeTarget;

function graph(build: (b: Builder, x: Value) => Value | readonly Value[]): Graph {
  const b = Builder.create("g");
  const out = build(b, b.input("x", f32(2, 3)));
  return b.finish(Array.isArray(out) ? out : [out as Value]);
}

function same(a: Graph, b: Graph): number {
  const feed = new Map(a.inputs.map((v, i) => [v, randomArray(v.type.shape, i + 1)] as const));
  const [x, y] = [evaluate(a, feed), evaluate(b, feed)];
  return Math.max(
    ...a.outputs.map((v, i) =>
      Math.max(
        ...(x.get(v)?.data ?? []).map((d, j) => Math.abs(d - (y.get(b.outputs[i] as Value)?.data[j] ?? Number.NaN))),
      ),
    ),
  );
}

const laws: readonly (readonly [string, (b: Builder, x: Value) => Value, string[]])[] = [
  ["stop_gradient(x) => x", (b, x) => op.exp(b, op.stop_gradient(b, x)), ["exp"]],
  ["relu(relu(x)) => relu(x)", (b, x) => op.relu(b, op.relu(b, x)), ["relu"]],
  ["neg(neg(x)) => x", (b, x) => op.exp(b, op.neg(b, op.neg(b, x))), ["exp"]],
  ["scale(x, 1) => x", (b, x) => op.exp(b, op.scale(b, x, { factor: 1 })), ["exp"]],
  ["scale(x, 2) stays", (b, x) => op.scale(b, x, { factor: 2 }), ["scale"]],
  [
    "reshape(reshape(x, s), t) => reshape(x, t)",
    (b, x) => op.reshape(b, op.reshape(b, x, { shape: [6] }), { shape: [3, 2] }),
    ["reshape"],
  ],
  ["reshape(x, its own shape) => x", (b, x) => op.exp(b, op.reshape(b, x, { shape: [-1, 3] })), ["exp"]],
];
for (const [law, build, left] of laws) {
  test(`simplify: ${law}`, (t) => {
    const g = graph(build);
    const done = dce.run(simplify.run(g, target), target);
    t.deepEqual(ops(done), left);
    t.is(same(g, done), 0);
  });
}

test("cse merges equal nodes and keeps different attributes apart", (t) => {
  const g = graph((b, x) =>
    op.add(
      b,
      op.add(b, op.exp(b, x), op.exp(b, x)),
      op.mul(b, op.scale(b, x, { factor: 2 }), op.scale(b, x, { factor: 3 })),
    ),
  );
  const done = cse.run(g, target);
  t.deepEqual(ops(done), ["exp", "add", "scale", "scale", "mul", "add"]);
  t.is(same(g, done), 0);
  t.is(cse.run(done, target), done, "nothing left to do: the same object");
});

test("dce drops what nothing reads, and keeps updates", (t) => {
  const b = Builder.create("g");
  const x = b.input("x", f32(4));
  const s = b.state("s", f32(4), { kind: "constant", value: 0 }, "buffer");
  op.exp(b, x);
  b.update(s, op.add(b, s, x));
  const done = dce.run(b.finish([op.neg(b, x)]), target);
  t.deepEqual(ops(done), ["add", "neg"]);
});

test("expand leaves no composite; print shows the result", (t) => {
  const g = graph((b, x) => {
    const c = b.state("gamma", f32(3), { kind: "constant", value: 1 });
    const { y } = op.batch_norm(b.in("bn"), x, c, c, { eps: 1e-5, groups: 1 });
    return y;
  });
  const done = expand.run(g, target);
  verify(done);
  t.false(ops(done).includes("batch_norm"));
  t.regex(print(done), /%bn\.affine: f32\[2,3\] = affine\(%x, %bn\.\w+, %bn\.\w+\)/);
});

test("every op case keeps its values through all passes, and a second run changes nothing", (t) => {
  for (const c of opCases) {
    const done = optimize(c.graph, target);
    const [before, after] = [evaluate(c.graph, c.feed), evaluate(done, c.feed)];
    c.graph.outputs.forEach((v, i) => {
      const x = before.get(v)?.data as Float64Array;
      const y = after.get(done.outputs[i] as Value)?.data as Float64Array;
      const size = Math.max(1e-3, ...x.map(Math.abs));
      t.true(
        x.every((d, j) => Math.abs(d - (y[j] as number)) <= 1e-9 * size),
        c.name,
      );
    });
    for (const p of [cse, dce, expand, simplify] satisfies Pass[])
      t.is(p.run(done, target), done, `${p.name} ${c.name}`);
  }
});
