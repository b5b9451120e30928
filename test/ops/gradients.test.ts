// Every differentiable op against finite differences, every composite against its expansion, and every scalar
// expression against the reference. The tables of ops and cases are compared, so a new op without a case fails here.

import test from "ava";
import { grad } from "../../compiler/autodiff/grad.js";
import { Builder } from "../../compiler/ir/builder.js";
import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Attrs, Graph, Value } from "../../compiler/ir/types.js";
import { verify } from "../../compiler/ir/verify.js";
import * as op from "../../compiler/ops/index.js";
import { type AnyOp, allOps, defineOp, named, opOf } from "../../compiler/ops/op.js";
import { opCases } from "../support/cases.js";
import { gradientError, withGradients } from "../support/gradcheck.js";
import { opCase } from "../support/op_cases.js";

// those are tested as a graph of all ranks; before tests define ops of their own
const ours = allOps().filter((o) => o.kind !== "collective");
const opsOf = (g: Graph): string[] => g.nodes.map((n) => n.op);

test("every op has a case, and its case is valid", (t) => {
  const used = new Set(opCases.flatMap((c) => opsOf(c.graph)));
  t.deepEqual(
    ours.map((o) => o.name).filter((name) => !used.has(name)),
    [],
  );
  for (const c of opCases) t.notThrows(() => verify(c.graph), c.name);
});

test("every op with a gradient rule is differentiated in some case", (t) => {
  const used = new Set(opCases.filter((c) => c.wrt.length > 0).flatMap((c) => opsOf(c.graph)));
  t.deepEqual(
    ours.filter((o) => o.grad && !used.has(o.name)).map((o) => o.name),
    [],
  );
});

for (const c of opCases.filter((c) => c.wrt.length > 0)) {
  test(`gradient of ${c.name}`, (t) => {
    const error = gradientError(c.graph, c.feed, c.wrt);
    t.true(error < 1e-7, `relative error ${error}`);
  });
}

/** The message of grad() for the parameters p and q [2, 3] of the loss that `build` makes. */
function refusal(build: (b: Builder, p: Value, q: Value) => Value): string {
  const b = Builder.create("refused");
  const [p, q] = ["p", "q"].map((name) =>
    b.state(name, { dtype: "f32", shape: [2, 3] }, { kind: "constant", value: 0 }),
  );
  const loss = build(b.in("net"), p as Value, q as Value);
  try {
    grad(b, loss, op.constant(b, { values: [1], shape: [] }), [p as Value, q as Value]);
  } catch (e) {
    return (e as Error).message;
  }
  return "";
}
const total = (b: Builder, x: Value): Value => op.sum(b, x, { axes: [0, 1] });

test("an op without a gradient before a parameter is an error that names it, unless gradients stop there", (t) => {
  const through = (stop: boolean) =>
    refusal((b, p, q) => {
      const { mean } = op.channel_moments(b, p, { groups: 1 });
      return total(b, op.mul(b, op.sub(b, p, stop ? op.stop_gradient(b, mean) : mean), q));
    });
  t.regex(
    through(false),
    /^the loss %net\.sum depends on the parameters through channel_moments in net, and channel_moments has no/,
  );
  t.regex(through(false), /stop_gradient/);
  t.is(through(true), "");
});

test("a parameter on which the loss does not depend: what stops its gradient is named", (t) => {
  t.is(
    refusal((b, p) => total(b, p)),
    "the loss %net.sum does not depend on %q",
  );
  const stopped = (of: (b: Builder, q: Value) => Value) =>
    refusal((b, p, q) => total(b, op.mul(b, p, of(b.in("k"), q))));
  t.is(
    stopped((b, q) => op.relu(b, op.stop_gradient(b, op.exp(b, q)))),
    "the loss %net.sum has no gradient for %q, because it is stopped by stop_gradient in net.k",
  );
  t.regex(
    stopped((b, q) => op.ema(b, q, q, op.constant(b, { values: [0.9], shape: [] }))),
    /because it is stopped by ema in net\.k$/,
  );
});

test("the check notices a wrong gradient", (t) => {
  const wrong = defineOp({
    name: "test_wrong_square",
    inputs: ["x"],
    outputs: ["y"],
    types: { x: ["f32"] },
    kind: "kernel",
    onnx: "test::WrongSquare",
    infer: ({ x }) => ({ y: x }),
    reference: ({ x }) => ({
      y: new NdArray(
        x.shape,
        x.data.map((v) => v * v),
      ),
    }),
    grad: (_, p) => ({ x: p.d.y as Value }),
  });
  const c = opCase("wrong", { x: [2, 3] }, (b, v) => wrong(b, v.x));
  t.true(gradientError(c.graph, c.feed, c.wrt) > 1e-2);
});

/** The graph with each composite replaced by its expansion. */
function expanded(g: Graph): { graph: Graph; outputs: readonly Value[] } {
  const b = Builder.resume(g);
  const now = new Map<Value, Value>();
  for (const n of g.nodes) {
    const inputs = n.inputs.map((v) => now.get(v) ?? v);
    const op = opOf(n.op);
    if (!op.expand) {
      b.keep({ ...n, inputs });
      continue;
    }
    const outs = op.expand(b.at(n.scope), named(op.inputs, inputs) as never, n.attrs) as Record<string, Value>;
    for (const [i, v] of n.outputs.entries()) now.set(v, outs[op.outputs[i]] as Value);
  }
  const outputs = g.outputs.map((v) => now.get(v) ?? v);
  return { graph: b.finish(outputs), outputs };
}

const composites = ours.filter((o) => o.expand).map((o) => o.name);
for (const c of opCases) {
  // Gradients too: batch_norm's own contains a composite.
  const g = c.wrt.length > 0 ? withGradients(c.graph, c.wrt) : { graph: c.graph, seed: undefined };
  if (!opsOf(g.graph).some((o) => composites.includes(o))) continue;
  test(`expansion in ${c.name}`, (t) => {
    const seed = g.seed ? [[g.seed, NdArray.fill(g.seed.type.shape, (i) => Math.sin(i + 1))] as const] : [];
    const feed = new Map([...c.feed, ...seed]);
    const { graph, outputs } = expanded(g.graph);
    verify(graph);
    t.false(
      opsOf(graph).some((o) => composites.includes(o)),
      "composites expand to simpler ops",
    );
    const want = evaluate(g.graph, feed);
    const got = evaluate(graph, feed);
    for (const [i, v] of g.graph.outputs.entries()) {
      close(t, got.get(outputs[i] as Value) as NdArray, want.get(v) as NdArray, 1e-10);
    }
  });
}

function close(
  t: { true(x: boolean, message?: string): unknown },
  got: NdArray,
  want: NdArray,
  tolerance: number,
): void {
  want.data.forEach((w, i) => {
    const g = got.data[i] as number;
    t.true(Math.abs(g - w) <= tolerance * Math.max(1, Math.abs(w)), `element ${i}: ${g} instead of ${w}`);
  });
}

/**
 * Evaluates a C++ expression over Vec as JavaScript, which differs only in the suffix of float literals. `literal`
 * replaces a literal by another one.
 */
function runCode(
  expression: string,
  names: readonly string[],
  values: readonly number[],
  literal: (digits: string, i: number) => string = (digits) => digits,
): number {
  const builtins = {
    Vec: (x: number) => x,
    fma: (a: number, b: number, c: number) => a * b + c,
    max: (a: number, b: number) => builtins.select(a > b, a, b), // as maxps: the second if either is NaN
    min: (a: number, b: number) => builtins.select(a < b, a, b),
    select: (m: boolean, yes: number, no: number): number => (m ? yes : no),
    sqrt: Math.sqrt,
    abs: Math.abs,
    exp: Math.exp,
    log: Math.log,
    tanh: Math.tanh,
    sigmoid: (x: number) => 1 / (1 + Math.exp(-x)),
  };
  let i = 0;
  const js = expression.replace(literals, (_, digits: string) => `(${literal(digits, i++)})`);
  const f = new Function(...Object.keys(builtins), ...names, `return ${js};`);
  return f(...Object.values(builtins), ...values) as number;
}

const literals = /([\d.]+(?:e[+-]?\d+)?)f\b/g;

/**
 * How far the expression may be from the reference because its literals are f32: the sum over literals of what half a
 * unit in the last place of that literal changes. Short fractions, 0.5 or 2, are exact.
 */
function roundingOfLiterals(expression: string, names: readonly string[], values: readonly number[]): number {
  const exact = runCode(expression, names, values);
  const changes = [...expression.matchAll(literals)].map((m, at) => {
    const value = Number(m[1]);
    if (Number.isInteger(value * 1024)) return 0;
    const moved = runCode(expression, names, values, (digits, i) =>
      i === at ? String(value * (1 + 2 ** -24)) : digits,
    );
    return Math.abs(moved - exact);
  });
  return changes.reduce((sum, change) => sum + change, 0);
}

const attrsOf: Readonly<Record<string, Attrs>> = {
  scale: { factor: -0.375 },
  constant: { values: [0.25], shape: [1, 1] },
  cast: { to: "f32" },
  broadcast_to: { shape: [1, 1] },
  spread_pixels: { h: 1, w: 1 },
  sgd: { grad_scale: 0.25 },
  adamw: { grad_scale: 0.25 },
  running_average: { momentum: 0.25 },
};

function compareCode(t: { true(x: boolean, message?: string): unknown }, o: AnyOp, operands: readonly number[]): void {
  const attrs = attrsOf[o.name] ?? {};
  const names = operands.map((_, i) => `x${i}`);
  const outs = (o.outputs as readonly string[]).map((_, i) => `y${i}`);
  const shapeOf = (i: number): number[] =>
    o.access?.[(o.inputs as readonly string[])[i] as string] === "scalar" ? [] : [1, 1];
  const arrays = operands.map((v, i) => new NdArray(shapeOf(i), Float64Array.of(v)));
  const types = arrays.map(({ shape }) => ({ dtype: "f32" as const, shape }));
  const want = o.reference(named(o.inputs, arrays), attrs, named(o.inputs, types)) as Record<string, NdArray>;
  const known: number[] = [];
  o.code?.(names, attrs, outs).forEach((expression, i) => {
    const [all, values] = [
      [...names, ...outs.slice(0, i)],
      [...operands, ...known],
    ];
    const got = runCode(expression, all, values);
    known.push(got);
    const w = want[(o.outputs as readonly string[])[i] as string]?.data[0] as number;
    const allowed = 1e-9 * Math.max(1, Math.abs(w)) + roundingOfLiterals(expression, all, values);
    const near = Object.is(got, w) || Math.abs(got - w) <= allowed;
    t.true(near || (Number.isNaN(got) && Number.isNaN(w)), `${expression} at [${operands}]: ${got} instead of ${w}`);
  });
}

for (const o of ours.filter((o) => o.kind === "elementwise")) {
  test(`scalar expression of ${o.name}`, (t) => {
    const n = (o.inputs as readonly string[]).length;
    t.truthy(o.code);
    const rows = [
      [0.5, 1.25, 0.75, 0.3, 0.9, 0.125, 1, 0.01, 0.1, 0.2, 0.3, 0.7, 1],
      [-0.5, 0.25, 1.75, 2, 0.1, 0.5, 1, 0.25, 0.5, 0.5, 0.6, 1, 1],
      [-0.5, 0.25, -1.75, 2, 0.1, 0.5, 1, 0.25, 0.5, 0.5, 0.6, 1, 1],
      [0.5, -1.25, 0, 0.3, 0.9, 0.125, 0, 0.5, 0.5, 0.5, 0.6, 1, 0], // sgd and adamw: not finite
      [3, 2, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], // where_finite: not finite
    ];
    for (const row of rows) compareCode(t, o, row.slice(0, n));
  });
}

test("a NaN passes relu, and does not pass where_finite", (t) => {
  compareCode(t, opOf("relu"), [Number.NaN]);
  compareCode(t, opOf("where_finite"), [Number.NaN, 2, 0]);
  t.is(
    runCode(opOf("where_finite").code?.(["a", "b", "c"], {}, [])[0] as string, ["a", "b", "c"], [Number.NaN, 2, 0]),
    2,
  );
});
