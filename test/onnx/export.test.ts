// Inference graphs as ONNX models, run by ONNX Runtime, against the reference evaluator: folded into one model with its
// weights, for any batch size.

import test from "ava";
import { Builder } from "../../compiler/ir/builder.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph } from "../../compiler/ir/types.js";
import { exportGraph } from "../../compiler/onnx/export.js";
import type { Elements } from "../../compiler/onnx/model.js";
import { decodeModel, encodeModel, type Model } from "../../compiler/onnx/proto.js";
import * as op from "../../compiler/ops/index.js";
import { optimize } from "../../compiler/pipeline.js";
import { moproPrograms } from "../../models/mopro.js";
import { nativeTarget, relativeError, runReference, toValues } from "../support/compiled.js";
import { OrtModel } from "../support/ort.js";
import { config, given, program } from "../support/tiny_mopro.js";
import { images, initialStates, type States } from "../support/training.js";

const embed = program("embed");
const states: States = initialStates(embed, 3);
const values = (g: Graph): ReadonlyMap<string, Elements> =>
  new Map(g.state.map((s) => [s.name, toValues(s.type, states.get(s.name) as NdArray) as Elements]));
const temperature = NdArray.scalar(0.25);

/** The reference's outputs for this many images. */
function reference(batch: number): ReadonlyMap<string, NdArray> {
  const g = moproPrograms({ ...config, batch, groups: 1 }).find((g) => g.name === "embed") as Graph;
  const feed = new Map(
    [...g.inputs, ...g.state].map((v) => [
      v,
      { img: pictures(batch), "hyper.temperature": temperature }[v.name] ?? (states.get(v.name) as NdArray),
    ]),
  );
  const { outputs } = runReference(g, feed);
  return new Map(g.outputs.map((v, i) => [v.name, outputs[i] as NdArray]));
}
const pictures = (batch: number): NdArray => images(given.slice(0, batch), config.image_size, 4);

async function agrees(
  t: { true(ok: boolean, message: string): unknown },
  model: Model,
  batch: number,
  renamed = new Map<string, string>(),
): Promise<void> {
  const got = await (await OrtModel.load(model)).run(
    new Map([
      ["img", pictures(batch)],
      ["hyper.temperature", temperature],
    ]),
  );
  for (const [name, want] of reference(batch)) {
    const error = relativeError(got.get(renamed.get(name) ?? name) as NdArray, want);
    t.true(error < 1e-5, `${name} is off by ${error}`);
  }
}

for (const opset of [13, 15, 17, 18, 21])
  test(`embed, operator set ${opset}, any batch`, async (t) => {
    const model = exportGraph(embed, { opset, initializers: values(embed), dynamicBatch: "N" });
    t.deepEqual(model.graph.inputs[0]?.shape, ["N", 3, 32, 32]);
    for (const batch of [8, 3]) await agrees(t, model, batch);
  });

test("embed after all passes, with other names", async (t) => {
  const g = optimize(embed, nativeTarget);
  const outputNames = new Map([["embedding", "key"]]);
  const model = exportGraph(g, {
    opset: 17,
    initializers: values(embed),
    dynamicBatch: "batch",
    outputNames,
  });
  t.deepEqual(
    model.graph.outputs.map((v) => v.name),
    ["feature", "logits", "key", "proto_logits"],
  );
  await agrees(t, model, 5, outputNames);
});

test("a model survives encoding and decoding", (t) => {
  const model = exportGraph(embed, {
    opset: 17,
    initializers: values(embed),
    metadata: { classes: "4" },
    producerVersion: "1.2",
  });
  const again = decodeModel(encodeModel(model));
  t.deepEqual(encodeModel(again), encodeModel(model));
  t.is(again.metadata.get("classes"), "4");
  t.is(again.graph.nodes.find((n) => n.name === "encoder_q.layer1.0.conv1/conv")?.op, "Conv");
});

test("what an export refuses", (t) => {
  const all = { opset: 17, initializers: values(embed) };
  t.throws(() => exportGraph(embed, { ...all, opset: 12 }), {
    message: /operator set 12: known are 13 to 21/,
  });
  t.throws(() => exportGraph(embed, { ...all, initializers: new Map() }), {
    message: /no value for %prototypes/,
  });
  const short = new Map([...all.initializers, ["encoder_q.fc2.bias", new Float32Array(3)] as const]);
  t.throws(() => exportGraph(embed, { ...all, initializers: short }), {
    message: /encoder_q\.fc2\.bias: 3 .* f32\[8\]/,
  });
  t.throws(() => exportGraph(program("evaluate"), { ...all, dynamicBatch: "N" }), {
    message: /top_k_correct.*no dynamic batch/,
  });
  const b = Builder.create("table");
  const x = b.input("x", { dtype: "f32", shape: [4, 3] });
  const table = op.constant(b, { values: [1], shape: [4, 3] });
  t.throws(() => exportGraph(b.finish([op.add(b, x, table)]), { ...all, dynamicBatch: "N" }), {
    message: /%constant has a fixed extent along the batch/,
  });
  t.throws(() => exportGraph(embed, { ...all, outputNames: new Map([["logits", "img"]]) }), {
    message: /would be called img/,
  });
  const old = { opset: 15, initializers: new Map() };
  const pool = Builder.create("pool");
  const [y, dy] = [
    pool.input("y", { dtype: "f32", shape: [1, 1, 4, 4] }),
    pool.input("dy", { dtype: "f32", shape: [1, 1, 2, 2] }),
  ];
  const g = pool.finish([op.max_pool_grad(pool, y, dy, { kernel: 2, stride: 2, pad: 0 })]);
  t.throws(() => exportGraph(g, old), { message: /needs operator set 16, not 15/ });
});
