// Values and gradients of ONNX operators beside PyTorch's, in f64: the cases of tools/conformance/peer_cases.ts, each
// as a model of f32 and as one of f64, because the rules of operators choose other ops for f32. The loss is the sum of
// the outputs with random weights.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { evaluate } from "../../compiler/ir/evaluate.js";
import type { NdArray } from "../../compiler/ir/nd.js";
import type { Value } from "../../compiler/ir/types.js";
import { root } from "../../compiler/util/root.js";
import { gradientsOfLoss, lossOfModel } from "../../tools/conformance/derivatives.js";
import { differentiable } from "../../tools/conformance/gradients.js";
import {
  modelOf,
  outputOf,
  type PeerAttribute,
  valuesOf,
  weightsOf,
  wrtOf,
} from "../../tools/conformance/peer_case.js";
import { peerCases, peerCounts } from "../../tools/conformance/peer_cases.js";
import { noPythonWith, pythonWith } from "../support/python.js";

const TOLERANCE = 1e-12; // both compute in f64 and differ by 3e-15; relative to the larger of 1 and the value

interface Array {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}
type Answer = { readonly error: string } | { readonly outputs: readonly Array[]; readonly gradients: readonly Array[] };

const WEIGHTS = 4096; // of an output, at least as many as it has elements
const weights = Array.from({ length: 4 }, (_, i) => weightsOf(WEIGHTS, i));

const plain = (a: PeerAttribute): unknown =>
  typeof a === "object" && "float" in a ? a.float : typeof a === "object" && "texts" in a ? a.texts : a;
const asked = peerCases.map((c) => ({
  operator: c.operator,
  attributes: Object.fromEntries(Object.entries(c.attributes).map(([name, a]) => [name, plain(a)])),
  inputs: c.inputs.map((x, i) => (x ? { kind: x.kind, shape: x.shape, data: valuesOf(x, i) } : null)),
  by: wrtOf(c).map((name) => Number(name.slice(1))),
  outputs: c.outputs,
  weights: weights.slice(0, c.outputs),
}));

function answers(python: string): Answer[] {
  const dir = join(root, "build", "test");
  mkdirSync(dir, { recursive: true });
  const scratch = mkdtempSync(join(dir, "gradients-"));
  const [questions, results] = [join(scratch, "cases.json"), join(scratch, "results.json")];
  writeFileSync(questions, JSON.stringify(asked));
  const script = join(root, "test", "onnx", "gradients_check.py");
  const r = spawnSync(python, [script, questions, results], { encoding: "utf8" });
  if (r.status !== 0) throw new Error(r.stderr);
  const got = JSON.parse(readFileSync(results, "utf8")) as Answer[];
  rmSync(scratch, { recursive: true });
  return got;
}

/** The largest difference, relative to the larger of 1 and the value; Infinity if the shapes differ. */
function difference(got: NdArray | undefined, want: Array): number {
  if (got && got.shape.join() !== want.shape.join()) return Number.POSITIVE_INFINITY;
  return want.data.reduce((most, w, i) => {
    const off = Math.abs(w - (got?.data[i] ?? 0)) / Math.max(1, Math.abs(w)); // without a gradient it is 0
    return Number.isNaN(off) ? Number.POSITIVE_INFINITY : Math.max(most, off);
  }, 0);
}

test("40 operators at least, and all inputs that ONNX calls differentiable", (t) => {
  t.true(peerCounts().size >= 40);
  const table = differentiable(
    readFileSync(join(root, "test", "fixtures", "onnx-conformance", "differentiability.tsv"), "utf8"),
  );
  for (const c of peerCases) {
    const tags = table.get(c.operator)?.inputs ?? [];
    for (const i of c.fixed)
      if (c.operator !== "BatchNormalization" && tags.length > 0)
        t.false(tags[Math.min(i, tags.length - 1)], c.operator);
    t.true(wrtOf(c).length > 0, c.operator);
  }
});

const python = pythonWith("torch");
if (python === undefined) test.skip(`gradients beside PyTorch: ${noPythonWith("torch")}`, (t) => t.pass());
else {
  let got: Answer[];
  test.before(() => {
    got = answers(python);
  });
  let largest = { value: 0, gradient: 0 };
  peerCases.forEach((c, k) => {
    const shapes = c.inputs.map((x) => (x ? `[${x.shape}]` : "-")).join(" ");
    test(`${k} ${c.operator} of ${shapes} ${JSON.stringify(c.attributes)}`, (t) => {
      const want = got[k] as Answer;
      if ("error" in want) return t.fail(`PyTorch: ${want.error}`);
      for (const type of ["f32", "f64"] as const) {
        const { model, data } = modelOf(c, type);
        const outputs = Array.from({ length: c.outputs }, (_, i) => outputOf(i));
        const wrt = wrtOf(c);
        const loss = lossOfModel(model, data, new Set(wrt), new Set(outputs), (e, i) => weights[i]?.[e] as number);
        t.deepEqual([...loss.wrt.keys()], wrt);
        t.deepEqual([...loss.outputs.keys()], outputs);
        const env = evaluate(loss.graph, loss.feed);
        for (const [i, name] of outputs.entries()) {
          const off = difference(env.get(loss.outputs.get(name) as Value), want.outputs[i] as Array);
          t.true(off <= TOLERANCE, `${type}: ${name} differs from PyTorch's by ${off}`);
          largest = { ...largest, value: Math.max(largest.value, off) };
        }
        const grads = gradientsOfLoss(loss);
        for (const [i, name] of wrt.entries()) {
          const off = difference(grads.get(name), want.gradients[i] as Array);
          t.true(off <= TOLERANCE, `${type}: the gradient by ${name} differs from PyTorch's by ${off}`);
          largest = { ...largest, gradient: Math.max(largest.gradient, off) };
        }
      }
    });
  });
  test.after(() => {
    process.stderr.write(`largest differences from PyTorch: ${JSON.stringify(largest)}\n`);
  });
}
