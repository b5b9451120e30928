// The graph of a rank: all ranks together compute the same as the graph of the whole batch, and send no more than they
// must.

import test from "ava";
import { Builder } from "../../compiler/ir/builder.js";
import { NdArray } from "../../compiler/ir/nd.js";
import { byteSize, type Graph, type Shuffle, type Value } from "../../compiler/ir/types.js";
import { verify } from "../../compiler/ir/verify.js";
import * as op from "../../compiler/ops/index.js";
import { distribute } from "../../compiler/passes/distribute.js";
import { optimize } from "../../compiler/pipeline.js";
import { classifierPrograms } from "../../models/classifier.js";
import { phases } from "../../models/mopro.js";
import { nativeTarget } from "../support/compiled.js";
import { evaluateRanks } from "../support/ranks.js";
import { batch, config, programs, start } from "../support/tiny_mopro.js";
import { type Inputs, images, initialStates, rows, run, type States } from "../support/training.js";

/** Words of a rank's mail before the numbers of its rows. */
const mailWords = 4;

const order = [3, 0, 6, 1, 7, 2, 5, 4];

/** What rank r of `ranks` is fed: its part of every input that its graph has in parts. */
function feedOf(
  whole: Graph,
  local: Graph,
  inputs: Inputs,
  states: States,
  r: number,
  shuffle: Shuffle,
): ReadonlyMap<string, NdArray> {
  const feed = new Map(states);
  for (const v of local.inputs) {
    if (v.name === "mail")
      feed.set(
        "mail",
        new NdArray(
          v.type.shape,
          Float64Array.from({ length: v.type.shape[0] as number }, (_, i) => 100 * r + i),
        ),
      );
    else {
      const x = inputs[v.name] as NdArray;
      const all = v.name === "img_aug" && shuffle === "load" ? permuted(x) : x;
      const [size, full] = [v.type.shape[0] ?? 0, whole.inputs.find((w) => w.name === v.name)?.type.shape[0] ?? 0];
      feed.set(v.name, size === full ? all : rows(all, r * size, (r + 1) * size));
    }
  }
  return feed;
}

const permuted = (x: NdArray): NdArray =>
  new NdArray(x.shape, Float64Array.from(order.flatMap((i) => [...rows(x, i, i + 1).data])));

function worst(a: NdArray, b: NdArray): number {
  return a.data.reduce(
    (w, v, i) => Math.max(w, Math.abs(v - (b.data[i] as number))),
    a.data.length === b.data.length ? 0 : Number.POSITIVE_INFINITY,
  );
}

for (const [groups, ranks] of [
  [2, 2],
  [4, 2],
  [4, 4],
] as const)
  for (const shuffle of ["load", "exchange"] as const)
    for (const phase of phases)
      test(`${phase}: ${ranks} ranks compute what ${groups} groups do, key images by ${shuffle}`, (t) => {
        const whole = programs({ groups }).get(phase) as Graph;
        const local = distribute(whole, ranks, shuffle);
        verify(local);
        verify(optimize(local, nativeTarget));
        const [inputs, states] = [batch(order), start(whole)];
        const want = run(whole, states, inputs);
        const envs = evaluateRanks(
          local,
          Array.from({ length: ranks }, (_, r) => feedOf(whole, local, inputs, states, r, shuffle)),
        );
        envs.forEach((env, r) => {
          for (const v of local.outputs) {
            if (v.name === "mails")
              t.deepEqual(
                [...(env.get(v) as NdArray).data],
                Array.from({ length: ranks }, (_, r) =>
                  Array.from({ length: mailWords + (2 * config.batch) / ranks }, (_, i) => 100 * r + i),
                ).flat(),
              );
            else t.true(worst(env.get(v) as NdArray, want.outputs[v.name] as NdArray) < 1e-9, `rank ${r}: ${v.name}`);
          }
          for (const [s, v] of local.updates) {
            if (r > 0 && local.firstRank?.includes(s.name)) continue;
            t.true(worst(env.get(v) as NdArray, want.states.get(s.name) as NdArray) < 1e-9, `rank ${r}: ${s.name}`);
          }
        });
        t.deepEqual(
          local.outputs.map((v) => v.name),
          [...whole.outputs.map((v) => v.name), "mails"],
        );
        t.true(local.firstRank?.every((s) => /running_(mean|var)$/.test(s)));
        t.is(local.firstRank?.length, whole.state.filter((s) => /running_(mean|var)$/.test(s.name)).length);
      });

test("what travels: gradients once, queries, keys, labels, losses; images only when they are exchanged", (t) => {
  const whole = programs({ groups: 2 }).get("clean") as Graph;
  const sent = (shuffle: Shuffle): Map<string, number> => {
    const local = optimize(distribute(whole, 2, shuffle), nativeTarget);
    return new Map(
      local.nodes
        .filter((n) => n.op === "all_reduce" || n.op === "all_gather")
        .map((n) => [n.outputs[0]?.name ?? "", byteSize((n.inputs[0] as Value).type)]),
    );
  };
  const [load, exchange] = [sent("load"), sent("exchange")];
  // A block's shortcut adds to its last BatchNorm: the gradients of their biases are one value.
  const params = whole.state.filter((s) => s.role === "param" && !s.name.endsWith("downsample.1.bias"));
  const reduced = params.reduce((sum, s) => sum + byteSize(s.type), 0);
  const total = (m: ReadonlyMap<string, number>): number => [...m.values()].reduce((a, b) => a + b, 0);
  const n = config.batch / 2;
  const rowBytes = 2 * n * config.low_dim * 4 + n * (8 + 4); // q, k; label, kept
  const perGroup = 4 * (4 + 3 + 1); // losses, correct, clean
  t.is(total(load), reduced + rowBytes + perGroup + 8 * (mailWords + 2 * n));
  t.is(total(exchange), total(load) + n * 3 * config.image_size ** 2);
});

test("evaluation is each rank's own", (t) => {
  const local = distribute(programs({ groups: 2 }).get("evaluate") as Graph, 2, "load");
  t.deepEqual(
    local.nodes.filter((n) => /all_|own_/.test(n.op)),
    [],
  );
  t.deepEqual(
    local.inputs.map((v) => v.type.shape[0]),
    [config.batch / 2, config.batch / 2, config.batch / 2],
  );
});

test("a classifier's step, with mixed images", (t) => {
  const c = {
    arch: "resnet10",
    width: 1 / 16,
    num_class: 4,
    image_size: 32,
    batch: 8,
    groups: 2,
    mixup: true,
    label_smoothing: true,
  } as const;
  const whole = classifierPrograms(c)[0] as Graph;
  const local = distribute(whole, 2, "load");
  verify(local);
  const labels = [0, 1, 2, 3, 3, 2, 1, 1];
  const vector = (v: readonly number[]): NdArray => new NdArray([v.length], Float64Array.from(v));
  const inputs: Inputs = {
    img: images(labels, 32, 1),
    target: vector(labels),
    order: vector(order),
    target_b: vector(order.map((i) => labels[i] as number)),
    "hyper.mix": NdArray.scalar(0.3),
    "hyper.lr": NdArray.scalar(0.1),
    "hyper.momentum": NdArray.scalar(0.9),
    "hyper.weight_decay": NdArray.scalar(1e-4),
    "hyper.label_smoothing": NdArray.scalar(0.1),
  };
  const states = initialStates(whole, 5);
  const want = run(whole, states, inputs);
  const envs = evaluateRanks(
    local,
    [0, 1].map((r) => feedOf(whole, local, inputs, states, r, "load")),
  );
  for (const [s, v] of local.updates)
    t.true(worst(envs[0]?.get(v) as NdArray, want.states.get(s.name) as NdArray) < 1e-9, s.name);
});

/** Slices of 8 rows; of two ranks the first has rows 0 to 3. `first`: only the first rank needs to have the result. */
const slices: readonly (readonly [start: number, end: number, axis: number, first: boolean])[] = [
  [0, 4, 0, true],
  [1, 3, 0, true],
  [0, 5, 0, false],
  [3, 5, 0, false],
  [4, 8, 0, false],
  [5, 7, 0, false],
  [7, 8, 0, false],
  [5, 7, -2, false],
];
for (const [start, end, axis, first] of slices)
  test(`rows ${start} to ${end - 1} of a batch, axis ${axis}: the same rows on every rank that has them`, (t) => {
    const b = Builder.create("g", { groups: 2 });
    const x = b.input("x", { dtype: "f32", shape: [8, 3] });
    const s = b.state("s", { dtype: "f32", shape: [end - start, 3] }, { kind: "constant", value: 0 });
    b.update(s, op.scale(b, op.slice(b, x, { axis, start, end }), { factor: 2 }));
    const local = distribute(b.finish([]), 2, "load");
    verify(local);
    t.is(local.firstRank?.includes("s"), first);
    const value = (row: number, i: number): number => 10 * row + i;
    const fill = (shape: readonly number[], from: number): NdArray =>
      NdArray.fill(shape, (i) => value(from + Math.floor(i / 3), i % 3));
    const zeros = NdArray.fill(s.type.shape, () => 0);
    const mail = local.inputs.find((v) => v.name === "mail")?.type.shape ?? [];
    const feeds = [0, 4].map(
      (from) =>
        new Map([
          ["x", fill([4, 3], from)],
          ["s", zeros],
          ["mail", NdArray.fill(mail, () => 0)],
        ]),
    );
    const want = [...fill(s.type.shape, start).data].map((v) => 2 * v);
    evaluateRanks(local, feeds).forEach((env, r) => {
      if (r > 0 && first) return;
      const next = [...local.updates].find(([state]) => state.name === "s")?.[1] as Value;
      t.deepEqual([...(env.get(next) as NdArray).data], want, `rank ${r}`);
    });
  });

test("groups that do not fall to the ranks in powers of two", (t) => {
  const warmup = programs({ groups: 2 }).get("warmup") as Graph;
  t.throws(() => distribute(warmup, 4, "load"), { message: /2 groups cannot be divided among 4 ranks/ });
  const b = Builder.create("g", { groups: 6 });
  const x = b.input("x", { dtype: "f32", shape: [12, 3] });
  const s = b.state("s", { dtype: "f32", shape: [3] }, { kind: "constant", value: 0 });
  b.update(s, op.group_sum(b, op.channel_sum(b, x, { groups: 6 })));
  t.throws(() => distribute(b.finish([]), 2, "load"), { message: /6 groups on 2 ranks are 3 per rank/ });
});
