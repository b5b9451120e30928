// The sizes of the networks against the published ones, and the classifier's programs.

import test from "ava";
import { Builder } from "../../compiler/ir/builder.js";
import { NdArray } from "../../compiler/ir/nd.js";
import { elements, type Value } from "../../compiler/ir/types.js";
import { verify } from "../../compiler/ir/verify.js";
import { classifierPrograms } from "../../models/classifier.js";
import { encoder } from "../../models/encoder.js";
import { moproPrograms } from "../../models/mopro.js";
import { Net } from "../../models/nn.js";
import { type Arch, archOf, featureSize, trunk } from "../../models/trunk.js";
import { images, initialStates, run } from "../support/training.js";

/**
 * Parameters without the last linear layer: those of the well-known models minus their 1000-way classifiers.
 */
const published: Readonly<Partial<Record<Arch, number>>> = {
  resnet18: 11_689_512 - 513_000,
  resnet34: 21_797_672 - 513_000,
  resnet50: 25_557_032 - 2_049_000,
  resnet101: 44_549_160 - 2_049_000,
  resnet152: 60_192_808 - 2_049_000,
};

for (const [arch, count] of Object.entries(published) as [Arch, number][]) {
  test(`${arch} has ${count} parameters in its trunk`, (t) => {
    const b = Builder.create("trunk");
    const x = b.input("x", { dtype: "f32", shape: [2, 3, 64, 64] });
    const feature = trunk(new Net(b, { training: true }), x, { arch, width: 1 });
    t.deepEqual(feature.type.shape, [2, featureSize({ arch, width: 1 })]);
    t.is(
      b.states.filter((s) => s.role === "param").reduce((n, s) => n + elements(s.type.shape), 0),
      count,
    );
  });
}

test("width widens the stages and leaves the stem; odd image sizes work", (t) => {
  const b = Builder.create("trunk");
  const x = b.input("x", { dtype: "f32", shape: [2, 3, 75, 61] });
  const feature = trunk(new Net(b, { training: true }), x, { arch: "resnet50", width: 0.5 });
  t.deepEqual(feature.type.shape, [2, 1024]);
  const shape = (name: string): readonly number[] | undefined => b.states.find((s) => s.name === name)?.type.shape;
  t.deepEqual(shape("conv1.weight"), [64, 3, 7, 7]);
  t.deepEqual(shape("layer1.0.conv1.weight"), [32, 64, 1, 1]);
  t.deepEqual(shape("layer4.0.downsample.0.weight"), [1024, 512, 1, 1]);
});

test("the stride of a bottleneck sits on its 3x3 convolution", (t) => {
  const b = Builder.create("trunk");
  trunk(new Net(b, { training: false }), b.input("x", { dtype: "f32", shape: [1, 3, 64, 64] }), {
    arch: "resnet50",
    width: 1,
  });
  const strided = b.nodes.filter((n) => n.op === "conv" && n.attrs.stride === 2).map((n) => n.scope);
  const stages = [2, 3, 4].flatMap((s) => [`layer${s}.0.conv2`, `layer${s}.0.downsample.0`]);
  t.deepEqual(strided, ["conv1", ...stages]);
});

test("an encoder of resnet50 has 165 parameters, the published checkpoint 651 entries", (t) => {
  const b = Builder.create("encoder");
  const x = b.input("x", { dtype: "f32", shape: [2, 3, 32, 32] });
  encoder(new Net(b, { training: true }), x, { arch: "resnet50", width: 1, num_class: 1000, low_dim: 128 });
  t.is(b.states.filter((s) => s.role === "param").length, 165);
  const [g] = moproPrograms({
    arch: "resnet50",
    width: 1,
    num_class: 1000,
    low_dim: 128,
    queue: 8192,
    image_size: 64,
    batch: 4,
    groups: 2,
  });
  t.is(g?.state.filter((s) => s.role !== "momentum").length, 651);
  t.is(g?.state.filter((s) => s.role === "momentum").length, 165);
});

test("initial values are the published ones", (t) => {
  const b = Builder.create("encoder");
  const x = b.input("x", { dtype: "f32", shape: [2, 3, 32, 32] });
  encoder(new Net(b, { training: true }), x, { arch: "resnet18", width: 1, num_class: 10, low_dim: 128 });
  const init = (name: string): unknown => b.states.find((s) => s.name === name)?.init;
  t.deepEqual(init("conv1.weight"), { kind: "normal", std: Math.sqrt(2 / (7 * 7 * 64)) });
  t.deepEqual(init("layer2.0.downsample.0.weight"), { kind: "normal", std: Math.sqrt(2 / 128) });
  t.deepEqual(init("bn1.weight"), { kind: "constant", value: 1 });
  t.deepEqual(init("bn1.running_var"), { kind: "constant", value: 1 });
  t.deepEqual(init("fc2.bias"), { kind: "uniform", bound: 1 / Math.sqrt(2048) });
  t.deepEqual(init("classifier.weight"), { kind: "uniform", bound: 1 / Math.sqrt(512) });
});

test("an encoder is a classifier and a projection with a ReLU, of length 1, on one feature; eps as published", (t) => {
  const size = { arch: "resnet10", width: 1 / 16, num_class: 3, low_dim: 4 } as const;
  for (const training of [false, true]) {
    const b = Builder.create("encoder");
    const x = b.input("x", { dtype: "f32", shape: [2, 3, 32, 32] });
    const e = encoder(new Net(b, { training }), x, size);
    const g = b.finish([e.feature, e.logits, e.embedding]);
    const eps = (name: string): unknown[] => [
      ...new Set(g.nodes.filter((n) => n.op === name).map((n) => (n.attrs as { eps: number }).eps)),
    ];
    t.deepEqual(eps(training ? "batch_norm" : "batch_norm_inference"), [1e-5]);
    t.deepEqual(eps("l2_normalize"), [1e-12]);
    if (training) continue;
    const states = initialStates(g, 3);
    const { value } = run(g, states, { x: images([0, 1], 32, 4) });
    const linear = (v: readonly number[], name: string): number[] => {
      const [w, bias] = [states.get(`${name}.weight`) as NdArray, states.get(`${name}.bias`) as NdArray];
      return [...bias.data].map((c, o) => v.reduce((s, f, i) => s + f * w.at(o, i), c));
    };
    const width = featureSize(size);
    for (const n of [0, 1]) {
      const row = (v: Value, count: number): number[] => [...value(v.name).data.subarray(n * count, (n + 1) * count)];
      const feature = row(e.feature, width);
      const z = linear(
        linear(feature, "fc1").map((h) => Math.max(h, 0)),
        "fc2",
      );
      const close = (got: number[], want: number[], name: string): void =>
        want.forEach((w, i) => t.true(Math.abs(w - (got[i] as number)) < 1e-12 * (1 + Math.abs(w)), name));
      close(row(e.logits, 3), linear(feature, "classifier"), "logits");
      close(
        row(e.embedding, 4),
        z.map((v) => v / Math.hypot(...z)),
        "embedding",
      );
    }
  }
});

test("where fc alone is trained, the step writes fc and its momenta, and takes the trunk as it is", (t) => {
  const size = { arch: "resnet10", width: 1 / 16, num_class: 3, image_size: 32, batch: 4, groups: 2 } as const;
  const written = (trained: "all" | "fc"): string[] => {
    const [train] = classifierPrograms({ ...size, trained });
    return [...(train?.updates.keys() ?? [])].map((s) => s.name).sort();
  };
  t.deepEqual(written("fc"), ["fc.bias", "fc.weight", "optimizer.momentum.fc.bias", "optimizer.momentum.fc.weight"]);
  const [train] = classifierPrograms({ ...size, trained: "fc" });
  t.false(
    train?.nodes.some((n) => n.op === "batch_norm"),
    "BatchNorm by its running averages",
  );
  t.true(written("all").includes("layer1.0.conv1.weight") && written("all").includes("bn1.running_var"));
});

test("unknown architectures are refused with the known ones", (t) => {
  t.is(archOf("resnet34"), "resnet34");
  t.throws(() => archOf("vgg16"), { message: /unknown architecture vgg16; known: resnet10, resnet18/ });
});

test("the classifier learns a batch by heart, and evaluates it", (t) => {
  const labels = [0, 1, 2, 0, 1, 2, 2, 1];
  const config = {
    arch: "resnet10",
    width: 1 / 16,
    num_class: 3,
    image_size: 32,
    batch: 8,
    groups: 2,
  } as const;
  const [train, evaluate] = classifierPrograms(config);
  if (!train || !evaluate) return t.fail("two programs expected");
  for (const g of [train, evaluate]) t.notThrows(() => verify(g));
  t.deepEqual(
    train.inputs.map((v) => v.name),
    ["img", "target", "hyper.lr", "hyper.momentum", "hyper.weight_decay"],
  );
  const scalar = (x: number): NdArray => NdArray.scalar(x);
  const inputs = {
    img: images(labels, 32, 1),
    target: new NdArray([8], Float64Array.from(labels)),
    "hyper.lr": scalar(0.02),
    "hyper.momentum": scalar(0.9),
    "hyper.weight_decay": scalar(1e-4),
  };
  let states = initialStates(train, 9);
  let loss = 0;
  const first = run(train, states, inputs).outputs.loss?.at(0) as number;
  for (let i = 0; i < 12; i++) {
    const step = run(train, states, inputs);
    states = step.states;
    loss = step.outputs.loss?.at(0) as number;
  }
  t.true(loss < 0.3 * first, `${first} -> ${loss}`);
  const weight = NdArray.fill([8], () => 1);
  const { outputs } = run(evaluate, states, { img: inputs.img, target: inputs.target, weight });
  t.true((outputs.correct1?.at(0) as number) >= 0);
  t.deepEqual(outputs.correct5?.data, Float64Array.of(8));
});
