// Plans: the launches of a step, states that are read late, and that the check of the random graphs notices wrong
// plans.

import test from "ava";
import type { Artefact } from "../../compiler/emit/project.js";
import { Builder } from "../../compiler/ir/builder.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Target, TensorType, Value } from "../../compiler/ir/types.js";
import type { Placed } from "../../compiler/lower/memory.js";
import * as op from "../../compiler/ops/index.js";
import { lower, optimize } from "../../compiler/pipeline.js";
import { moproPrograms, phases } from "../../models/mopro.js";
import { nativeTarget } from "../support/compiled.js";
import { runPlan } from "../support/plan_run.js";

const f32 = (...shape: readonly number[]): TensorType => ({ dtype: "f32", shape });

test("a step of MoPro has one launch of SGD and one of the moving average, whatever gradients are shared", (t) => {
  const config = {
    width: 1 / 8,
    num_class: 5,
    low_dim: 8,
    queue: 16,
    image_size: 32,
    batch: 8,
    groups: 2,
  } as const;
  for (const arch of ["resnet18", "resnet50"] as const) {
    const { plan } = lower(moproPrograms({ ...config, arch }), { name: arch, target: nativeTarget });
    for (const phase of phases) {
      const steps = plan.programs.find((p) => p.name === phase)?.steps ?? [];
      const launches = steps.flatMap((s) => (s.do === "launch" ? [plan.kernels[s.kernel]?.symbol ?? ""] : []));
      t.is(launches.filter((k) => k.includes("_sgd_")).length, 1, `${arch} ${phase}`);
      t.is(launches.filter((k) => k.includes("_ema_")).length, 1, `${arch} ${phase}`);
    }
  }
});

const arithmetic: readonly (readonly [string, RegExp, (b: Builder) => Value])[] = [
  ["input", /program f: map in <top>: x is f64\[4\]/, (b) => op.relu(b, b.input("x", { dtype: "f64", shape: [4] }))],
  ["cast", /program f: map in <top>: cast is f16\[4\]/, (b) => op.cast(b, b.input("x", f32(4)), { to: "f16" })],
  [
    "state",
    /program f: map in <top>: s is bf16\[4\]/,
    (b) => {
      const s = b.state("s", { dtype: "bf16", shape: [4] }, { kind: "constant", value: 0 }, "buffer");
      return op.cast(b, s, { to: "f32" });
    },
  ],
];
const compute = (build: (b: Builder) => Value, target: Target): Artefact => {
  const b = Builder.create("f");
  return lower([b.finish([build(b)])], { name: "f", target });
};

test("arithmetic in other types than f32 is the general template's on CPUs, and is refused for GPUs", (t) => {
  const gpu: Target = { ...nativeTarget, device: "cuda", arch: "sm_80", precision: "bf16" };
  for (const [name, message, build] of arithmetic) {
    t.deepEqual(
      compute(build, nativeTarget).plan.kernels.map((k) => k.template),
      ["loops"],
      name,
    );
    t.throws(() => compute(build, gpu), { message }, name);
  }
  const whole = (b: Builder): Value => op.map(b, [b.input("x", { dtype: "i64", shape: [4] })], { expr: "neg(x0)" });
  t.throws(() => compute(whole, gpu), { message: /map in <top> has no kernel for GPUs; compile it for the CPU/ });
});

test("a value of a type that an op's only kernel does not compute in is refused", (t) => {
  const convolution = (b: Builder): Value =>
    op.conv(b, b.input("x", { dtype: "f64", shape: [1, 3, 5, 5] }), b.input("w", f32(4, 3, 3, 3)), {
      stride: 1,
      pad: 1,
    });
  t.throws(() => compute(convolution, nativeTarget), {
    message: /program f: conv in <top>: x is f64\[1,3,5,5\], but its kernel computes in f32/,
  });
});

const numbers = (...x: readonly number[]): NdArray => new NdArray([x.length], Float64Array.from(x));

/** The graph's results by the plan, from x = (1, -2, 3), p = (10, 20, 30) and q = (5, 6, 7). */
function results(
  build: (b: Builder, x: Value, p: Value, q: Value) => readonly Value[],
  change?: (p: Placed) => Placed,
) {
  const b = Builder.create("g");
  const zero = { kind: "constant", value: 0 } as const;
  const [x, p, q] = [b.input("x", f32(3)), b.state("p", f32(3), zero), b.state("q", f32(3), zero)];
  const g: Graph = optimize(b.finish(build(b, x, p, q)), nativeTarget);
  const feed = new Map<Value, NdArray>([
    [x, numbers(1, -2, 3)],
    [p, numbers(10, 20, 30)],
    [q, numbers(5, 6, 7)],
  ]);
  const ran = runPlan(g, nativeTarget, feed, change);
  return {
    outputs: ran.outputs.map((o) => [...o.data]),
    p: [...(ran.state.get("p")?.data ?? [])],
    q: [...(ran.state.get("q")?.data ?? [])],
  };
}

test("a state that is returned, as it is or as a view, is the one before the step", (t) => {
  const r = results((b, x, p) => {
    b.update(p, op.add(b, p, x));
    return [p, op.reshape(b, p, { shape: [3, 1] }), op.neg(b, p)];
  });
  t.deepEqual(r.outputs, [
    [10, 20, 30],
    [10, 20, 30],
    [-10, -20, -30],
  ]);
  t.deepEqual(r.p, [11, 18, 33]);
});

test("a state that becomes another one's old value", (t) => {
  const r = results((b, x, p, q) => {
    b.update(q, p);
    b.update(p, op.add(b, p, x));
    return [op.add(b, p, q)];
  });
  t.deepEqual(r, { outputs: [[15, 26, 37]], p: [11, 18, 33], q: [10, 20, 30] });
});

test("a plan that puts two values in one place, or one over an operand, is noticed", (t) => {
  const build = (b: Builder, x: Value, p: Value): readonly Value[] => {
    const squares = op.matmul(b, op.reshape(b, x, { shape: [3, 1] }), op.reshape(b, p, { shape: [1, 3] }));
    const sums = op.sum(b, op.softmax(b, squares), { axes: [0] });
    return [op.add(b, sums, op.sum(b, squares, { axes: [1] }))];
  };
  t.notThrows(() => results(build));
  const [matmul, softmax] = [/^matmul$/, /^softmax$/];
  const over =
    (moved: RegExp, onto: RegExp) =>
    (placed: Placed): Placed => {
      const value = (name: RegExp): Value => [...placed.place.keys()].find((v) => name.test(v.name)) as Value;
      return {
        ...placed,
        place: new Map([...placed.place, [value(moved), placed.place.get(value(onto)) as never]]),
      };
    };
  t.throws(() => results(build, over(softmax, matmul)), {
    message: /%softmax .* is written over %matmul, which it reads/,
  });
  t.throws(() => results(build, over(/^sum$/, matmul)), {
    message: /%matmul is read from work \d+, where %sum is/,
  });
});
