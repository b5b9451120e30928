// Layers: their gradients against central differences, results and gradients against PyTorch, and as compiled code.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { Builder } from "../../compiler/ir/builder.js";
import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";
import * as op from "../../compiler/ops/index.js";
import { distribute } from "../../compiler/passes/distribute.js";
import { root } from "../../compiler/util/root.js";
import * as nn from "../../models/nn.js";
import { compiled, relativeError, runCompiled } from "../support/compiled.js";
import { gradientError, withGradients } from "../support/gradcheck.js";
import { noPythonWith, pythonWith } from "../support/python.js";
import { randomArray } from "../support/random.js";
import { evaluateRanks } from "../support/ranks.js";
import { rows, run } from "../support/training.js";

type Options = Readonly<Record<string, number | boolean | string>>;
type Layer = (net: nn.Net, x: Value, options: never) => Value;

const layers: Readonly<Record<string, Layer>> = {
  linear: (net, x, o: { out: number }) => nn.linear(net, x, o.out),
  conv2d: nn.conv2d,
  conv_transpose2d: nn.conv_transpose2d,
  avg_pool: (net, x, o) => nn.avg_pool(net.b, x, o),
  layer_norm: nn.layer_norm,
  group_norm: (net, x, o: { groups: number }) => nn.group_norm(net, x, o.groups),
  embedding: (net, x, o: { rows: number; size: number }) => nn.embedding(net, x, o.rows, o.size),
  gelu: (net, x, o) => nn.gelu(net.b, x, o),
  softmax: (net, x, o: { axis: number }) => nn.softmax(net.b, x, o.axis),
  attention: nn.attention,
};

const list: readonly (readonly [string, readonly number[], Options])[] = [
  ["linear", [2, 3, 5], { out: 4 }],
  ["conv2d", [2, 3, 6, 5], { out: 4, kernel: 3, stride: 2, pad: 1, bias: true }],
  ["conv2d", [2, 4, 6, 7], { out: 6, kernel: 3, pad: 1, groups: 2 }],
  ["conv2d", [2, 4, 6, 7], { out: 4, kernel: 3, pad: 1, groups: 4, bias: true }],
  ["conv2d", [2, 3, 8, 7], { out: 4, kernel: 3, pad: 2, dilation: 2, bias: true }],
  ["conv2d", [2, 4, 9, 8], { out: 4, kernel: 2, stride: 2, pad: 1, dilation: 3, groups: 2, bias: true }],
  ["conv_transpose2d", [2, 4, 3, 5], { out: 6, kernel: 3, stride: 2, pad: 1, outputPad: 1, bias: true }],
  ["conv_transpose2d", [2, 4, 3, 5], { out: 6, kernel: 2, stride: 2, groups: 2 }],
  ["conv_transpose2d", [1, 2, 4, 3], { out: 3, kernel: 3, dilation: 2, bias: true }],
  ["avg_pool", [2, 3, 6, 8], { kernel: 2 }],
  ["avg_pool", [2, 3, 7, 6], { kernel: 3, stride: 2, pad: 1 }],
  ["avg_pool", [2, 3, 7, 6], { kernel: 3, stride: 2, pad: 1, countPadding: false }],
  ["layer_norm", [6, 7], {}],
  ["layer_norm", [2, 3, 5], { epsilon: 1e-2 }],
  ["group_norm", [2, 6, 3, 4], { groups: 3 }],
  ["group_norm", [2, 4, 5], { groups: 2 }],
  ["embedding", [2, 3], { rows: 5, size: 4 }],
  ["gelu", [3, 7], {}],
  ["gelu", [3, 7], { approximate: "tanh" }],
  ["softmax", [3, 7], { axis: 1 }],
  ["softmax", [3, 4, 5], { axis: 0 }],
  ["softmax", [2, 3, 4, 5], { axis: 1 }],
  ["attention", [2, 5, 6], { heads: 3 }],
  ["attention", [3, 4, 8], { heads: 1 }],
];

const cases = list.map(([layer, shape, options], number) => {
  const place = `${layer}_${number}`; // states of one artefact have different names
  const b = Builder.create(place);
  const positions = layer === "embedding";
  const x = b.input(positions ? "positions" : "x", { dtype: positions ? "i64" : "f32", shape });
  const build = layers[layer] as (net: nn.Net, x: Value, o: Options) => Value;
  const graph = b.finish([build(new nn.Net(b.in(place), { training: true }), x, options)]);
  const value = (v: Value, i: number): NdArray => {
    if (v.type.dtype === "f32") return randomArray(v.type.shape, 31 * number + i);
    return NdArray.fill(v.type.shape, (at) => (at * 3) % (options.rows as number)); // some more than once
  };
  const feed = new Map([x, ...graph.state].map((v, i) => [v, value(v, i)]));
  const wrt = [...feed.keys()].filter((v) => v.type.dtype === "f32");
  const seed = randomArray((graph.outputs[0] as Value).type.shape, 1000 + number);
  return {
    name: `${layer} of [${shape}] ${JSON.stringify(options)}`,
    layer,
    options,
    graph,
    feed,
    wrt,
    seed,
    own: (v: Value) => v.name.replace(`${place}.`, ""),
  };
});

for (const { name, graph, feed, wrt } of cases)
  test(`gradients of ${name}`, (t) => {
    const error = gradientError(graph, feed, wrt);
    t.true(error < 1e-7, `relative error ${error}`);
  });

/** The graph with gradients by all floating operands, and what it is fed. */
function both({ graph, feed, wrt, seed }: (typeof cases)[number]): { graph: Graph; feed: Map<Value, NdArray> } {
  const made = withGradients(graph, wrt);
  return { graph: made.graph, feed: new Map([...feed, [made.seed, seed]]) };
}

const python = pythonWith("torch");
if (python === undefined) test.skip(`layers beside PyTorch: ${noPythonWith("torch")}`, (t) => t.pass());
else
  test("results and gradients are PyTorch's", (t) => {
    const dir = join(root, "build", "test");
    mkdirSync(dir, { recursive: true });
    const scratch = mkdtempSync(join(dir, "layers-"));
    const [asked, answered] = [join(scratch, "cases.json"), join(scratch, "results.json")];
    const plain = (x: NdArray): object => ({ shape: x.shape, data: [...x.data] });
    const all = cases.map(({ layer, options, feed, seed, own }) => {
      const tensors = Object.fromEntries([...feed].map(([v, x]) => [own(v), plain(x)]));
      return { layer, options, tensors, seed: plain(seed) };
    });
    writeFileSync(asked, JSON.stringify(all));
    const r = spawnSync(python, [join(root, "test", "models", "layers_check.py"), asked, answered], {
      encoding: "utf8",
    });
    t.is(r.status, 0, r.stderr);
    const results = JSON.parse(readFileSync(answered, "utf8")) as {
      shape: number[];
      y: number[];
      grads: Record<string, number[]>;
    }[];
    rmSync(scratch, { recursive: true });
    cases.forEach((c, i) => {
      const { graph, feed } = both(c);
      const env = evaluate(graph, feed);
      const want = results[i] as (typeof results)[number];
      const [y, ...grads] = graph.outputs.map((v) => env.get(v) as NdArray) as [NdArray, ...NdArray[]];
      t.deepEqual([...y.shape], want.shape, c.name);
      const near = (what: string, got: NdArray, wanted: readonly number[]): void => {
        const error = relativeError(got, new NdArray(got.shape, Float64Array.from(wanted)));
        t.true(error < 1e-12, `${c.name}: ${what} is off by ${error}`); // both compute in f64
      };
      near("y", y, want.y);
      t.deepEqual(Object.keys(want.grads), c.wrt.map(c.own), c.name);
      for (const [j, v] of c.wrt.entries())
        near(`gradient of ${v.name}`, grads[j] as NdArray, want.grads[c.own(v)] ?? []);
    });
  });

test("compiled, they compute the same in f32", async (t) => {
  const made = cases.map(both);
  const artefact = await compiled(
    "layers",
    made.map(({ graph }) => graph),
  );
  for (const [i, { graph, feed }] of made.entries()) {
    const env = evaluate(graph, feed);
    const { outputs } = await runCompiled(artefact, graph, feed);
    graph.outputs.forEach((v, j) => {
      const error = relativeError(outputs[j] as NdArray, env.get(v) as NdArray);
      t.true(error < 1e-5, `${cases[i]?.name}: %${v.name} is off by ${error}`);
    });
  }
});

test("what does not fit is refused, with the place", (t) => {
  const refusal = (build: (net: nn.Net, x: Value) => Value, shape: readonly number[]): string => {
    const b = Builder.create("g");
    const error = t.throws(() =>
      build(new nn.Net(b.in("at"), { training: true }), b.input("x", { dtype: "f32", shape })),
    );
    return error?.message ?? "";
  };
  t.regex(
    refusal((net, x) => nn.conv2d(net, x, { out: 4, kernel: 1, groups: 2 }), [1, 3, 2, 2]),
    /^convolution in at: 3 and 4 channels are no 2 equal groups/,
  );
  t.regex(
    refusal((net, x) => nn.conv2d(net, x, { out: 4, kernel: 3, dilation: 2 }), [1, 3, 4, 4]),
    /a window of 3 does not fit \[4,4\] pixels/,
  );
  t.regex(
    refusal((net, x) => nn.attention(net, x, { heads: 4 }), [2, 3, 6]),
    /^attention in at: \[2,3,6\] are no tokens of 4 heads/,
  );
});

test("ranks divide the rows of a convolution and not the groups of its channels", (t) => {
  const b = Builder.create("g", { groups: 2 });
  const x = b.input("x", { dtype: "f32", shape: [4, 6, 5, 5] });
  const net = new nn.Net(b, { training: true });
  const y = nn.conv2d(net, x, { out: 6, kernel: 3, pad: 1, groups: 6 });
  t.is(b.nodes.at(-1)?.op, "conv_nd");
  const steps = net.buffer("steps", { dtype: "i64", shape: [] }, { kind: "constant", value: 0 });
  net.later(steps, "count"); // only the ranks of a graph that updates something divide groups
  net.commit(op.scalar(b, 1));
  const whole = b.finish([y]);
  const local = distribute(whole, 2, "load");
  const images = randomArray([4, 6, 5, 5], 2);
  const states = new Map([
    ["weight", randomArray([6, 1, 3, 3], 1)],
    ["steps", NdArray.scalar(0)],
  ]);
  const want = run(whole, states, { x: images }).outputs[y.name];
  const mail = (local.inputs.find((v) => v.name === "mail") as Value).type.shape;
  const feeds = [0, 1].map((r) => {
    const own = { x: rows(images, 2 * r, 2 * r + 2), mail: NdArray.fill(mail, () => r) };
    return new Map([...states, ...Object.entries(own)]);
  });
  for (const env of evaluateRanks(local, feeds)) t.deepEqual(env.get(local.outputs[0] as Value)?.data, want?.data);
});
