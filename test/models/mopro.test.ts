// The MoPro programs of a tiny network in the reference evaluator: each part of the algorithm by itself.

import test from "ava";
import { NdArray } from "../../compiler/ir/nd.js";
import { verify } from "../../compiler/ir/verify.js";
import { hyperNames, phases } from "../../models/mopro.js";
import {
  batch,
  given,
  graphs,
  identity,
  near,
  numbers,
  program,
  programs,
  start,
  stepOf,
  vector,
} from "../support/tiny_mopro.js";
import { rows, run } from "../support/training.js";

test("all programs verify, share states and have their interface", (t) => {
  const all = new Map<string, string>();
  for (const g of graphs.values()) {
    t.notThrows(() => verify(g), g.name);
    for (const s of g.state) {
      const text = JSON.stringify([s.type, s.init, s.role]);
      t.is(all.get(s.name) ?? text, text, s.name);
      all.set(s.name, text);
    }
  }
  t.is(all.size, program("warmup").state.length, "the first program declares every state");
  for (const phase of phases) {
    const g = program(phase);
    t.deepEqual(
      g.inputs.map((v) => v.name),
      ["img", "img_aug", "target", "order", ...hyperNames.map((n) => `hyper.${n}`)],
    );
    t.is(g.updates.size, g.state.length, "every state is updated");
    t.is(g.groups, 2);
  }
  const outputs = (name: string): string[] => program(name).outputs.map((v) => v.name);
  t.deepEqual(outputs("warmup"), ["loss", "loss_cls", "loss_inst", "correct_cls", "correct_inst", "finite"]);
  t.deepEqual(outputs("clean"), [
    "loss",
    "loss_cls",
    "loss_inst",
    "loss_proto",
    "correct_cls",
    "correct_inst",
    "correct_proto",
    "clean",
    "target_out",
    "kept",
    "finite",
  ]);
  t.deepEqual(outputs("evaluate"), ["logits", "correct1", "correct5"]);
  t.deepEqual(outputs("embed"), ["feature", "logits", "embedding", "proto_logits"]);
});

for (const phase of phases) {
  test(`${phase}: the loss is the weighted sum of its terms, and finite`, (t) => {
    const g = program(phase);
    const { outputs } = run(g, start(), batch(identity, { w_inst: 0.5, w_proto: 2 }));
    const proto = outputs.loss_proto ?? vector([0, 0]);
    const want = vector(
      [0, 1].map(
        (i) => (outputs.loss_cls as NdArray).at(i) + 2 * proto.at(i) + 0.5 * (outputs.loss_inst as NdArray).at(i),
      ),
    );
    near(t, outputs.loss as NdArray, want, 1e-12, "loss");
    t.deepEqual(numbers(outputs.finite), [1]);
    t.true(numbers(outputs.loss).every((v) => v > 0 && v < 50));
  });
}

test("key parameters move towards the query's before SGD; buffers do not follow", (t) => {
  const before = start();
  const shifted = new Map(before);
  for (const [name, x] of before) {
    if (name.startsWith("encoder_k.") && name.endsWith("weight"))
      shifted.set(
        name,
        new NdArray(
          x.shape,
          x.data.map((v) => v + 0.25),
        ),
      );
  }
  const { states } = run(program("warmup"), shifted, batch(identity, { moco_m: 0.75 }));
  for (const [name, k] of shifted) {
    if (!/^encoder_k\..*(weight|bias)$/.test(name)) continue;
    const q = before.get(name.replace("encoder_k", "encoder_q")) as NdArray;
    const want = new NdArray(
      k.shape,
      k.data.map((v, i) => 0.75 * v + 0.25 * (q.data[i] as number)),
    );
    near(t, states.get(name) as NdArray, want, 1e-12, name);
  }
});

test("keys enter the queue in the order of their images, wrapping round", (t) => {
  const { states, value } = stepOf("warmup");
  const k = value("put_rows");
  const queue = states.get("queue") as NdArray;
  for (let n = 0; n < 8; n++) {
    const column = Array.from({ length: 8 }, (_, d) => queue.at(d, (7 + n) % 12));
    t.deepEqual(column, numbers(rows(k, n, n + 1)));
    t.true(Math.abs(Math.hypot(...column) - 1) < 1e-12);
  }
  t.deepEqual(numbers(states.get("queue_ptr")), [3]);
  const old = start().get("queue") as NdArray;
  t.is(queue.at(2, 5), old.at(2, 5), "a column that is not reached stays");
});

test("the instance loss finds the own key among those of the queue before the push", (t) => {
  const { outputs, value } = stepOf("warmup");
  const [q, k, queue] = [value("encoder_q.l2_normalize"), value("put_rows"), start().get("queue") as NdArray];
  const loss = (g: number): number => {
    const terms = [0, 1, 2, 3].map((i) => {
      const row = numbers(rows(q, 4 * g + i, 4 * g + i + 1));
      const own = numbers(rows(k, 4 * g + i, 4 * g + i + 1)).reduce((s, v, d) => s + v * (row[d] as number), 0);
      const others = Array.from({ length: 12 }, (_, c) => row.reduce((s, v, d) => s + v * queue.at(d, c), 0));
      const logits = [own, ...others].map((v) => v / Math.fround(0.1));
      return Math.log(logits.reduce((s, v) => s + Math.exp(v), 0)) - (logits[0] as number);
    });
    return terms.reduce((s, v) => s + v, 0) / 4;
  };
  near(t, outputs.loss_inst as NdArray, vector([loss(0), loss(1)]), 1e-10, "loss_inst");
});

test("prototypes: all samples and given labels, then kept ones and corrected labels", (t) => {
  for (const phase of phases) {
    const { outputs, states, value } = stepOf(phase);
    const q = value("encoder_q.l2_normalize");
    const label = numbers(outputs.target_out ?? vector(given));
    const kept = numbers(outputs.kept ?? vector(given.map(() => 1)));
    const p = Array.from({ length: 4 }, (_, c) => numbers(rows(start().get("prototypes") as NdArray, c, c + 1)));
    const m = Math.fround(0.999);
    label.forEach((y, n) => {
      if (kept[n] !== 0) p[y] = (p[y] as number[]).map((v, d) => m * v + (1 - m) * q.at(n, d));
    });
    const want = p.flatMap((row) => row.map((v) => v / Math.hypot(...row)));
    near(t, states.get("prototypes") as NdArray, new NdArray([4, 8], Float64Array.from(want)), 1e-12, phase);
  }
});

test("clean: labels, kept samples and counts follow the scores", (t) => {
  const states = start();
  for (const threshold of [0.3, 0.45]) {
    const { outputs, value } = run(
      program("clean"),
      states,
      batch(identity, { pseudo_th: threshold, alpha: 0.25, temperature: 0.5 }),
    );
    const p = states.get("prototypes") as NdArray;
    const softmax = (l: readonly number[]): number[] =>
      l.map((v) => Math.exp(v) / l.reduce((s, u) => s + Math.exp(u), 0));
    const want = given.map((y, n) => {
      const cls = softmax(numbers(rows(value("encoder_q.classifier.add"), n, n + 1)));
      const q = numbers(rows(value("encoder_q.l2_normalize"), n, n + 1));
      const proto = softmax([0, 1, 2, 3].map((c) => q.reduce((s, v, d) => s + v * p.at(c, d), 0) / 0.5));
      const s = cls.map((v, c) => 0.25 * v + 0.75 * (proto[c] as number));
      const top = Math.max(...s);
      return top > threshold ? [s.indexOf(top), 1] : [y, (s[y] as number) > 0.25 ? 1 : 0];
    });
    t.deepEqual(
      numbers(outputs.target_out),
      want.map(([y]) => y as number),
    );
    const kept = want.map(([, k]) => k as number);
    t.deepEqual(numbers(outputs.kept), kept);
    const count = (part: number[]): number => part.reduce((s, v) => s + v, 0);
    t.deepEqual(numbers(outputs.clean), [count(kept.slice(0, 4)), count(kept.slice(4))]);
  }
});

test("clean: prototypes move by the corrected labels, not by those given", (t) => {
  const before = start();
  const inputs = batch(identity, { pseudo_th: 0.3, alpha: 0.25, temperature: 0.5, proto_m: 0.75 });
  const { states, value } = run(program("clean"), before, inputs);
  const p = before.get("prototypes") as NdArray;
  const softmax = (l: readonly number[]): number[] =>
    l.map((v) => Math.exp(v) / l.reduce((s, u) => s + Math.exp(u), 0));
  const next = [0, 1, 2, 3].map((c) => numbers(rows(p, c, c + 1)));
  let corrected = 0;
  given.forEach((y, n) => {
    const q = numbers(rows(value("encoder_q.l2_normalize"), n, n + 1));
    const cls = softmax(numbers(rows(value("encoder_q.classifier.add"), n, n + 1)));
    const proto = softmax([0, 1, 2, 3].map((c) => q.reduce((s, v, d) => s + v * p.at(c, d), 0) / 0.5));
    const score = cls.map((v, c) => 0.25 * v + 0.75 * (proto[c] as number));
    const best = score.indexOf(Math.max(...score));
    const label = (score[best] as number) > Math.fround(0.3) ? best : y;
    if (label === y && (score[y] as number) <= 0.25) return; // dropped
    if (label !== y) corrected++;
    next[label] = (next[label] as number[]).map((v, d) => 0.75 * v + 0.25 * (q[d] as number));
  });
  t.true(corrected > 2, `${corrected} labels were corrected`);
  const want = next.flatMap((row) => row.map((v) => v / Math.hypot(...row)));
  near(t, states.get("prototypes") as NdArray, new NdArray([4, 8], Float64Array.from(want)), 1e-12, "prototypes");
});

test("a group without a kept sample has no class loss, and the step is still finite", (t) => {
  const before = new Map(start());
  before.set("encoder_q.classifier.bias", vector([50, 0, 0, 0])); // the classifier is sure of class 0
  const target = vector([1, 2, 3, 1, 2, 0, 0, 3]);
  const { outputs, states } = run(program("clean"), before, {
    ...batch(identity, { pseudo_th: 2, alpha: 1 }),
    target,
  });
  t.deepEqual(numbers(outputs.finite), [1]);
  t.deepEqual(numbers(outputs.clean), [0, 2]);
  t.deepEqual(numbers(outputs.target_out), numbers(target));
  t.is((outputs.loss_cls as NdArray).at(0), 0);
  t.is((outputs.loss_proto as NdArray).at(0), 0);
  t.is((outputs.loss as NdArray).at(0), (outputs.loss_inst as NdArray).at(0));
  for (const [name, x] of states) t.true(x.data.every(Number.isFinite), name);
});

test("evaluate and embed use the running averages; weight 0 fills up a batch", (t) => {
  const states = stepOf("proto").states;
  const { img, target } = batch() as { img: NdArray; target: NdArray };
  const weight = vector([1, 1, 1, 1, 1, 0, 0, 0]);
  const e = run(program("evaluate"), states, { img, target, weight });
  const logits = e.outputs.logits as NdArray;
  const hits = given.filter(
    (y, n) => n < 5 && numbers(rows(logits, n, n + 1)).indexOf(Math.max(...rows(logits, n, n + 1).data)) === y,
  );
  t.deepEqual(numbers(e.outputs.correct1), [hits.length]);
  t.deepEqual(numbers(e.outputs.correct5), [5], "there are only four classes");
  const one = run(program("embed"), states, { img, "hyper.temperature": NdArray.scalar(0.1) }).outputs;
  near(t, one.logits as NdArray, logits, 1e-12, "logits");
  t.deepEqual((one.feature as NdArray).shape, [8, 32]);
  const p = states.get("prototypes") as NdArray;
  const dot = rows(one.embedding as NdArray, 2, 3).data.reduce((s, v, d) => s + v * p.at(3, d), 0);
  t.true(Math.abs((one.proto_logits as NdArray).at(2, 3) - dot / 0.1) < 1e-9);
});

test("bad settings are refused by name", (t) => {
  t.throws(() => programs({ groups: 3 }), { message: "a batch of 8 cannot be divided into 3 equal groups" });
  t.throws(() => programs({ queue: 0 }), { message: "queue must be a positive whole number, not 0" });
  t.throws(() => programs({ width: 0.001 }), { message: /width 0.001 makes 0.064 channels/ });
  t.throws(() => programs({ batch: 2, groups: 2 }), {
    message: /batch_norm in encoder_q.layer4.0.bn1: a variance needs at least 2 values per channel and group, not 1/,
  });
});

test(
  "sample weights: even ones change nothing; a sample of weight 0 has no label, in the losses and in the " +
    "prototypes",
  (t) => {
    const weighted = programs({ sample_weights: 1 });
    const step = (phase: string, weight: readonly number[], target = given) =>
      run(program(phase, weighted), start(), {
        ...batch(identity, { pseudo_th: 2, alpha: 1 }),
        target: vector(target),
        weight: vector(weight),
      });
    for (const phase of phases) {
      const plain = run(program(phase), start(), batch(identity, { pseudo_th: 2, alpha: 1 }));
      const even = step(
        phase,
        given.map(() => 2),
      );
      for (const [name, x] of plain.states) near(t, even.states.get(name) as NdArray, x, 1e-12, `${phase} ${name}`);
      for (const [name, x] of Object.entries(plain.outputs))
        near(t, even.outputs[name] as NdArray, x as NdArray, 1e-12, `${phase} ${name}`);
    }
    const without = given.map((_, i) => (i === 3 || i === 6 ? 0 : 1));
    const other = given.map((y, i) => (without[i] === 0 ? (y + 1) % 4 : y));
    const [a, b] = [step("proto", without), step("proto", without, other)];
    for (const [name, x] of a.states) near(t, b.states.get(name) as NdArray, x, 0, name);
    for (const name of ["loss", "loss_cls", "loss_proto", "loss_inst"])
      near(t, b.outputs[name] as NdArray, a.outputs[name] as NdArray, 0, name);
    const all = step(
      "proto",
      given.map(() => 1),
    );
    t.notDeepEqual(numbers(a.outputs.loss_cls), numbers(all.outputs.loss_cls));
    t.notDeepEqual(numbers(a.states.get("prototypes")), numbers(all.states.get("prototypes")));
  },
);
