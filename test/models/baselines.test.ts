// The classifier's step with label smoothing, mixup and sample weights against the formulas in f64, and its gradient
// against finite differences.

import test from "ava";
import { NdArray } from "../../compiler/ir/nd.js";
import { verify } from "../../compiler/ir/verify.js";
import { classifierPrograms } from "../../models/classifier.js";
import { type Inputs, images, initialStates, run, type States } from "../support/training.js";

const [batch, classes, groups] = [8, 3, 2];
const config = { arch: "resnet10", width: 1 / 16, num_class: classes, image_size: 32, batch, groups } as const;
const train = classifierPrograms({
  ...config,
  label_smoothing: true,
  mixup: true,
  sample_weights: true,
})[0] as ReturnType<typeof classifierPrograms>[number];
const logits = train.nodes.find((n) => n.op === "softmax_cross_entropy")?.inputs[0]?.name as string;

const target = [0, 1, 2, 0, 1, 2, 2, 1];
const order = [3, 0, 5, 6, 1, 7, 2, 4];
const weight = [1, 0.5, 2, 0, 1, 1, 0, 3];
const vector = (xs: readonly number[]): NdArray => new NdArray([xs.length], Float64Array.from(xs));

function inputs(smoothing: number, mix: number, more: Inputs = {}): Inputs {
  const scalars = { lr: 0.1, momentum: 0, weight_decay: 0, label_smoothing: smoothing, mix };
  return {
    ...Object.fromEntries(Object.entries(scalars).map(([k, x]) => [`hyper.${k}`, NdArray.scalar(x)])),
    img: images(target, 32, 1),
    target: vector(target),
    order: vector(order),
    target_b: vector(order.map((i) => target[i] as number)),
    weight: vector(weight),
    ...more,
  };
}
const states = initialStates(train, 4);
const lossOf = (s: States, x: Inputs): Float64Array => run(train, s, x).outputs.loss?.data as Float64Array;
const near = (a: number, b: number, tolerance = 1e-9): boolean =>
  Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b));

test("the loss is the weighted mean of mixed and smoothed cross-entropies, group by group", (t) => {
  t.notThrows(() => verify(train));
  for (const [smoothing, mix] of [
    [0.1, 0.7],
    [0, 0.3],
    [0.2, 1],
  ] as const) {
    const r = run(train, states, inputs(smoothing, mix));
    const z = r.value(logits);
    for (let g = 0; g < groups; g++) {
      let [sum, weights] = [0, 0];
      for (let n = (g * batch) / groups; n < ((g + 1) * batch) / groups; n++) {
        const row = Array.from({ length: classes }, (_, k) => z.at(n, k));
        const lse = Math.log(row.reduce((s, v) => s + Math.exp(v), 0));
        const entropy = (k: number): number => lse - (row[k] as number);
        const hard = mix * entropy(target[n] as number) + (1 - mix) * entropy(target[order[n] as number] as number);
        const uniform = lse - row.reduce((s, v) => s + v, 0) / classes;
        sum += (weight[n] as number) * ((1 - smoothing) * hard + smoothing * uniform);
        weights += weight[n] as number;
      }
      t.true(
        near(r.outputs.loss?.data[g] as number, sum / weights),
        `group ${g}: ${r.outputs.loss?.data[g]}, ${sum / weights}`,
      );
    }
  }
});

test("images are mixed as their labels are: share 0 is the other image with its label, 1 the image itself", (t) => {
  const even = vector(Array(batch).fill(1));
  const img = images(target, 32, 1);
  const size = img.data.length / batch;
  const other = new NdArray(
    img.shape,
    Float64Array.from(order.flatMap((i) => [...img.data.subarray(i * size, (i + 1) * size)])),
  );
  const swapped = lossOf(
    states,
    inputs(0.1, 1, { img: other, target: vector(order.map((i) => target[i] as number)), weight: even }),
  );
  lossOf(states, inputs(0.1, 0, { weight: even })).forEach((x, g) =>
    t.true(near(x, swapped[g] as number), `${x} ${swapped[g]}`),
  );
  const plain = classifierPrograms(config)[0] as typeof train;
  const { loss } = run(plain, states, inputs(0, 1)).outputs;
  lossOf(states, inputs(0, 1, { weight: even })).forEach((x, g) => t.true(near(x, loss?.data[g] as number)));
});

test("a group without weight has loss 0, and no gradient that is not finite", (t) => {
  const r = run(train, states, inputs(0.1, 0.5, { weight: vector([0, 0, 0, 0, 1, 1, 1, 1]) }));
  t.is(r.outputs.loss?.data[0], 0);
  t.is(r.outputs.finite?.at(), 1);
});

test("the gradient is that of the formula", (t) => {
  const x = inputs(0.15, 0.6);
  const gradient = run(train, states, x).states.get("optimizer.momentum.fc.bias") as NdArray;
  const mean = (s: States): number => lossOf(s, x).reduce((a, b) => a + b, 0) / groups;
  const bias = states.get("fc.bias") as NdArray;
  for (let k = 0; k < classes; k++) {
    const at = (h: number): number =>
      mean(
        new Map(states).set(
          "fc.bias",
          new NdArray(
            bias.shape,
            bias.data.map((v, i) => v + (i === k ? h : 0)),
          ),
        ),
      );
    const difference = (at(1e-4) - at(-1e-4)) / 2e-4;
    t.true(near(gradient.at(k), difference, 1e-6), `${gradient.at(k)} ${difference}`);
  }
});
