// Every op as standard ONNX operators, run by ONNX Runtime, against the op's own f64 reference.

import test, { type ExecutionContext } from "ava";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";
import { exportGraph } from "../../compiler/onnx/export.js";
import { bodies } from "../../compiler/onnx/functions/index.js";
import { functionName, opOfFunction } from "../../compiler/onnx/library.js";
import type { Model } from "../../compiler/onnx/proto.js";
import * as op from "../../compiler/ops/index.js";
import { allOps } from "../../compiler/ops/op.js";
import { opCases } from "../support/cases.js";
import { relativeError, runReference } from "../support/compiled.js";
import { fixed, flags, labels, number, type OpCase, type Operand, opCase } from "../support/op_cases.js";
import { OrtModel } from "../support/ort.js";
import { stepModel } from "../support/ort_step.js";

test("every op of the table has a body, and no body is left over", (t) => {
  t.deepEqual(
    [...bodies.keys()].toSorted(),
    allOps()
      .filter((o) => o.kind !== "collective")
      .map((o) => o.name)
      .toSorted(),
  );
});

test("functions of different ops have different names", (t) => {
  const names = allOps().map(functionName);
  t.is(new Set(names).size, names.length);
  for (const o of allOps()) t.is(opOfFunction(`${functionName(o)}_12`), o);
});

/** As one op written out in place for each operator set, and as what a training step calls. */
const forms: Readonly<Record<string, (g: Graph) => Model>> = {
  ...Object.fromEntries(
    [16, 18, 21].map((opset) => [
      `operator set ${opset}`,
      (g: Graph) => exportGraph(g, { opset, initializers: new Map() }),
    ]),
  ),
  "of a step": (g) => stepModel(g, new Map()),
};

const nan = Number.NaN;
const values = (shape: readonly number[], ...xs: readonly number[]): Operand => ({
  shape,
  values: xs,
  fixed: true,
});
const no = number(0);

/**
 * Where meanings differ if they do: ties, labels that are none, nothing kept, numbers that are none, a step refused.
 */
const edges: readonly OpCase[] = [
  opCase(
    "max_pool_grad_ties",
    { x: values([1, 1, 3, 3], 1, 1, 0, 1, 1, 0, 0, 0, 0), dy: fixed([1, 1, 2, 2]) },
    (b, v) => op.max_pool_grad(b, v.x, v.dy, { kernel: 2, stride: 1, pad: 0 }),
  ),
  opCase("max_pool_below_zero", { x: fixed([1, 2, 4, 4], -3, -1) }, (b, v) =>
    op.max_pool(b, v.x, { kernel: 3, stride: 2, pad: 1 }),
  ),
  ...[flags([1, 0, 1, 1]), flags([1, 1, 0, 1])].flatMap((weight, i) => [
    opCase(`cross_entropy_no_label_${i}`, { z: fixed([4, 3]), y: labels([0, -1, 3, 2]), weight }, (b, v) =>
      op.softmax_cross_entropy(b, v.z, v.y, v.weight, { groups: 2 }),
    ),
    opCase(
      `cross_entropy_grad_no_label_${i}`,
      { z: fixed([4, 3]), y: labels([0, -1, 3, 2]), weight, d: fixed([2]) },
      (b, v) => op.softmax_cross_entropy_grad(b, v.z, v.y, v.weight, v.d, { groups: 2 }),
    ),
  ]),
  opCase(
    "cross_entropy_nan_without_weight",
    { z: values([2, 2], 1, 2, nan, 1), y: labels([0, 1]), weight: flags([2, 0]) },
    (b, v) => op.softmax_cross_entropy(b, v.z, v.y, v.weight, { groups: 1 }),
  ),
  opCase(
    "cross_entropy_large",
    { z: values([2, 2], 3e4, -3e4, 88, 90), y: labels([1, 0]), weight: flags([1, 1]) },
    (b, v) => op.softmax_cross_entropy(b, v.z, v.y, v.weight, { groups: 1 }),
  ),
  ...[1, 2].map((k) =>
    opCase(
      `top_${k}_ties`,
      {
        z: values([5, 3], 1, 1, 0, 1, 1, 0, nan, 5, 1, 2, nan, 1, 1, 2, 3),
        y: labels([0, 1, 1, 1, 7]),
        weight: flags([1, 2, 4, 8, 16]),
      },
      (b, v) => op.top_k_correct(b, v.z, v.y, v.weight, { k, groups: 1 }),
    ),
  ),
  opCase(
    "correct_labels_ties",
    {
      c: values([4, 2], 9, 9, 0, 9, nan, 0, 1, 1),
      p: fixed([4, 2], 0, 0),
      y: labels([1, 0, 1, 5]),
      alpha: number(1),
      t: number(0.49),
    },
    (b, v) => {
      const { target_new, kept } = op.correct_labels(b, v.c, v.p, v.y, v.alpha, v.t);
      return [target_new, kept];
    },
  ),
  opCase("l2_normalize_zero", { x: values([2, 2], 0, 0, 3, 4), dy: fixed([2, 2]) }, (b, v) => [
    op.l2_normalize(b, v.x, { eps: 1e-12 }),
    op.l2_normalize_grad(b, v.x, v.dy, { eps: 1 }),
  ]),
  opCase("relu_grad_nan", { dy: fixed([3]), y: values([3], nan, 0, 1) }, (b, v) => op.relu_grad(b, v.dy, v.y)),
  ...[no, number(1)].map((finite, i) =>
    opCase(
      `updates_finite_${i}`,
      {
        finite,
        p: fixed([2, 3]),
        q: fixed([4, 3]),
        g: values([2, 3], nan, 1, 2, 3, 4, 5),
        queue: fixed([3, 5]),
        ptr: labels([4]),
        y: labels([1, 1, 0, 9]),
        kept: flags([1, 1, 0, 1]),
        n: { shape: [], dtype: "i64", values: [7] },
        m: number(0.9),
      },
      (b, v) => {
        const sgd = op.sgd(b, v.p, v.p, v.g, v.m, v.m, v.m, v.finite, { grad_scale: 0.5 });
        const pushed = op.queue_push(b, v.queue, v.ptr, v.q, v.finite);
        const moved = op.prototype_update(b, v.p, v.q, v.y, v.kept, v.m, v.finite);
        const chosen = op.where_finite(b, v.g, v.p, v.finite);
        return [sgd.v_new, sgd.p_new, pushed.queue_new, pushed.ptr_new, moved, chosen, op.increment(b, v.n, v.finite)];
      },
    ),
  ),
  ...[1, nan, Infinity, -Infinity, 3.4e38].map((x, i) =>
    opCase(`all_finite_${i}`, { x: values([3], 1, x, -1), one: number(2) }, (b, v) => op.all_finite(b, [v.x, v.one])),
  ),
];

/** Cases, by name, whose operators are new in operator set 18. */
const newer: readonly (readonly [RegExp, string])[] = [
  [/^scatter_(elements|rows)_(min|max)(_ties)?$/, "ScatterElements with reduction"],
  [/^dropout/, "BitwiseXor"],
];

for (const c of [...opCases.filter((o) => !o.name.endsWith("_outside")), ...edges])
  for (const [form, write] of Object.entries(forms))
    test(`${c.name}, ${form}`, async (t) => {
      const later = form === "operator set 16" && newer.find(([names]) => names.test(c.name));
      if (later) {
        t.throws(() => write(c.graph), { message: `${later[1]} needs operator set 18, not 16` });
        return;
      }
      const model = write(c.graph);
      const nodes = [
        ...model.graph.nodes.filter((n) => n.domain !== "moproc"),
        ...model.functions.flatMap((f) => f.nodes),
      ];
      t.deepEqual(
        nodes.filter((n) => n.domain !== ""),
        [],
        "all that runs is a standard operator",
      );
      const got = await (await OrtModel.load(model)).run(new Map([...c.feed].map(([v, x]) => [v.name, x])));
      const want = runReference(c.graph, c.feed).outputs;
      for (const [i, v] of c.graph.outputs.entries()) agree(t, v, got.get(v.name) as NdArray, want[i] as NdArray);
    });

function agree(t: ExecutionContext, v: Value, got: NdArray, want: NdArray): void {
  t.deepEqual(got.shape, want.shape);
  if (v.type.dtype === "i64") {
    t.deepEqual([...got.data], [...want.data]);
    return;
  }
  const isNan = (x: NdArray): boolean[] => [...x.data].map(Number.isNaN);
  t.deepEqual(isNan(got), isNan(want), `%${v.name}: ${got.data} for ${want.data}`);
  const numbers = (x: NdArray): NdArray =>
    new NdArray(
      x.shape,
      x.data.map((y) => (Number.isNaN(y) ? 0 : y)),
    );
  // operands are of size 1: a result that is nearly 0 has cancelled, and its error is not relative to it
  const [g, w] = [numbers(got), numbers(want)];
  const error = relativeError(g, w) * Math.min(1, Math.hypot(...w.data) / 0.01);
  t.true(error < 1e-6, `%${v.name} is off by ${error}: ${got.data} for ${want.data}`);
}
