// Every kind of model that export writes, run by ONNX Runtime, against the compiled program: a checkpoint of a tiny
// training run, all heads, BatchNorm kept and folded, float and byte images, five opset versions, three batch sizes.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { type Artefact, load, type Values } from "node-cuda-rt";
import { NdArray } from "../../compiler/ir/nd.js";
import type { State } from "../../compiler/ir/types.js";
import { BATCH, deployModel, neededPart } from "../../compiler/onnx/deploy.js";
import { mergeBias } from "../../compiler/onnx/merge_bias.js";
import { type Model, numbersTensor, type OnnxNode } from "../../compiler/onnx/model.js";
import { decodeModel, encodeModel } from "../../compiler/onnx/proto.js";
import { compile } from "../../compiler/pipeline.js";
import { root } from "../../compiler/util/root.js";
import { deployed, type Head, heads, type Input, inputs, type Network, outputsOf } from "../../models/deploy.js";
import { embed } from "../../models/mopro.js";
import { imagenet } from "../../models/nn.js";
import { type Encoder, openCheckpoint, readStates } from "../../tools/cli/checkpoint.js";
import { modelGraphs } from "../../tools/cli/graphs.js";
import { fromValues, nativeTarget } from "../support/compiled.js";
import { OrtModel } from "../support/ort.js";
import { randomArray } from "../support/random.js";
import { images, rows } from "../support/training.js";

const BATCH_SIZE = 8;

/** A network with weights, and what the compiled program makes of eight images. */
interface Subject {
  readonly network: Network;
  readonly read: (states: readonly State[], which: Encoder) => ReadonlyMap<string, NdArray>;
  readonly image: Readonly<Record<Input, NdArray>>;
  readonly want: ReadonlyMap<string, NdArray>;
}

const scratch = mkdtempSync(join(root, "build", "test", "deploy-"));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));

/** A few steps of training, and its checkpoint. */
async function trained(): Promise<Subject & { readonly checkpoint: string }> {
  const source = modelGraphs("mopro", {
    network: "resnet10",
    width: 0.125,
    imageSize: 32,
    batchSize: BATCH_SIZE,
    numClass: 5,
    lowDim: 8,
    moco_queue: 16,
    targetArch: "native",
    target: "cpu",
    ranks: [1],
    imageInput: "u8",
  });
  const dir = join(scratch, "trained");
  await compile(source.graphs(), dir, { name: source.name, target: nativeTarget, meta: source.meta });
  const runs = join(scratch, "run");
  const r = spawnSync(join(dir, "train"), ["--synthetic", "--steps", "12", "--lr", "0.02", "--exp-dir", runs], {
    encoding: "utf8",
  });
  if (r.status !== 0) throw new Error(r.stderr);
  const checkpoint = join(runs, readdirSync(runs).find((f) => f.endsWith(".safetensors")) as string);
  const open = await openCheckpoint(checkpoint, {}, "query");
  const keys = await openCheckpoint(checkpoint, {}, "key");
  const a = load(dir, { threads: 2 });
  for (const s of a.state) if (s.role !== "derived" && s.dtype === "f32") a.set(s.name, open.file.floats(s.name));
  const read: Subject["read"] = (states, which) => readStates(which === "key" ? keys : open, states);
  return { network: open.network, read, checkpoint, ...(await embedded(a, open.network.image_size)) };
}

/** Random weights and running statistics, without a training run: a large network compiles its forward pass only. */
async function untrained(): Promise<Subject> {
  const network = {
    task: "mopro",
    arch: "resnet50",
    width: 1 / 32,
    num_class: 5,
    low_dim: 8,
    image_size: 64,
  } as const;
  const dir = join(scratch, "untrained");
  await compile([embed({ ...network, batch: BATCH_SIZE, groups: 1, queue: 1 })], dir, {
    name: "untrained",
    target: nativeTarget,
  });
  const a = load(dir, { threads: 2 });
  a.initState(1);
  a.state.forEach((s, i) => {
    const [low, high] = s.name.endsWith("running_var")
      ? [0.3, 2]
      : s.name.endsWith("running_mean")
        ? [-0.5, 0.5]
        : [0, 0];
    if (high !== 0) a.set(s.name, Float32Array.from(randomArray(s.shape, i, low, high).data));
  });
  const read: Subject["read"] = (states) =>
    new Map(states.map((s) => [s.name, fromValues(s.type, a.get(`encoder_q.${s.name}`))]));
  return { network, read, ...(await embedded(a, network.image_size)) };
}

/** Eight images and what the program `embed` makes of them. */
async function embedded(a: Artefact, size: number): Promise<Pick<Subject, "image" | "want">> {
  const img = images([0, 1, 2, 3, 4, 0, 1, 2], size, 3);
  const out = await a.run("embed", {
    img: Uint8Array.from(img.data),
    "hyper.temperature": Float32Array.of(0.1),
  });
  const outputs = a.programs.find((p) => p.name === "embed")?.outputs ?? [];
  const want = new Map(outputs.map((o) => [o.name, fromValues(o, out[o.name] as Values)]));
  return {
    image: { float: normalised(img), uint8: lastAxisChannels(img) },
    want: want.set("features", want.get("feature") as NdArray),
  };
}

function normalised(img: NdArray): NdArray {
  const pixels = (img.shape[2] as number) * (img.shape[3] as number);
  return NdArray.fill(img.shape, (i) => {
    const c = Math.floor(i / pixels) % 3;
    return ((img.data[i] as number) / 255 - (imagenet.mean[c] as number)) / (imagenet.std[c] as number);
  });
}

function lastAxisChannels(img: NdArray): NdArray {
  const [n, c, h, w] = img.shape as [number, number, number, number];
  const shape = [n, h, w, c];
  return NdArray.fill(shape, (i) =>
    img.at(Math.floor(i / (h * w * c)), i % c, Math.floor(i / (w * c)) % h, Math.floor(i / c) % w),
  );
}

interface Kind {
  readonly head: Head;
  readonly input: Input;
  readonly keepBatchNorm: boolean;
  readonly opset: number;
}

function modelOf(
  { network, read }: Subject,
  { head, input, keepBatchNorm, opset }: Kind,
  which: Encoder = "query",
): Model {
  const graph = neededPart(deployed(network, head, input));
  return deployModel(
    { graph, values: read(graph.state, which) },
    { opset, keepBatchNorm, metadata: { head }, producerVersion: "1" },
  );
}

/** Largest difference over the largest value, over outputs and the batch sizes 1, 3 and all. */
async function worst(t: Subject, model: Model, kind: Kind): Promise<number> {
  const session = await OrtModel.load(model);
  const found: number[] = [];
  for (const n of [1, 3, BATCH_SIZE]) {
    const got = await session.run(new Map([["image", rows(t.image[kind.input], 0, n)]]));
    for (const name of outputsOf(kind.head)) {
      const want = rows(t.want.get(name) as NdArray, 0, n);
      const y = got.get(name) as NdArray;
      if (y.shape.join() !== want.shape.join()) throw new Error(`${name} has shape [${y.shape}], not [${want.shape}]`);
      const largest = Math.max(...want.data.map(Math.abs));
      found.push(Math.max(...y.data.map((v, i) => Math.abs(v - (want.data[i] as number)))) / largest);
    }
  }
  return Math.max(...found);
}

const tiny = trained();
const bottleneck = tiny.then(untrained); // one after the other
const plain: Kind = { head: "both", input: "float", keepBatchNorm: false, opset: 17 };

for (const opset of [13, 15, 17, 18, 21]) {
  test.serial(`resnet10, opset ${opset}: every head, BatchNorm kept and folded, floats and bytes`, async (t) => {
    for (const head of heads)
      for (const keepBatchNorm of [false, true])
        for (const input of inputs) {
          const kind: Kind = { head, input, keepBatchNorm, opset };
          const got = await worst(await tiny, modelOf(await tiny, kind), kind);
          t.true(got < 1e-5, `${JSON.stringify(kind)}: ${got}`);
        }
  });
}

test.serial("resnet50: bottlenecks", async (t) => {
  for (const keepBatchNorm of [false, true]) {
    const kind = { ...plain, input: "uint8", keepBatchNorm } as const;
    const got = await worst(await bottleneck, modelOf(await bottleneck, kind), kind);
    t.true(got < 1e-5, `${got}`);
  }
});

test.serial("the comparison sees a wrong weight, and the key encoder", async (t) => {
  const model = modelOf(await tiny, plain);
  t.true((await worst(await tiny, modelOf(await tiny, plain, "key"), plain)) > 1e-3);
  const initializers = model.graph.initializers.map((w) => {
    if (w.name !== "layer3.0.conv2.bias") return w;
    return numbersTensor(
      w.name,
      "f32",
      w.dims,
      w.dims.flatMap((n) => Array<number>(n).fill(0)),
    );
  });
  t.true((await worst(await tiny, { ...model, graph: { ...model.graph, initializers } }, plain)) > 1e-3);
});

test.serial(
  "names, types and extents; nothing but standard operators; the file says what the model says",
  async (t) => {
    const model = modelOf(await tiny, plain);
    const { graph } = model;
    t.deepEqual(graph.inputs, [{ name: "image", type: "f32", shape: [BATCH, 3, 32, 32] }]);
    t.deepEqual(graph.outputs, [
      { name: "logits", type: "f32", shape: [BATCH, 5] },
      { name: "embedding", type: "f32", shape: [BATCH, 8] },
    ]);
    t.deepEqual([...model.opsets], [["", 17]]);
    t.is(model.functions.length + model.training.length, 0);
    t.true(graph.nodes.every((n) => n.domain === "" && n.name !== ""));
    t.is(new Set(graph.nodes.map((n) => n.name)).size, graph.nodes.length);
    for (const name of [
      "conv1/conv",
      "bn1/relu",
      "layer1.0.conv1/conv",
      "layer4.0.downsample.0/conv",
      "classifier/matmul",
      "fc2/matmul",
    ]) {
      t.true(
        graph.nodes.some((n) => n.name === name),
        name,
      );
    }
    for (const w of ["conv1.weight", "conv1.bias", "layer2.0.conv2.weight", "classifier.weight", "fc1.bias"]) {
      t.true(
        graph.initializers.some((i) => i.name === w),
        w,
      );
    }
    const count = (op: string): number => graph.nodes.filter((n) => n.op === op).length;
    t.deepEqual(["Conv", "Gemm", "BatchNormalization", "Add", "Cast"].map(count), [13, 3, 0, 4, 0]);
    t.true(graph.nodes.filter((n) => n.op === "Conv").every((n) => n.inputs.length === 3));
    const back = decodeModel(encodeModel(model));
    t.deepEqual(back.graph.outputs, graph.outputs);
    t.deepEqual([...back.metadata], [["head", "both"]]);
  },
);

test.serial(
  "kept: BatchNormalization nodes and the checkpoint's own weights; bytes: one Cast, no Mul when folded",
  async (t) => {
    const ops = (m: Model, op: string): number => m.graph.nodes.filter((n) => n.op === op).length;
    const kept = modelOf(await tiny, { ...plain, keepBatchNorm: true });
    t.is(ops(kept, "BatchNormalization"), 13);
    const { file } = await openCheckpoint((await tiny).checkpoint, {}, "query");
    const saved = file.floats("encoder_q.layer1.0.conv1.weight");
    file.close();
    const weight = kept.graph.initializers.find((w) => w.name === "layer1.0.conv1.weight");
    t.deepEqual(weight?.data, new Uint8Array(saved.buffer));
    const classifier = { ...plain, head: "classifier", input: "uint8" } as const;
    const [bytes, bytesKept] = [
      modelOf(await tiny, classifier),
      modelOf(await tiny, { ...classifier, keepBatchNorm: true }),
    ];
    t.deepEqual(bytes.graph.inputs, [{ name: "image", type: "u8", shape: [BATCH, 32, 32, 3] }]);
    t.deepEqual([ops(bytes, "Cast"), ops(bytes, "Transpose"), ops(bytes, "Sub"), ops(bytes, "Mul")], [1, 1, 1, 0]);
    t.is(ops(bytesKept, "Mul"), 1);
  },
);

/** y = f(x) + b as a model; `read`: the product is an output as well. */
function sum(product: OnnxNode, weight: readonly number[], bias: readonly number[], read = false): Model {
  const add: OnnxNode = {
    name: "add",
    op: "Add",
    domain: "",
    inputs: ["b", "p"],
    outputs: ["y"],
    attributes: {},
  };
  const info = (name: string) => ({ name, type: "f32", shape: undefined }) as const;
  const zeros = (name: string, dims: readonly number[]) =>
    numbersTensor(name, "f32", dims, Array<number>(dims.reduce((a, d) => a * d, 1)).fill(0));
  return {
    irVersion: 8,
    opsets: new Map([["", 17]]),
    producer: "",
    producerVersion: "",
    doc: "",
    functions: [],
    training: [],
    metadata: new Map(),
    graph: {
      name: "g",
      nodes: [product, add],
      inputs: [info("x")],
      outputs: [info("y"), ...(read ? [info("p")] : [])],
      values: [],
      initializers: [zeros("w", weight), zeros("b", bias)],
    },
  };
}

test("a bias is merged only where it is one number a channel of a product that nobody else reads", (t) => {
  const conv: OnnxNode = {
    name: "c",
    op: "Conv",
    domain: "",
    inputs: ["x", "w"],
    outputs: ["p"],
    attributes: {},
  };
  const gemm: OnnxNode = { ...conv, op: "Gemm" };
  const gemmT: OnnxNode = { ...gemm, attributes: { transB: { kind: "int", value: 1 } } };
  const nodes = (m: Model): number => mergeBias(m).graph.nodes.length;
  t.is(nodes(sum(conv, [4, 3, 1, 1], [1, 4, 1, 1])), 1);
  t.is(nodes(sum(conv, [4, 3, 1, 1], [4, 1, 1])), 1);
  t.is(nodes(sum(gemm, [3, 4], [4])), 1);
  t.is(nodes(sum(gemmT, [4, 3], [4])), 1);
  t.deepEqual(
    mergeBias(sum(conv, [4, 3, 1, 1], [1, 4, 1, 1])).graph.initializers.map((w) => w.dims),
    [[4, 3, 1, 1], [4]],
  );
  t.deepEqual(mergeBias(sum(gemm, [3, 4], [4])).graph.nodes[0]?.outputs, ["y"]);
  t.is(nodes(sum(conv, [4, 3, 1, 1], [4])), 2, "along the width");
  t.is(nodes(sum(conv, [4, 3, 1, 1], [1, 4, 2, 1])), 2, "a number a pixel");
  t.is(nodes(sum(conv, [4, 3, 1, 1], [1])), 2, "one number for all");
  t.is(nodes(sum(gemm, [3, 4], [3])), 2);
  t.is(nodes(sum(gemmT, [4, 3], [3])), 2);
  t.is(nodes(sum(gemm, [3, 4], [4], true)), 2, "the product is an output");
  t.is(nodes(sum({ ...conv, inputs: ["x", "w", "b2"] }, [4, 3, 1, 1], [1, 4, 1, 1])), 2, "there is a bias");
  t.is(nodes(sum({ ...conv, domain: "other" }, [4, 3, 1, 1], [1, 4, 1, 1])), 2, "somebody else's Conv");
});
