// The references of ops against results that were computed by hand or by an independent formula.

import test from "ava";
import type { Builder } from "../../compiler/ir/builder.js";
import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Value } from "../../compiler/ir/types.js";
import * as op from "../../compiler/ops/index.js";
import { opCases } from "../support/cases.js";
import { flags, iota, labels, number, type OpCase, type Operand, opCase } from "../support/op_cases.js";
import { randomArray } from "../support/random.js";

const values = (...v: readonly number[]): Operand => ({ shape: [v.length], values: v });
const matrix = (...rows: readonly (readonly number[])[]): Operand => ({
  shape: [rows.length, rows[0]?.length ?? 0],
  values: rows.flat(),
});

/** All outputs of a case, numbers rounded to 9 digits. */
function run(c: OpCase): number[][] {
  const env = evaluate(c.graph, c.feed);
  return c.graph.outputs.map((v) => [...(env.get(v) as NdArray).data].map((x) => Number(x.toPrecision(9)) + 0));
}
const first = (c: OpCase): number[] => run(c)[0] as number[];

test("broadcasting follows numpy", (t) => {
  const c = opCase("b", { a: matrix([1, 2, 3], [4, 5, 6]), b: values(10, 20, 30) }, (b, v) => op.sub(b, v.b, v.a));
  t.deepEqual(first(c), [9, 18, 27, 6, 15, 24]);
  const d = opCase("b", { a: matrix([1], [2]), b: values(10, 20) }, (b, v) => op.mul(b, v.a, v.b));
  t.deepEqual(first(d), [10, 20, 20, 40]);
});

test("affine and normalize use the row's group", (t) => {
  const x = matrix([1, 2], [3, 4], [5, 6], [7, 8]);
  const [s, k] = [matrix([1, 2], [3, 4]), matrix([0, 1], [2, 3])];
  t.deepEqual(first(opCase("a", { x, s, k }, (b, v) => op.affine(b, v.x, v.s, v.k))), [1, 5, 3, 9, 17, 27, 23, 35]);
  t.deepEqual(first(opCase("n", { x, s, k }, (b, v) => op.normalize(b, v.x, v.k, v.s))), [1, 2, 3, 6, 9, 12, 15, 20]);
});

test("normalize_image scales bytes with ImageNet's statistics", (t) => {
  const img: Operand = { shape: [1, 3, 1, 2], dtype: "u8", values: [0, 255, 128, 1, 77, 200] };
  const c = opCase("i", { img }, (b, v) =>
    op.normalize_image(b, v.img, { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }),
  );
  const want = [-2.11790393, 2.2489083, 0.205182073, -2.01820728, -0.462396514, 1.68139434];
  t.deepEqual(first(c), want);
});

test("reductions", (t) => {
  const x = iota([2, 3]);
  const on = (build: (b: Builder, x: Value) => Value | readonly Value[]): number[][] =>
    run(opCase("r", { x: { shape: x.shape, values: [...x.data] } }, (b, v) => build(b, v.x)));
  t.deepEqual(
    on((b, v) => op.sum(b, v, { axes: [0] })),
    [[5, 7, 9]],
  );
  t.deepEqual(
    on((b, v) => op.mean(b, v, { axes: [1] })),
    [[2, 5]],
  );
  t.deepEqual(
    on((b, v) => op.max(b, v, { axes: [0, 1] })),
    [[6]],
  );
  t.deepEqual(
    on((b, v) => op.channel_sum(b, v, { groups: 2 })),
    [[1, 2, 3, 4, 5, 6]],
  );
  t.deepEqual(
    on((b, v) => Object.values(op.channel_moments(b, v, { groups: 1 }))),
    [
      [2.5, 3.5, 4.5],
      [4.5, 4.5, 4.5],
    ],
  );
  t.deepEqual(
    on((b, v) => op.group_sum(b, v)),
    [[5, 7, 9]],
  );
});

test("moves", (t) => {
  const x: Operand = { shape: [2, 3], values: [1, 2, 3, 4, 5, 6] };
  t.deepEqual(first(opCase("t", { x }, (b, v) => op.transpose(b, v.x, { perm: [1, 0] }))), [1, 4, 2, 5, 3, 6]);
  t.deepEqual(
    first(opCase("c", { x }, (b, v) => op.concat(b, [v.x, v.x], { axis: 1 }))),
    [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6],
  );
  t.deepEqual(first(opCase("s", { x }, (b, v) => op.slice(b, v.x, { axis: 1, start: 1, end: 3 }))), [2, 3, 5, 6]);
  const rows = matrix([1, 1], [2, 2], [3, 3]);
  t.deepEqual(
    first(opCase("t", { rows, i: labels([2, 0, 1]) }, (b, v) => op.take_rows(b, v.rows, v.i))),
    [3, 3, 1, 1, 2, 2],
  );
  t.deepEqual(
    first(opCase("p", { rows, i: labels([2, 0, 1]) }, (b, v) => op.put_rows(b, v.rows, v.i))),
    [2, 2, 3, 3, 1, 1],
  );
});

/** Convolution by its definition: a padded copy, and one sum an output element. */
function slowConv(x: NdArray, w: NdArray, stride: number, pad: number, shape: readonly number[]): NdArray {
  const [n, c, h, z] = x.shape as [number, number, number, number];
  const padded = NdArray.fill([n, c, h + 2 * pad, z + 2 * pad], () => 0);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < c; j++)
      for (let y = 0; y < h; y++) for (let u = 0; u < z; u++) padded.set([i, j, y + pad, u + pad], x.at(i, j, y, u));
  const [, k, p, q] = shape as [number, number, number, number];
  return NdArray.fill(shape, (flat) => {
    const at = [Math.floor(flat / (k * p * q)), Math.floor(flat / (p * q)) % k, Math.floor(flat / q) % p, flat % q];
    const [i, o, y, u] = at as [number, number, number, number];
    let s = 0;
    for (let j = 0; j < c; j++)
      for (let r = 0; r < (w.shape[2] as number); r++)
        for (let v = 0; v < (w.shape[3] as number); v++)
          s += padded.at(i, j, y * stride + r, u * stride + v) * w.at(o, j, r, v);
    return s;
  });
}

for (const c of opCases.filter((c) => c.name.startsWith("conv_") && c.wrt.length > 0)) {
  test(`${c.name} is the padded sum of products`, (t) => {
    const [x, w] = [...c.feed.values()] as [NdArray, NdArray];
    const attrs = c.graph.nodes[0]?.attrs as { stride: number; pad: number };
    const y = evaluate(c.graph, c.feed).get(c.graph.outputs[0] as Value) as NdArray;
    const want = slowConv(x, w, attrs.stride, attrs.pad, y.shape);
    t.true(y.data.every((v, i) => Math.abs(v - (want.data[i] as number)) < 1e-12));
  });
}

test("matmul by hand, transposed or not", (t) => {
  const [x, y] = [matrix([1, 2], [3, 4]), matrix([5, 6], [7, 8])];
  const product = (attrs: { ta?: boolean; tb?: boolean }): number[] =>
    first(opCase("m", { x, y }, (b, v) => op.matmul(b, v.x, v.y, attrs)));
  t.deepEqual(product({}), [19, 22, 43, 50]);
  t.deepEqual(product({ ta: true }), [26, 30, 38, 44]);
  t.deepEqual(product({ tb: true }), [17, 23, 39, 53]);
  t.deepEqual(product({ ta: true, tb: true }), [23, 31, 34, 46]);
});

test("max_pool ignores padding; of equal maxima the first gets the gradient", (t) => {
  const x: Operand = { shape: [1, 1, 3, 3], values: [-1, -2, -3, -4, -5, -6, -7, -7, -9] };
  const attrs = { kernel: 3, stride: 2, pad: 1 };
  t.deepEqual(first(opCase("p", { x }, (b, v) => op.max_pool(b, v.x, attrs))), [-1, -2, -4, -5]);
  const flat: Operand = { shape: [1, 1, 3, 3], values: Array<number>(9).fill(1) };
  const dy: Operand = { shape: [1, 1, 2, 2], values: [1, 2, 3, 4] };
  const c = opCase("g", { flat, dy }, (b, v) => op.max_pool_grad(b, v.flat, v.dy, attrs));
  t.deepEqual(first(c), [1, 2, 0, 3, 4, 0, 0, 0, 0]);
});

test("batch_norm of one group has mean beta and deviation gamma", (t) => {
  const x = randomArray([4, 2, 3, 3], 5, -3, 7);
  const c = opCase(
    "bn",
    { x: { shape: x.shape, values: [...x.data] }, gamma: values(2, 3), beta: values(-1, 4) },
    (b, v) => {
      const { y } = op.batch_norm(b, v.x, v.gamma, v.beta, { eps: 1e-12, groups: 1 });
      const { mean, m2 } = op.channel_moments(b, y, { groups: 1 });
      return [mean, op.scale(b, m2, { factor: 1 / 36 })];
    },
  );
  t.deepEqual(run(c), [
    [-1, 4],
    [4, 9],
  ]);
});

test("softmax_cross_entropy: weighted means a group, 0 without weight", (t) => {
  const logits = matrix([0, 0], [Math.log(3), 0], [5, 5], [1, 2]);
  const loss = (weight: readonly number[]): number[] =>
    first(
      opCase("ce", { logits, y: labels([0, 0, 1, 1]), w: flags(weight) }, (b, v) =>
        op.softmax_cross_entropy(b, v.logits, v.y, v.w, { groups: 2 }),
      ),
    );
  const [a, b] = [Math.log(2), Math.log(4 / 3)];
  const near = (got: number[], want: number[]): boolean =>
    t.true(
      got.every((g, i) => Math.abs(g - (want[i] as number)) < 1e-7),
      `${got} instead of ${want}`,
    );
  near(loss([1, 1, 1, 0]), [(a + b) / 2, a]);
  near(loss([1, 3, 0, 0]), [(a + 3 * b) / 4, 0]);
});

test("top_k_correct: of equal logits the first is ahead; weights count", (t) => {
  const logits = matrix([1, 1, 0], [1, 1, 0], [0, 2, 1], [0, 2, 1]);
  const at = (k: number): number[] =>
    first(
      opCase("k", { logits, y: labels([0, 1, 2, 0]), w: flags([1, 1, 1, 0.5]) }, (b, v) =>
        op.top_k_correct(b, v.logits, v.y, v.w, { k, groups: 2 }),
      ),
    );
  t.deepEqual(at(1), [1, 0]);
  t.deepEqual(at(2), [2, 1]);
  t.deepEqual(at(3), [2, 1.5]);
});

test("correct_labels keeps, relabels and drops", (t) => {
  const at = (p: readonly number[]): number[] => p.map((v) => Math.log(v));
  const cls = matrix(at([0.6, 0.3, 0.1]), at([0.05, 0.9, 0.05]), at([0.4, 0.3, 0.3]), at([0.8, 0.1, 0.1]));
  const proto = matrix(at([0.4, 0.5, 0.1]), at([0.05, 0.9, 0.05]), at([0.4, 0.3, 0.3]), at([0.1, 0.8, 0.1]));
  const c = opCase("c", { cls, proto, y: labels([0, 2, 1, 2]), alpha: number(0.5), threshold: number(0.8) }, (b, v) =>
    Object.values(op.correct_labels(b, v.cls, v.proto, v.y, v.alpha, v.threshold)),
  );
  t.deepEqual(run(c), [
    [0, 1, 1, 2],
    [1, 1, 0, 0],
  ]);
});

test("correct_labels: a score that equals the threshold or 1/K is not above it", (t) => {
  const sure = [200, 0, 0, 0]; // scores exactly 1
  const even = [0, 0, 0, 0]; // scores exactly 1/4
  const at = (threshold: number): number[][] =>
    run(
      opCase(
        "ties",
        {
          cls: matrix(sure, sure, even, sure),
          proto: matrix(sure, sure, even, [0, 200, 0, 0]),
          y: labels([0, 3, 3, 2]),
          alpha: number(0.5),
          threshold: number(threshold),
        },
        (b, v) => Object.values(op.correct_labels(b, v.cls, v.proto, v.y, v.alpha, v.threshold)),
      ),
    );
  t.deepEqual(at(1), [
    [0, 3, 3, 2],
    [1, 0, 0, 0],
  ]);
  t.deepEqual(at(0.5), [
    [0, 0, 3, 2],
    [1, 1, 0, 0],
  ]);
  t.deepEqual(at(0.25), [
    [0, 0, 3, 0],
    [1, 1, 0, 1],
  ]);
  t.deepEqual(at(0.2499), [
    [0, 0, 0, 0],
    [1, 1, 1, 1],
  ]);
});

test("l2_normalize", (t) => {
  const c = opCase("n", { x: matrix([3, 4], [0, 0]) }, (b, v) => op.l2_normalize(b, v.x, { eps: 1e-12 }));
  t.deepEqual(first(c), [0.6, 0.8, 0, 0]);
});

const step = (finite: number): OpCase =>
  opCase(
    "sgd",
    {
      p: values(1, 2),
      v: values(0.5, -1),
      g: values(2, 4),
      lr: number(0.125),
      m: number(0.5),
      wd: number(0.25),
      finite: number(finite),
    },
    (b, v) => {
      const { p_new, v_new } = op.sgd(b, v.p, v.v, v.g, v.lr, v.m, v.wd, v.finite, { grad_scale: 0.5 });
      return [p_new, v_new];
    },
  );

test("sgd: v = m v + g / G + wd p, p = p - lr v; nothing when not finite", (t) => {
  t.deepEqual(run(step(1)), [
    [1 - 0.1875, 2 - 0.25],
    [1.5, 2],
  ]);
  t.deepEqual(run(step(0)), [
    [1, 2],
    [0.5, -1],
  ]);
});

test("ema follows slowly", (t) => {
  const c = opCase("e", { k: values(1, 2), q: values(3, -2), m: number(0.75) }, (b, v) => op.ema(b, v.k, v.q, v.m));
  t.deepEqual(first(c), [1.5, 1]);
});

function push(keys: readonly (readonly number[])[], ptr: number, finite = 1): number[][] {
  const queue = matrix([1, 2, 3], [-1, -2, -3]);
  return run(
    opCase("q", { queue, p: labels([ptr]), k: matrix(...keys), f: number(finite) }, (b, v) =>
      Object.values(op.queue_push(b, v.queue, v.p, v.k, v.f)),
    ),
  );
}

test("queue_push wraps round and keeps the last keys of a long batch", (t) => {
  t.deepEqual(
    push(
      [
        [10, 11],
        [20, 21],
      ],
      2,
    ),
    [[20, 2, 10, 21, -2, 11], [1]],
  );
  t.deepEqual(
    push(
      [
        [1, 1],
        [2, 2],
        [3, 3],
        [4, 4],
        [5, 5],
      ],
      1,
    ),
    [[3, 4, 5, 3, 4, 5], [0]],
  );
  t.deepEqual(push([[10, 11]], 0, 0), [[1, 2, 3, -1, -2, -3], [0]]);
});

test("prototype_update: kept rows in order, then unit length", (t) => {
  const c = (finite: number): OpCase =>
    opCase(
      "p",
      {
        p: matrix([1, 0], [0, 2]),
        q: matrix([0, 1], [1, 0], [0, 1]),
        y: labels([0, 1, 0]),
        k: flags([1, 0, 1]),
        m: number(0.5),
        f: number(finite),
      },
      (b, v) => op.prototype_update(b, v.p, v.q, v.y, v.k, v.m, v.f),
    );
  const length = Math.hypot(0.25, 0.75);
  t.deepEqual(
    first(c(1)),
    [0.25 / length, 0.75 / length, 0, 1].map((v) => Number(v.toPrecision(9))),
  );
  t.deepEqual(first(c(0)), [1, 0, 0, 2]);
});

test("all_finite and increment", (t) => {
  const c = (last: number): OpCase =>
    opCase(
      "f",
      { x: values(1, 2), y: { shape: [2], values: [0, last] }, n: { shape: [], dtype: "i64", values: [7] } },
      (b, v) => {
        const finite = op.all_finite(b, [v.x, v.y]);
        return [finite, op.increment(b, v.n, finite)];
      },
    );
  t.deepEqual(run(c(1)), [[1], [8]]);
  t.deepEqual(run(c(Infinity)), [[0], [7]]);
  t.deepEqual(run(c(Number.NaN)), [[0], [7]]);
});
