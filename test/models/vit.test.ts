// Vision transformers: sizes, results and gradients beside PyTorch, ranks, and ONNX for any number of images.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { Builder } from "../../compiler/ir/builder.js";
import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import { elements, type Graph, type Value } from "../../compiler/ir/types.js";
import { exportGraph } from "../../compiler/onnx/export.js";
import { batch_matmul } from "../../compiler/ops/index.js";
import { distribute } from "../../compiler/passes/distribute.js";
import { lower } from "../../compiler/pipeline.js";
import { root } from "../../compiler/util/root.js";
import { deployed } from "../../models/deploy.js";
import { Net } from "../../models/nn.js";
import { type Arch, archOf, featureSize, trunk } from "../../models/trunk.js";
import { relativeError } from "../support/compiled.js";
import { withGradients } from "../support/gradcheck.js";
import { OrtModel } from "../support/ort.js";
import { noPythonWith, pythonWith } from "../support/python.js";
import { randomArray } from "../support/random.js";
import { evaluateRanks } from "../support/ranks.js";
import { batch, programs, start } from "../support/tiny_mopro.js";
import { initialStates, rows, run } from "../support/training.js";

const f32 = (...shape: readonly number[]) => ({ dtype: "f32", shape }) as const;

/** The trunk alone, from normalised images. */
function network(arch: Arch, width: number, images: number, size: number): { graph: Graph; x: Value } {
  const b = Builder.create("vit");
  const x = b.input("x", f32(images, 3, size, size));
  return { graph: b.finish([trunk(new Net(b, { training: true }), x, { arch, width })]), x };
}

test("numbers of parameters are those of timm's networks without their classifiers", (t) => {
  for (const [arch, width, count] of [
    ["vit_s_16", 384, 21_665_664],
    ["vit_b_16", 768, 85_798_656],
  ] as const) {
    const { graph } = network(archOf(arch), 1, 2, 224);
    t.deepEqual(graph.outputs[0]?.type.shape, [2, width]);
    t.is(featureSize({ arch, width: 1 }), width);
    t.is(
      graph.state.reduce((n, s) => n + elements(s.type.shape), 0),
      count,
      arch,
    );
    t.deepEqual(graph.state.find((s) => s.name === "pos_embed")?.type.shape, [1, 197, width]);
  }
});

const python = pythonWith("torch");
if (python === undefined) test.skip(`a network beside PyTorch: ${noPythonWith("torch")}`, (t) => t.pass());
else
  test("feature and gradients are PyTorch's for the same weights", (t) => {
    const { graph, x } = network("vit_s_16", 1 / 32, 2, 48);
    const feed = new Map<Value, NdArray>(
      [x, ...graph.state].map((v, i) => [v, randomArray(v.type.shape, i, -0.5, 0.5)]),
    );
    const wrt = [...feed.keys()];
    const made = withGradients(graph, wrt);
    const seed = randomArray(made.seed.type.shape, 99);
    const env = evaluate(made.graph, new Map([...feed, [made.seed, seed]]));
    const dir = join(root, "build", "test");
    mkdirSync(dir, { recursive: true });
    const scratch = mkdtempSync(join(dir, "vit-"));
    const [asked, answered] = [join(scratch, "asked.json"), join(scratch, "answered.json")];
    const plain = (a: NdArray): object => ({ shape: a.shape, data: [...a.data] });
    const weights = Object.fromEntries(graph.state.map((s) => [s.name, plain(feed.get(s) as NdArray)]));
    const given = { weights, x: plain(feed.get(x) as NdArray), seed: plain(seed), depth: 12, heads: 6 };
    writeFileSync(asked, JSON.stringify(given));
    const r = spawnSync(python, [join(root, "test", "models", "vit_check.py"), asked, answered], { encoding: "utf8" });
    t.is(r.status, 0, r.stderr);
    const want = JSON.parse(readFileSync(answered, "utf8")) as { y: number[]; grads: Record<string, number[]> };
    rmSync(scratch, { recursive: true });
    const near = (name: string, got: Value, wanted: readonly number[]): void => {
      const value = env.get(got) as NdArray;
      const error = relativeError(value, new NdArray(value.shape, Float64Array.from(wanted)));
      t.true(error < 1e-9, `${name} is off by ${error}`); // both compute in f64; 12 layers amplify its rounding
    };
    near("feature", made.graph.outputs[0] as Value, want.y);
    t.deepEqual(Object.keys(want.grads).toSorted(), wrt.map((v) => v.name).toSorted());
    for (const [i, v] of wrt.entries()) near(`gradient of ${v.name}`, made.grads[i] as Value, want.grads[v.name] ?? []);
  });

const tiny = { arch: "vit_s_16", width: 1 / 64 } as const;

test("two ranks compute what two groups do, and send no activations of tokens", (t) => {
  const whole = programs({ ...tiny, groups: 2 }).get("clean") as Graph;
  const local = distribute(whole, 2, "load");
  const [given, states] = [batch(), start(whole)];
  const want = run(whole, states, given);
  const feeds = [0, 1].map((r) => {
    const own = local.inputs.map((v) => {
      if (v.name === "mail") return [v.name, NdArray.fill(v.type.shape, () => r)] as const;
      const x = given[v.name] as NdArray;
      const full = whole.inputs.find((w) => w.name === v.name)?.type.shape[0] === v.type.shape[0];
      return [v.name, full ? x : rows(x, 4 * r, 4 * r + 4)] as const;
    });
    return new Map([...states, ...own]);
  });
  for (const env of evaluateRanks(local, feeds))
    for (const [s, v] of local.updates) {
      const error = relativeError(env.get(v) as NdArray, want.states.get(s.name) as NdArray);
      t.true(error < 1e-9, `${s.name} is off by ${error}`);
    }
  const gathered = local.nodes
    .filter((n) => n.op === "all_gather")
    .map((n) => elements((n.inputs[0] as Value).type.shape));
  t.true(Math.max(...gathered) < 4 * 5 * 6, `${gathered}`); // 4 images of 5 tokens of 6 channels
});

test("the network for deployment takes any number of images, and is the reference's in ONNX Runtime", async (t) => {
  const c = { ...tiny, task: "mopro", image_size: 32, num_class: 4, low_dim: 8 } as const;
  const graph = deployed(c, "both", "uint8");
  const states = initialStates(graph, 3);
  const initializers = new Map([...states].map(([name, x]) => [name, Float32Array.from(x.data)]));
  const model = exportGraph(graph, { opset: 17, initializers, dynamicBatch: "N" });
  const session = await OrtModel.load(model);
  const images = NdArray.fill([3, 32, 32, 3], (i) => (i * 7919) % 251);
  const got = await session.run(new Map([["image", images]]));
  for (const name of ["logits", "embedding"])
    for (let i = 0; i < 3; i++) {
      const want = run(graph, states, { image: rows(images, i, i + 1) }).outputs[name] as NdArray;
      const error = relativeError(rows(got.get(name) as NdArray, i, i + 1), want);
      t.true(error < 1e-5, `${name} of image ${i} is off by ${error}`);
    }
});

test("what cannot be built or compiled is refused with the remedy", (t) => {
  t.throws(() => network("vit_s_16", 1, 1, 40), { message: /40 x 40 pixels do not fall into patches .* such as 48$/ });
  t.throws(() => network("vit_s_16", 0.01, 1, 32), { message: /width 0.01 makes 3.84 channels .* multiple of 6\/384/ });
  const options = { name: "vit", target: { device: "cuda", arch: "sm_80", ranks: [1] } } as const;
  const b = Builder.create("heads");
  const [q, k] = [b.input("q", f32(2, 3, 5, 4)), b.input("k", f32(2, 3, 4, 5))];
  t.throws(() => lower([b.finish([batch_matmul(b, q, k)])], options), {
    message: /^program heads: batch_matmul in <top> has no kernel for GPUs; compile it for the CPU/,
  });
});
