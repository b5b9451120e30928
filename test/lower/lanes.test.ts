// Expressions of `map` that kernels compute in SIMD lanes where they load or store: which ones, into which kernels they
// go, and their values for special numbers beside the reference.

import test from "ava";
import type { Artefact } from "node-cuda-rt";
import { Builder } from "../../compiler/ir/builder.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";
import { functions } from "../../compiler/ops/general/functions.js";
import * as op from "../../compiler/ops/index.js";
import { lower } from "../../compiler/pipeline.js";
import { cpuArch } from "../../tools/cli/cpu.js";
import { opCases } from "../support/cases.js";
import { compiled, nativeTarget, runCompiled, runReference } from "../support/compiled.js";

const special = [NaN, -Infinity, -1e30, -3.5, -1, -0.5, -1e-40, -0, 0, 1e-40, 0.25, 0.5, 1, 2.5, 90, 1e30, Infinity];
const f32 = special.map(Math.fround);

/** The expression of a function of f32 with an f32 result; undefined if it takes no floating point. */
function expressionOf(name: string): string | undefined {
  const f = functions[name];
  if (!f) return undefined;
  const logic = f.of?.join() === "bool";
  if (f.of && !f.of.includes("float") && !logic) return undefined;
  if (name === "where") return "where(less(x0,x1),x0,x1)";
  const operands = logic ? ["less(x0,x1)", "greater(x0,0)"] : ["x0", "x1"];
  const call = `${name}(${operands.slice(0, f.operands).join(",")})`;
  return f.result === "bool" || logic ? `where(${call},2,x1)` : call;
}

const wanted = new Map(Object.keys(functions).flatMap((name) => [[name, expressionOf(name)] as const]));
const graphOf = (name: string, expr: string): Graph => {
  const b = Builder.create(`lanes_${name}`);
  const shape = [f32.length, f32.length];
  const [p, q] = ["p", "q"].map((n) => b.input(n, { dtype: "f32", shape })) as [Value, Value];
  const y = op.map(b, expr.includes("x1") ? [p, q] : [p], { expr });
  return b.finish([y]);
};
const templates = (g: Graph): string[] =>
  lower([g], { name: "lanes", target: nativeTarget }).plan.kernels.map((k) => k.template);

const inLoops = "acos acosh asin asinh atan atanh cos cosh fmod log1p mod pow sin sinh tan xor".split(" ");

test("all functions of f32 but those of libm are computed in lanes", (t) => {
  const loops = [...wanted].filter(([name, e]) => e && templates(graphOf(name, e)).includes("loops"));
  t.deepEqual(loops.map(([name]) => name).sort(), inLoops);
});

test("other element types, positions and broadcasts that no body can express take the general template", (t) => {
  const one = (dtype: "f64" | "f32", shapes: readonly (readonly number[])[], expr: string): Graph => {
    const b = Builder.create("one");
    const xs = shapes.map((shape, i) => b.input(`x${i}`, { dtype, shape }));
    return b.finish([op.map(b, xs, { expr })]);
  };
  t.deepEqual(templates(one("f64", [[3, 4]], "neg(x0)")), ["loops"]);
  t.deepEqual(templates(one("f32", [[3, 4]], "add(x0,to_f32(i1))")), ["loops"]);
  t.deepEqual(templates(one("f32", [[3, 4]], "to_f32(to_f16(x0))")), ["loops"]);
  t.deepEqual(
    templates(
      one(
        "f32",
        [
          [2, 3, 4],
          [3, 1],
        ],
        "add(x0,x1)",
      ),
    ),
    ["loops"],
  );
  t.deepEqual(templates(one("f32", [[2, 3, 4], [4]], "add(x0,x1)")), ["pointwise"]);
  t.deepEqual(templates(one("f32", [[2, 3, 4, 5], [3, 1, 1], []], "where(less(x0,x1),x2,NaN)")), ["pointwise"]);
});

test("expressions join the kernel that makes their operand, and each other", (t) => {
  const b = Builder.create("mlp");
  const x = b.input("x", { dtype: "f32", shape: [5, 8] });
  const w = b.input("w", { dtype: "f32", shape: [8, 6] });
  const y = op.map(b, [op.matmul(b, x, w)], { expr: "mul(x0,add(erf(x0),1))" });
  t.deepEqual(templates(b.finish([op.map(b, [y], { expr: "max(x0,-2)" })])), ["matmul"]);
});

test("functions that a product would compute once for each of its blocks are computed before it", (t) => {
  const product = (expr: string, columns: number): string[] => {
    const b = Builder.create("product");
    const [x, w] = [b.input("x", { dtype: "f32", shape: [9, 8] }), b.input("w", { dtype: "f32", shape: [8, columns] })];
    return templates(b.finish([op.matmul(b, op.map(b, [x], { expr }), w)])).toSorted();
  };
  t.deepEqual(product("erf(x0)", 64), ["matmul"]);
  t.deepEqual(product("erf(x0)", 300), ["matmul", "pointwise"]);
  t.deepEqual(product("max(x0,0)", 300), ["matmul"]);
});

test("values in lanes are those of the reference for special numbers", async (t) => {
  const graphs = [...wanted].flatMap(([name, e]) => (e && !inLoops.includes(name) ? [graphOf(name, e)] : []));
  t.true(graphs.length >= 25, String(graphs.length));
  const a = await compiled("lanes", graphs);
  const n = f32.length;
  const at = (pick: (i: number) => number): NdArray => NdArray.fill([n, n], pick);
  for (const g of graphs) {
    const values = [at((i) => f32[Math.floor(i / n)] as number), at((i) => f32[i % n] as number)];
    const feed = new Map(g.inputs.map((v, i) => [v, values[i] as NdArray]));
    const [got, want] = [(await runCompiled(a, g, feed)).outputs[0], runReference(g, feed).outputs[0]];
    want?.data.forEach((exact, i) => {
      const [y, w] = [got?.data[i] as number, Math.fround(exact)];
      const close = Object.is(y, w) || y === w || Math.abs(y - w) <= 2.5e-7 * Math.abs(w) + 2e-45;
      if (!close) t.fail(`${g.name} of ${values.map((v) => v.data[i])}: ${y} instead of ${w}`);
    });
  }
});

test("maps, stacks of matrices and convolutions by channel have the same bits in both widths", async (t) => {
  const cases = opCases.filter((c) => /^(batch_matmul|nd_conv_depthwise|map_)/.test(c.name));
  t.true(cases.length > 40);
  const graphs = cases.map((c) => c.graph);
  const [narrow, wide] = await Promise.all(
    ["x86-64-v3", cpuArch("native")].map((arch) => compiled(`lanes_${arch}`, graphs, { ...nativeTarget, arch })),
  );
  for (const c of cases) {
    const a = await runCompiled(narrow as Artefact, c.graph, c.feed);
    const b = await runCompiled(wide as Artefact, c.graph, c.feed);
    t.deepEqual(
      a.outputs.map((o) => o.data),
      b.outputs.map((o) => o.data),
      c.name,
    );
  }
});
