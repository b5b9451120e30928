// Networks of other programs as trunks: what is found in them, what their gradients are, and what stays as it is.

import test from "ava";
import { grad } from "../../compiler/autodiff/grad.js";
import { Builder } from "../../compiler/ir/builder.js";
import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, State, Value } from "../../compiler/ir/types.js";
import { findHead, imageInput } from "../../compiler/onnx/find_head.js";
import type { Model, Tensor } from "../../compiler/onnx/model.js";
import { numbersIn } from "../../compiler/onnx/numbers.js";
import * as op from "../../compiler/ops/index.js";
import { classifierPrograms } from "../../models/classifier.js";
import { ForeignNetwork, type ForeignOptions } from "../../models/foreign.js";
import { Net } from "../../models/nn.js";
import { f32, foreignModel, i64, node, type Parts } from "../support/foreign.js";
import { networks } from "../support/foreign_networks.js";

const SIZE = 16;
const pixels = { mean: [0, 0, 0], std: [1, 1, 1] } as const;

const network = (m: Model, more: Partial<ForeignOptions> = {}): ForeignNetwork =>
  new ForeignNetwork(
    m,
    {
      input: imageInput(m),
      head: findHead(m),
      keep: false,
      frozen: () => false,
      freezeBatchNorm: false,
      pixels,
      ...more,
    },
    SIZE,
  );

const IMAGES = 3;

/** Fills a shape with numbers of a smooth sequence. */
const waves = (shape: readonly number[], step: number): NdArray => {
  let i = 0;
  return NdArray.fill(shape, () => Math.sin(step * ++i));
};

test("head, input, parameters and sizes of four networks", (t) => {
  const facts = (name: keyof typeof networks) => {
    const m = networks[name](SIZE);
    const { facts: f } = network(m);
    const { feature, logits } = findHead(m);
    return [feature, logits, f.featureSize, f.trained.length, f.numbers, f.normalizations, f.freed.length];
  };
  t.deepEqual(facts("residual"), ["flat", "logits", 8, 9, [], 3, 0]);
  t.deepEqual(facts("squeezing"), ["drop", "scores", 16, 14, [], 0, 0]);
  t.deepEqual(facts("mobile"), ["row", "head/out", 16, 15, [], 5, 1]);
  t.deepEqual(facts("transformer"), ["class", "head/out", 16, 22, ["scale", "root", "one", "half"], 0, 6]);
});

test("the search for the last layer ends in a circle of nodes, and messages show no control characters", (t) => {
  const circle = { nodes: [node("Relu", ["a"], ["y"]), node("Relu", ["y"], ["a"])], inputs: { x: [1, 3, 4, 4] } };
  t.throws(() => findHead(foreignModel(circle)), { message: /its last layer is not found: the search ends at y/ });
  const odd = { nodes: [node("Relu", ["x"], ["y"])], inputs: { "x\b": [1, 3] } };
  t.throws(() => imageInput(foreignModel(odd)), { message: /its inputs are x\\b \(f32\[1,3\]\)$/ });
});

/** The program of a loss on the outputs, and the gradients of all parameters. */
function program(net: ForeignNetwork, training: boolean) {
  const b = Builder.create("program");
  const x = b.input("x", { dtype: "f32", shape: [IMAGES, 3, SIZE, SIZE] });
  const n = new Net(b, { training });
  const { feature, logits } = net.build(n, x);
  const y = logits ?? feature;
  const weights = waves(y.type.shape, 0.7);
  const loss = op.sum(b, op.mul(b, y, op.constant(b, { values: [...weights.data], shape: weights.shape })), {
    axes: [0, 1],
  });
  const forward = b.finish([loss]);
  const params = b.states.filter((s) => s.role === "param");
  const grads = grad(b, loss, op.constant(b, { values: [1], shape: [] }), params);
  if (training) n.commit(op.constant(b, { values: [1], shape: [] }));
  return { g: b.finish([loss, y, ...grads]), forward, x, loss, y, params, grads };
}

const feedOf = (net: ForeignNetwork, states: readonly State[], x: Value): Map<Value, NdArray> =>
  new Map<Value, NdArray>([
    [x, waves(x.type.shape, 0.37)],
    ...states.map((s): [Value, NdArray] => {
      const tensor = net.facts.values.get(s.name);
      return [s, tensor ? new NdArray(tensor.dims, Float64Array.from(numbersIn(tensor))) : NdArray.fill([], () => 0)];
    }),
  ]);

for (const name of Object.keys(networks) as (keyof typeof networks)[])
  for (const training of [true, false])
    test(`${name}, ${training ? "training" : "evaluation"}: gradients agree with central differences`, (t) => {
      const net = network(networks[name](SIZE), { keep: name === "squeezing" });
      const { g, forward, x, loss, params, grads } = program(net, training);
      const feed = feedOf(net, g.state, x);
      const env = evaluate(g, feed);
      const lossAt = (p: Value, i: number, by: number): number => {
        const moved = feed.get(p) as NdArray;
        const data = Float64Array.from(moved.data);
        data[i] = (data[i] as number) + by;
        return (evaluate(forward, new Map(feed).set(p, new NdArray(moved.shape, data))).get(loss) as NdArray)
          .data[0] as number;
      };
      const step = 1e-5;
      params.forEach((p, k) => {
        const d = env.get(grads[k] as Value) as NdArray;
        t.deepEqual(d.shape, p.type.shape);
        const i = Math.floor(d.data.length / 2);
        const expected = (lossAt(p, i, step) - lossAt(p, i, -step)) / (2 * step);
        const got = d.data[i] as number;
        t.true(Math.abs(got - expected) <= 1e-6 + 1e-5 * Math.abs(expected), `${p.name}: ${got}, ${expected}`);
      });
      t.deepEqual(
        params.map((p) => p.name),
        [...net.facts.trained],
      );
    });

/** A network of one convolution with a bias that is added, by these nodes and constants before it. */
const biased = (nodes: Parts["nodes"], constants: Record<string, Tensor>): Model =>
  foreignModel({
    nodes: [
      ...nodes,
      node("Conv", ["x", "weight"], ["conv"]),
      node("Add", ["conv", "bias"], ["sum"]),
      node("GlobalAveragePool", ["sum"], ["mean"]),
      node("Flatten", ["mean"], ["row"]),
      node("Gemm", ["row", "fc"], ["y"]),
    ],
    inputs: { x: ["N", 3, SIZE, SIZE] },
    constants: { ...constants, fc: numbers([4, 5]) },
  });

const numbers = (dims: readonly number[]): Tensor => {
  const { data } = waves(dims, 0.3);
  return f32(dims, [...data]);
};

test("an initializer that is reshaped is trained itself; weights that are cut from a pool are", (t) => {
  const reshaped = network(
    biased([node("Reshape", ["b", "shape"], ["bias"])], {
      weight: numbers([4, 3, 1, 1]),
      b: numbers([4]),
      shape: i64([1, 4, 1, 1]),
    }),
  );
  t.deepEqual([...reshaped.facts.trained].toSorted(), ["b", "weight"]);
  const cut = network(
    biased(
      [
        node("Mul", ["pool", "half"], ["pool2"]),
        node("Slice", ["pool2", "zero", "twelve"], ["w"]),
        node("Slice", ["pool2", "zero", "four"], ["b"]),
        node("Reshape", ["w", "wshape"], ["weight"]),
        node("Reshape", ["b", "bshape"], ["bias"]),
      ],
      {
        pool: numbers([20]),
        half: f32([], [0.5]),
        zero: i64([0]),
        twelve: i64([12]),
        four: i64([4]),
        wshape: i64([4, 3, 1, 1]),
        bshape: i64([1, 4, 1, 1]),
      },
    ),
  );
  const { trained, values } = cut.facts;
  t.is(trained.length, 2);
  t.deepEqual(trained.map((name) => values.get(name)?.dims.join()).toSorted(), ["1,4,1,1", "4,3,1,1"]);
  const { g, x, y } = program(cut, false);
  const whole = evaluate(g, feedOf(cut, g.state, x)).get(y) as NdArray;
  t.true(whole.data.every((v) => Number.isFinite(v)) && whole.data.some((v) => v !== 0));
});

test("a weight that is used twice, once transposed, is one parameter", (t) => {
  const m = foreignModel({
    nodes: [
      node("GlobalAveragePool", ["x"], ["mean"]),
      node("Flatten", ["mean"], ["row"]),
      node("MatMul", ["row", "w"], ["hidden"]),
      node("Transpose", ["w"], ["wt"], { perm: [1, 0] }),
      node("MatMul", ["hidden", "wt"], ["again"]),
      node("MatMul", ["again", "fc"], ["y"]),
    ],
    inputs: { x: ["N", 3, SIZE, SIZE] },
    constants: { w: numbers([3, 6]), fc: numbers([3, 5]) },
  });
  t.deepEqual(network(m).facts.trained, ["w"]);
});

test("what is no classifier of images is refused with what was found", (t) => {
  const plain = (nodes: Parts["nodes"], inputs: Parts["inputs"], constants: Record<string, Tensor> = {}): Model =>
    foreignModel({ nodes, inputs: inputs ?? {}, constants });
  const image = { x: ["N", 3, 8, 8] };
  t.throws(() => imageInput(plain([node("Relu", ["x"], ["y"])], { x: ["N", 8] })), {
    message: /none of its inputs is a batch of images.*x \(f32\[N,8\]\)/,
  });
  t.throws(() => imageInput(plain([node("Add", ["x", "z"], ["y"])], { ...image, z: ["N", 3, 8, 8] })), {
    message: /several of its inputs may be images; --input NAME/,
  });
  t.throws(() => imageInput(plain([node("Add", ["x", "z"], ["y"])], { ...image, z: [1] })), {
    message: /besides images it has the input z .*--bind/,
  });
  t.throws(() => imageInput(plain([node("Relu", ["x"], ["y"])], { x: [1, 3, 8, 9] })), { message: /not square/ });
  t.is(imageInput(plain([node("Relu", ["x"], ["y"])], { x: ["N", 8, 8, 3] })).channels, 3);
  t.throws(() => findHead(plain([node("Relu", ["x"], ["y"])], image)), {
    message: /its last layer is not found: the search ends at x before the output y; --feature NAME/,
  });
  t.throws(() => findHead(plain([node("Sin", ["x"], ["y"])], image)), { message: /operator Sin .* stands before/ });
});

test("images with the channels last, and a feature of tokens", (t) => {
  const m = foreignModel({
    nodes: [
      node("Transpose", ["x"], ["planes"], { perm: [0, 3, 1, 2] }),
      node("Conv", ["planes", "w"], ["conv"], { strides: [8, 8] }),
      node("Reshape", ["conv", "shape"], ["flat"]),
      node("Transpose", ["flat"], ["tokens"], { perm: [0, 2, 1] }),
      node("MatMul", ["tokens", "fc"], ["scores"]),
      node("ReduceMean", ["scores"], ["y"], { axes: [1], keepdims: 0 }),
    ],
    inputs: { x: ["N", SIZE, SIZE, 3] },
    constants: { w: numbers([6, 3, 8, 8]), shape: i64([0, 6, -1]), fc: numbers([6, 5]) },
  });
  const net = network(m);
  t.deepEqual([net.facts.featureSize, net.facts.featureRank], [6, 3]);
  const kept = network(m, { keep: true });
  t.is(kept.facts.classes, 5);
});

/** The new running mean of the first BatchNormalization after a step on a network whose nodes have this momentum. */
function runningMean(momentum: number, more: Partial<ForeignOptions> = {}): NdArray | undefined {
  const m = networks.residual(SIZE);
  const nodes = m.graph.nodes.map((n) =>
    n.op === "BatchNormalization"
      ? { ...n, attributes: { ...n.attributes, momentum: { kind: "float" as const, value: momentum } } }
      : n,
  );
  const net = network({ ...m, graph: { ...m.graph, nodes } }, more);
  const { g, x } = program(net, true);
  const state = g.state.find((s) => s.name === "bn1.running_mean") as State;
  const updated = g.updates.get(state);
  return updated && (evaluate({ ...g, outputs: [updated] }, feedOf(net, g.state, x)).get(updated) as NdArray);
}

test("a batch enters running statistics by what the node's momentum leaves, unless they are frozen", (t) => {
  const [slow, fast] = [runningMean(0.9), runningMean(0.6)] as [NdArray, NdArray];
  t.true(slow.data.some((v) => Math.abs(v) > 1e-4));
  slow.data.forEach((v, i) => void t.true(Math.abs((fast.data[i] as number) - 4 * v) < 1e-9));
  t.is(runningMean(0.9, { freezeBatchNorm: true }), undefined);
});

test("a new classifier is trained alone, although the network has tensors that begin with its name", (t) => {
  const m = foreignModel({
    nodes: [
      node("GlobalAveragePool", ["x"], ["mean"]),
      node("Flatten", ["mean"], ["row"]),
      node("MatMul", ["row", "fc.0.weight"], ["hidden"]),
      node("MatMul", ["hidden", "fc.3.weight"], ["y"]),
    ],
    inputs: { x: ["N", 3, SIZE, SIZE] },
    constants: { "fc.0.weight": numbers([3, 6]), "fc.3.weight": numbers([6, 5]) },
  });
  const sizes = { arch: "other", width: 1, num_class: 4, image_size: SIZE, batch: 2, groups: 1 };
  const [step] = classifierPrograms({ ...sizes, foreign: network(m), trained: "fc" });
  const updated = [...(step as Graph).updates.keys()].map((v) => v.name).filter((name) => !name.includes("momentum"));
  t.deepEqual(updated.toSorted(), ["fc.bias", "fc.weight"]);
});
