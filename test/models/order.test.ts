// One clean step against the published algorithm, computed here only from forward passes of the two encoders: which
// values a step reads before, and which after its own updates. The key encoder is far from the query encoder and
// follows it by half, because with k = q and m = 0.999 old and new keys would be hard to tell apart.

import test from "ava";
import { Builder } from "../../compiler/ir/builder.js";
import { NdArray } from "../../compiler/ir/nd.js";
import * as op from "../../compiler/ops/index.js";
import { encoder } from "../../models/encoder.js";
import { imagenet, Net } from "../../models/nn.js";
import { randomArray } from "../support/random.js";
import { batch, config, given, near, numbers, program, start, vector } from "../support/tiny_mopro.js";
import { type Inputs, rows, run, type States } from "../support/training.js";

const order = [3, 0, 6, 1, 7, 2, 5, 4];
const hyper = {
  lr: 0.05,
  momentum: 0.8,
  weight_decay: 0.01,
  moco_m: 0.5,
  proto_m: 0.7,
  temperature: 0.4,
  alpha: 0.25,
  pseudo_th: 0.47,
  w_inst: 0.5,
  w_proto: 2,
};
type Hyper = Record<keyof typeof hyper, number>;
/** As the graph gets them: f32 numbers. */
const h = Object.fromEntries(Object.entries(hyper).map(([k, v]) => [k, Math.fround(v)])) as Hyper;
const inputs: Inputs = batch(order, hyper);

const trained = /^encoder_q\..*(weight|bias)$/;
const map = (x: NdArray, f: (v: number, i: number) => number): NdArray => new NdArray(x.shape, x.data.map(f));
const at = (states: States, name: string): NdArray => {
  const x = states.get(name);
  if (!x) throw new Error(`no state ${name}`);
  return x;
};
const key = (name: string): string => name.replace("encoder_q", "encoder_k");

/** Key encoder, BatchNorm's buffers of both, and momenta, moved away from where a run starts. */
const before: States = new Map(
  [...start()].map(([name, x], i) => {
    const noise = randomArray(x.shape, 900 + i, -0.1, 0.1);
    if (name.startsWith("encoder_k.") && !name.endsWith("num_batches_tracked"))
      return [name, map(x, (v, j) => v + Math.abs(noise.data[j] as number))];
    if (name.endsWith("running_mean") || name.startsWith("optimizer."))
      return [name, map(x, (v, j) => v + (noise.data[j] as number))];
    return [name, x];
  }),
);
const followed: States = new Map(
  [...before].map(([name, x]) => {
    const q = name.replace("encoder_k", "encoder_q");
    if (q === name || !trained.test(q)) return [name, x];
    return [name, map(x, (v, i) => h.moco_m * v + (1 - h.moco_m) * (at(before, q).data[i] as number))];
  }),
);

/** The encoder alone, in training mode, on images in this order. */
function forward(name: "encoder_q" | "encoder_k", states: States, img: NdArray): { logits: number[][]; z: number[][] } {
  const b = Builder.create("forward", { groups: config.groups });
  const x = op.normalize_image(b, b.input("img", { dtype: "u8", shape: img.shape }), imagenet);
  const { logits, embedding } = encoder(new Net(b, { training: true }).in(name), x, config);
  const { value } = run(b.finish([logits, embedding]), states, { img });
  const matrix = (x: NdArray): number[][] => given.map((_, n) => numbers(rows(x, n, n + 1)));
  return { logits: matrix(value(logits.name)), z: matrix(value(embedding.name)) };
}

/** Keys by image: encoded in the shuffled order, each group its slice, and given back. */
function keysOf(states: States): number[][] {
  const all = inputs.img_aug as NdArray;
  const size = all.data.length / given.length;
  const shuffled = NdArray.fill(all.shape, (i) => {
    const from = order[Math.floor(i / size)] as number;
    return all.data[from * size + (i % size)] as number;
  });
  const { z } = forward("encoder_k", states, shuffled);
  return given.map((_, n) => z[order.indexOf(n)] as number[]);
}

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((s, v, i) => s + v * (b[i] as number), 0);
const softmax = (l: readonly number[]): number[] => {
  const e = l.map((v) => Math.exp(v - Math.max(...l)));
  return e.map((v) => v / e.reduce((s, u) => s + u, 0));
};
const entropy = (l: readonly number[], y: number): number => -Math.log(softmax(l)[y] as number);
const isTop = (l: readonly number[], y: number): number => (l.indexOf(Math.max(...l)) === y ? 1 : 0);
const groupsOf = <T>(x: readonly T[]): T[][] => [x.slice(0, 4), x.slice(4)];

const step = run(program("clean"), before, inputs);
const query = forward("encoder_q", before, inputs.img as NdArray);
const keys = keysOf(followed);
const K = config.num_class;
const prototype = (c: number): number[] => numbers(rows(at(before, "prototypes"), c, c + 1));
const column = (queue: NdArray, c: number): number[] =>
  Array.from({ length: config.low_dim }, (_, d) => queue.at(d, c % config.queue));

const toPrototypes = query.z.map((q) => Array.from({ length: K }, (_, c) => dot(q, prototype(c)) / h.temperature));
const toKeys = query.z.map((q, n) =>
  [keys[n] as number[], ...Array.from({ length: config.queue }, (_, c) => column(at(before, "queue"), c))].map(
    (k) => dot(q, k) / h.temperature,
  ),
);
const verdicts = given.map((y, n) => {
  const proto = softmax(toPrototypes[n] as number[]);
  const s = softmax(query.logits[n] as number[]).map((v, c) => h.alpha * v + (1 - h.alpha) * (proto[c] as number));
  const top = Math.max(...s);
  return top > h.pseudo_th ? { y: s.indexOf(top), kept: 1 } : { y, kept: (s[y] as number) > 1 / K ? 1 : 0 };
});

test("the keys are those of the key encoder after its moving average, and are pushed once they were used", (t) => {
  const old = at(before, "queue");
  const pushed = at(step.states, "queue");
  const stale = keysOf(before);
  for (let n = 0; n < given.length; n++) {
    near(t, vector(column(pushed, 7 + n)), vector(keys[n] as number[]), 1e-12, `key ${n}`);
    t.true(
      column(pushed, 7 + n).some((v, d) => Math.abs(v - (stale[n]?.[d] as number)) > 1e-3),
      "old and new weights tell different keys",
    );
  }
  for (let c = 3; c < 7; c++) t.deepEqual(column(pushed, c), column(old, c), "columns that are not reached stay");
  t.deepEqual(numbers(at(step.states, "queue_ptr")), [(7 + 8) % 12]);
  for (const [name, x] of followed)
    if (name.startsWith("encoder_k.") && trained.test(name.replace("_k", "_q")))
      near(t, at(step.states, name), x, 0, name);
});

test("losses and counts: prototypes and queue from before the step, labels after correction", (t) => {
  const dropped = verdicts.filter((v) => v.kept === 0).length;
  const moved = verdicts.filter((v, n) => v.y !== given[n]).length;
  t.true(dropped > 0 && moved > 0 && dropped + moved < 8, `${dropped} dropped, ${moved} relabelled`);
  const mean = (logits: number[][]): number[] =>
    groupsOf(verdicts.map((v, n) => ({ ...v, l: logits[n] as number[] }))).map((g) => {
      const kept = g.filter((v) => v.kept);
      return kept.length === 0 ? 0 : kept.reduce((s, v) => s + entropy(v.l, v.y), 0) / kept.length;
    });
  const correct = (logits: number[][]): number[] =>
    groupsOf(verdicts.map((v, n) => v.kept * isTop(logits[n] as number[], v.y))).map((g) => g.reduce((s, v) => s + v));
  const cls = mean(query.logits);
  const proto = mean(toPrototypes);
  const inst = groupsOf(toKeys).map((g) => g.reduce((s, l) => s + entropy(l, 0), 0) / g.length);
  const want = {
    target_out: verdicts.map((v) => v.y),
    kept: verdicts.map((v) => v.kept),
    clean: groupsOf(verdicts).map((g) => g.reduce((s, v) => s + v.kept, 0)),
    correct_cls: correct(query.logits),
    correct_proto: correct(toPrototypes),
    correct_inst: groupsOf(toKeys).map((g) => g.reduce((s, l) => s + isTop(l, 0), 0)),
    loss_cls: cls,
    loss_proto: proto,
    loss_inst: inst,
    loss: cls.map((v, g) => v + h.w_proto * (proto[g] as number) + h.w_inst * (inst[g] as number)),
  };
  for (const [name, w] of Object.entries(want)) near(t, step.outputs[name] as NdArray, vector(w), 1e-10, name);
});

test("prototypes move by the queries of kept samples, in order, under their corrected labels", (t) => {
  const p = Array.from({ length: K }, (_, c) => prototype(c));
  verdicts.forEach(({ y, kept }, n) => {
    if (kept) p[y] = (p[y] as number[]).map((v, d) => h.proto_m * v + (1 - h.proto_m) * (query.z[n]?.[d] as number));
  });
  const want = p.flatMap((row) => row.map((v) => v / Math.hypot(...row)));
  near(
    t,
    at(step.states, "prototypes"),
    new NdArray([K, config.low_dim], Float64Array.from(want)),
    1e-12,
    "prototypes",
  );
});

/** Mean and unbiased variance of a channel of conv1's result, over four images. */
function statistics(weight: NdArray, img: NdArray, images: readonly number[], channel: number): [number, number] {
  const size = config.image_size;
  const pixel = (n: number, c: number, y: number, x: number): number => {
    if (y < 0 || x < 0 || y >= size || x >= size) return 0;
    const [mean, std] = [[0.485, 0.456, 0.406][c] as number, [0.229, 0.224, 0.225][c] as number]; // of ImageNet
    return (img.at(n, c, y, x) / 255 - mean) / std;
  };
  const values: number[] = [];
  for (const n of images)
    for (let y = 0; y < size; y += 2)
      for (let x = 0; x < size; x += 2) {
        let sum = 0;
        for (let c = 0; c < 3; c++)
          for (let i = 0; i < 7; i++)
            for (let j = 0; j < 7; j++) sum += weight.at(channel, c, i, j) * pixel(n, c, y + i - 3, x + j - 3);
        values.push(sum);
      }
  const mean = values.reduce((s, v) => s + v, 0) / values.length;
  return [mean, values.reduce((s, v) => s + (v - mean) ** 2, 0) / (values.length - 1)];
}

test("running averages: a tenth of the first group's statistics, unbiased; the key encoder has its own", (t) => {
  for (const [net, states, img, images] of [
    ["encoder_q", before, inputs.img, [0, 1, 2, 3]],
    ["encoder_k", followed, inputs.img_aug, order.slice(0, 4)],
  ] as const) {
    for (const channel of [0, 17]) {
      const weight = at(states, `${net}.conv1.weight`);
      const [mean, variance] = statistics(weight, img as NdArray, images, channel);
      for (const [name, batch] of [
        ["running_mean", mean],
        ["running_var", variance],
      ] as const) {
        const old = at(before, `${net}.bn1.${name}`).at(channel);
        const got = at(step.states, `${net}.bn1.${name}`).at(channel);
        t.true(Math.abs(got - (0.9 * old + 0.1 * batch)) < 1e-6 * (1 + Math.abs(got)), `${net} ${name}: ${got}`);
      }
    }
    t.is(at(step.states, `${net}.layer4.0.bn2.num_batches_tracked`).at(), 1);
  }
});

test("SGD: decay on every query parameter, the groups' mean gradient, and none through the keys", (t) => {
  const plain = run(program("clean"), before, batch(order, { ...hyper, momentum: 0, weight_decay: 0 })).states;
  const velocity = (name: string): string => `optimizer.momentum.${name}`;
  const params = [...before.keys()].filter((name) => trained.test(name));
  for (const name of params) {
    const [p, v, g] = [at(before, name), at(before, velocity(name)), at(plain, velocity(name))];
    const next = map(v, (x, i) => h.momentum * x + (g.data[i] as number) + h.weight_decay * (p.data[i] as number));
    near(t, at(step.states, velocity(name)), next, 1e-12, velocity(name));
    near(
      t,
      at(step.states, name),
      map(p, (x, i) => x - h.lr * (next.data[i] as number)),
      1e-12,
      name,
    );
  }
  t.false([...before.keys()].some((name) => name.startsWith("optimizer.momentum.encoder_k")));

  // Along a random direction the loss changes as the gradient says, the key encoder held where it is.
  const direction = new Map(params.map((name, i) => [name, randomArray(at(before, name).shape, 50 + i)] as const));
  const loss = (by: number): number => {
    const shifted = new Map(before);
    for (const [name, d] of direction) {
      shifted.set(
        name,
        map(at(before, name), (v, i) => v + by * (d.data[i] as number)),
      );
      const back = (by * (1 - h.moco_m)) / h.moco_m;
      shifted.set(
        key(name),
        map(at(before, key(name)), (v, i) => v - back * (d.data[i] as number)),
      );
    }
    const { outputs } = run(program("clean"), shifted, inputs);
    return numbers(outputs.loss).reduce((s, v) => s + v, 0) / config.groups;
  };
  const slope = params.reduce(
    (s, name) => s + dot(numbers(at(plain, velocity(name))), numbers(direction.get(name))),
    0,
  );
  const by = 1e-7; // further along, ReLUs turn over
  const measured = (loss(by) - loss(-by)) / (2 * by);
  t.true(Math.abs(measured - slope) < 1e-6 * Math.abs(slope), `${measured} by differences, ${slope} by the gradient`);
});
