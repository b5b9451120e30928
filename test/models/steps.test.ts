// Whole steps of the tiny MoPro: statistics, commits, groups, gradients, learning.

import test from "ava";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph } from "../../compiler/ir/types.js";
import { phases } from "../../models/mopro.js";
import { randomArray } from "../support/random.js";
import { batch, identity, near, numbers, program, programs, start, stepOf, vector } from "../support/tiny_mopro.js";
import { initialStates, rows, run, type StepResult } from "../support/training.js";

test("running averages come from the first group, the variance unbiased", (t) => {
  const { states, value } = stepOf("warmup");
  for (const encoder of ["encoder_q", "encoder_k"]) {
    const mean = value(`${encoder}.bn1.batch_norm_mean`);
    const variance = value(`${encoder}.bn1.batch_norm_var`);
    const n = 4 * 16 * 16;
    const want = (f: (c: number) => number): NdArray => NdArray.fill([64], f);
    near(
      t,
      states.get(`${encoder}.bn1.running_mean`) as NdArray,
      want((c) => 0.1 * mean.at(0, c)),
      1e-12,
      "mean",
    );
    near(
      t,
      states.get(`${encoder}.bn1.running_var`) as NdArray,
      want((c) => 0.9 + (0.1 * variance.at(0, c) * n) / (n - 1)),
      1e-12,
      "var",
    );
    t.deepEqual(numbers(states.get(`${encoder}.bn1.num_batches_tracked`)), [1]);
  }
});

test("a step that is not finite changes nothing but the key encoder's parameters", (t) => {
  const before = start();
  const { outputs, states } = run(program("proto"), before, batch(identity, { w_inst: Number.NaN }));
  t.deepEqual(numbers(outputs.finite), [0]);
  for (const [name, x] of before) {
    const moves = /^encoder_k\..*(weight|bias)$/.test(name);
    if (!moves) t.deepEqual(numbers(states.get(name)), [...x.data], name);
    else t.true((states.get(name) as NdArray).data.every(Number.isFinite), name);
  }
});

test("the order of the keys matters between groups, and only there", (t) => {
  const reversed = identity.toReversed();
  const single = programs({ groups: 1 });
  const loss = (g: Graph, order: readonly number[]): number =>
    (run(g, start(), batch(order)).outputs.loss_inst as NdArray).at(0);
  const one = program("warmup", single);
  t.true(Math.abs(loss(one, identity) - loss(one, reversed)) < 1e-10);
  const mixed = [0, 4, 1, 5, 2, 6, 3, 7];
  t.true(Math.abs(loss(program("warmup"), identity) - loss(program("warmup"), mixed)) > 1e-6);
});

test("two groups are two half batches with averaged gradients", (t) => {
  const half = programs({ groups: 1, batch: 4 });
  for (const phase of phases) {
    const whole = run(program(phase), start(), batch());
    const parts = [0, 1].map((g) => {
      const inputs = Object.entries(batch()).map(
        ([name, x]) => [name, x.shape[0] === 8 ? rows(x, 4 * g, 4 * g + 4) : x] as const,
      );
      return run(program(phase, half), start(), {
        ...Object.fromEntries(inputs),
        order: vector([0, 1, 2, 3]),
      });
    }) as [StepResult, StepResult];
    for (const name of ["loss", "loss_cls", "loss_inst", "correct_cls", "correct_inst"]) {
      near(
        t,
        whole.outputs[name] as NdArray,
        vector(parts.map((p) => (p.outputs[name] as NdArray).at(0))),
        1e-10,
        `${phase} ${name}`,
      );
    }
    for (const [name, v] of whole.states) {
      const [a, b] = parts.map((p) => p.states.get(name) as NdArray) as [NdArray, NdArray];
      const average = new NdArray(
        v.shape,
        v.data.map((_, i) => ((a.data[i] as number) + (b.data[i] as number)) / 2),
      );
      if (/^(encoder_q.*(weight|bias)|optimizer.*)$/.test(name)) near(t, v, average, 1e-10, `${phase} ${name}`);
      if (/running/.test(name)) near(t, v, a, 1e-10, `${phase} ${name}`);
    }
  }
});

test("the optimizer's velocity is the gradient of the mean loss", (t) => {
  const hyper = { weight_decay: 0, moco_m: 1, lr: 0.01 }; // with moco_m 1 the keys do not depend on them
  const before = start();
  for (const phase of ["warmup", "proto"]) {
    const { states } = run(program(phase), before, batch(identity, hyper));
    for (const name of ["encoder_q.fc2.weight", "encoder_q.layer4.0.bn2.weight", "encoder_q.layer1.0.conv1.weight"]) {
      const x = before.get(name) as NdArray;
      const u = randomArray(x.shape, 3);
      const loss = (h: number): number => {
        const moved = new NdArray(
          x.shape,
          x.data.map((v, i) => v + h * (u.data[i] as number)),
        );
        const { outputs } = run(program(phase), new Map([...before, [name, moved]]), batch(identity, hyper));
        return numbers(outputs.loss).reduce((s, v) => s + v, 0) / 2;
      };
      const numeric = (loss(1e-7) - loss(-1e-7)) / 2e-7;
      const v = states.get(`optimizer.momentum.${name}`) as NdArray;
      const analytic = v.data.reduce((s, g, i) => s + g * (u.data[i] as number), 0);
      t.true(
        Math.abs(numeric - analytic) < 1e-5 * Math.max(1, Math.abs(analytic)),
        `${phase} ${name}: ${numeric} and ${analytic}`,
      );
      const moved = states.get(name) as NdArray;
      near(
        t,
        moved,
        new NdArray(
          x.shape,
          x.data.map((p, i) => p - Math.fround(0.01) * (v.data[i] as number)),
        ),
        1e-12,
        name,
      );
    }
  }
});

test("training lowers the loss", (t) => {
  let states = initialStates(program("warmup"), 5);
  const losses: number[] = [];
  for (let i = 0; i < 6; i++) {
    const step = run(program(i < 2 ? "warmup" : "proto"), states, batch(identity, { lr: 0.02, w_inst: 0, w_proto: 0 }));
    losses.push(numbers(step.outputs.loss).reduce((s, v) => s + v, 0) / 2);
    states = step.states;
  }
  t.true((losses[5] as number) < 0.7 * (losses[0] as number), losses.join(" "));
});
