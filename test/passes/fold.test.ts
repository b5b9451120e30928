// Folding BatchNorm and input scales into convolutions: the same values to 1e-12, and nothing is folded that another
// node reads.

import test from "ava";
import { Builder } from "../../compiler/ir/builder.js";
import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, State, Value } from "../../compiler/ir/types.js";
import { verify } from "../../compiler/ir/verify.js";
import { neededPart } from "../../compiler/onnx/deploy.js";
import * as op from "../../compiler/ops/index.js";
import { foldBatchNorm } from "../../compiler/passes/fold_batch_norm.js";
import { foldScale } from "../../compiler/passes/fold_scale.js";
import type { Valued } from "../../compiler/rewrite/valued.js";
import { deployed, type Network } from "../../models/deploy.js";
import { randomArray } from "../support/random.js";

/** A graph with random states; variances are positive. */
function valued(g: Graph): Valued {
  const random = (s: State, i: number): NdArray =>
    s.name.endsWith("var") ? randomArray(s.type.shape, i, 0.1, 3) : randomArray(s.type.shape, i, -1, 1);
  return { graph: g, values: new Map(g.state.map((s, i) => [s.name, random(s, i + 1)])) };
}

function run({ graph, values }: Valued, inputs: readonly NdArray[]): NdArray[] {
  const feed = new Map<Value, NdArray>();
  for (const [i, v] of graph.inputs.entries()) feed.set(v, inputs[i] as NdArray);
  for (const s of graph.state) feed.set(s, values.get(s.name) as NdArray);
  const env = evaluate(graph, feed);
  return graph.outputs.map((v) => env.get(v) as NdArray);
}

/** Largest difference over the largest value. */
function difference(a: NdArray, b: NdArray): number {
  const largest = b.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  return a.data.reduce((m, v, i) => Math.max(m, Math.abs(v - (b.data[i] as number))), 0) / largest;
}

const ops = (g: Graph): string[] => g.nodes.map((n) => n.op);
const f32 = (...shape: readonly number[]) => ({ dtype: "f32", shape }) as const;
const state = (b: Builder, name: string, ...shape: readonly number[]): State =>
  b.state(name, f32(...shape), { kind: "constant", value: 0 });
const norm = (b: Builder, x: Value, at = "bn"): Value => {
  const table = (name: string): State => state(b, `${at}.${name}`, x.type.shape[1] as number);
  return op.batch_norm_inference(b, x, table("weight"), table("bias"), table("mean"), table("var"), {
    eps: 1e-5,
  });
};

const networks: readonly (readonly [string, Network])[] = [
  ["basic blocks", { task: "mopro", arch: "resnet10", width: 1 / 16, num_class: 4, low_dim: 8, image_size: 24 }],
  [
    "bottlenecks",
    { task: "classifier", arch: "resnet50", width: 1 / 32, num_class: 4, low_dim: undefined, image_size: 16 },
  ],
];
for (const [what, network] of networks) {
  test(`a network of ${what}: no BatchNorm left, the same outputs`, (t) => {
    const before = valued(neededPart(deployed(network, "classifier", "uint8")));
    const folded = foldScale(foldBatchNorm(before));
    const after: Valued = { ...folded, graph: neededPart(folded.graph) };
    verify(after.graph);
    t.true(ops(before.graph).includes("batch_norm_inference"));
    t.false(ops(after.graph).includes("batch_norm_inference"));
    t.false(ops(after.graph).includes("mul"), "the pixels' scale is in the first convolution");
    t.deepEqual([...after.values.keys()].sort(), after.graph.state.map((s) => s.name).sort());
    const image = NdArray.fill(before.graph.inputs[0]?.type.shape ?? [], (i) => (i * 7919) % 256);
    const [want, got] = [run(before, [image]), run(after, [image])];
    t.true(difference(got[0] as NdArray, want[0] as NdArray) < 1e-12);
    t.true(
      difference(want[0] as NdArray, run(before, [NdArray.fill(image.shape, () => 9)])[0] as NdArray) > 1e-3,
      "outputs depend on the image",
    );
  });
}

test("names: the weight keeps its own, the bias is called like it", (t) => {
  const b = Builder.create("g");
  const x = b.input("x", f32(2, 3, 4, 4));
  const g = b.finish([norm(b, op.conv(b, x, state(b, "conv1.weight", 5, 3, 3, 3), { stride: 1, pad: 1 }))]);
  const { graph } = foldBatchNorm(valued(g));
  verify(graph);
  t.deepEqual(
    graph.state.map((s) => [s.name, s.type.shape]),
    [
      ["conv1.weight", [5, 3, 3, 3]],
      ["conv1.bias", [1, 5, 1, 1]],
    ],
  );
  t.deepEqual(ops(graph), ["conv", "add"]);
});

test("a bias of nothing but zeros is not added", (t) => {
  const b = Builder.create("g");
  const x = b.input("x", f32(2, 3, 4, 4));
  const g = b.finish([op.relu(b, norm(b, op.conv(b, x, state(b, "w", 5, 3, 1, 1), { stride: 1, pad: 0 })))]);
  const before = valued(g);
  const zeros = new NdArray([5], new Float64Array(5));
  const cleared: Valued = {
    graph: g,
    values: new Map([...before.values]).set("bn.bias", zeros).set("bn.mean", zeros),
  };
  const after = foldBatchNorm(cleared);
  verify(after.graph);
  t.deepEqual(ops(after.graph), ["conv", "relu"]);
  const image = randomArray([2, 3, 4, 4], 9);
  t.true(difference(run(after, [image])[0] as NdArray, run(cleared, [image])[0] as NdArray) < 1e-12);
});

/** Graphs in which nothing may be folded. */
const kept: readonly (readonly [string, (b: Builder, x: Value) => readonly Value[]])[] = [
  [
    "the raw convolution is read as well",
    (b, x) => {
      const y = op.conv(b, x, state(b, "w", 5, 3, 1, 1), { stride: 1, pad: 0 });
      return [op.add(b, y, norm(b, y))];
    },
  ],
  [
    "the raw convolution is an output",
    (b, x) => {
      const y = op.conv(b, x, state(b, "w", 5, 3, 1, 1), { stride: 1, pad: 0 });
      return [y, norm(b, y)];
    },
  ],
  [
    "two convolutions share a weight",
    (b, x) => {
      const w = state(b, "w", 3, 3, 1, 1);
      const y = op.conv(b, x, w, { stride: 1, pad: 0 });
      return [norm(b, op.conv(b, op.relu(b, y), w, { stride: 1, pad: 0 }))];
    },
  ],
  ["BatchNorm stands behind something else", (b, x) => [norm(b, op.relu(b, x))]],
  [
    "the weight is computed",
    (b, x) => [norm(b, op.conv(b, x, op.neg(b, state(b, "w", 5, 3, 1, 1)), { stride: 1, pad: 0 }))],
  ],
];
for (const [why, build] of kept) {
  test(`not folded: ${why}`, (t) => {
    const b = Builder.create("g");
    const g = b.finish(build(b, b.input("x", f32(2, 3, 4, 4))));
    const before = valued(g);
    t.is(foldBatchNorm(before), before);
  });
}

test("a scale is not folded where a shift, another axis or another reader needs it", (t) => {
  const by =
    (...shape: readonly number[]) =>
    (b: Builder, x: Value): Value =>
      op.mul(b, x, op.constant(b, { values: [2], shape }));
  const graph = (scaled: (b: Builder, x: Value) => Value, more = false): Valued => {
    const b = Builder.create("g");
    const y = scaled(b, b.input("x", f32(2, 3, 4, 4)));
    const z = op.conv(b, y, state(b, "w", 5, 3, 3, 3), { stride: 1, pad: 1 });
    return valued(b.finish(more ? [y, z] : [z]));
  };
  for (const g of [
    graph(by(2, 3, 1, 1)),
    graph(by(1, 3, 4, 1)),
    graph(by()),
    graph(by(1, 3, 1, 1), true),
    graph((b, x) => op.add(b, x, op.scalar(b, 1))),
  ]) {
    t.is(foldScale(g), g);
  }
  t.deepEqual(ops(neededPart(foldScale(graph(by(1, 3, 1, 1))).graph)), ["conv"]);
});

test("a folded weight beyond f32 is refused by name", (t) => {
  const b = Builder.create("g");
  const g = b.finish([
    norm(b, op.conv(b, b.input("x", f32(2, 3, 4, 4)), state(b, "conv1.weight", 5, 3, 1, 1), { stride: 1, pad: 0 })),
  ]);
  const values = new Map(valued(g).values)
    .set(
      "bn.weight",
      NdArray.fill([5], () => 3e38),
    )
    .set(
      "bn.var",
      NdArray.fill([5], () => 0),
    );
  t.throws(() => foldBatchNorm({ graph: g, values }), {
    message: /fold_batch_norm: element 0 of conv1\.weight would be/,
  });
});
