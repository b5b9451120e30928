// The networks and operators that npm run bench measures.

import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { NdArray } from "../../compiler/ir/nd.js";
import { elements } from "../../compiler/ir/types.js";
import { deployModel, neededPart } from "../../compiler/onnx/deploy.js";
import { readModel } from "../../compiler/onnx/files.js";
import { neededInputs } from "../../compiler/onnx/foreign_data.js";
import { elementsOf, type Model, type Tensor, tensorOf } from "../../compiler/onnx/model.js";
import { deployed } from "../../models/deploy.js";
import type { Subject } from "./both.js";

/** Numbers in -1..1 from a fixed sequence. */
export function noise(n: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
}

export const noiseTensor = (name: string, dims: readonly number[], seed = 1): Tensor =>
  tensorOf(name, "f32", dims, noise(elements(dims), seed));

/** A ResNet of ours or a small vision transformer, with weights from a fixed sequence; 224 pixels. */
export function ownNetwork(arch: "resnet18" | "resnet50" | "vit_s_16"): Model {
  const classes = { task: "classifier", width: 1, image_size: 224, num_class: 1000, low_dim: undefined } as const;
  const graph = neededPart(deployed({ arch, ...classes }, "classifier", "float"));
  const values = new Map(
    graph.state.map((s, i) => {
      const { shape } = s.type;
      const scale = shape.length > 1 ? Math.sqrt(6 / elements(shape.slice(1))) : 0.1;
      const about = /var|bn\d?\.weight|norm\d?\.weight/.test(s.name) ? 1 : 0;
      return [
        s.name,
        new NdArray(
          shape,
          Float64Array.from(noise(elements(shape), i + 1), (x) => about + scale * x),
        ),
      ];
    }),
  );
  return deployModel({ graph, values }, { opset: 17, keepBatchNorm: false, metadata: {}, producerVersion: "" });
}

export interface NamedModel {
  readonly name: string;
  readonly model: Model;
}

/** The models in folders below `folder`, by the names of their folders. */
export const namedModels = (folder: string): NamedModel[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((f) => f.endsWith("/model.onnx"))
    .sort()
    .map((f) => ({ name: dirname(f), model: readModel(join(folder, f)) }));

/** A network with `batch` images as data. Throws if it has not one input, which is images. */
export function onImages(name: string, model: Model, batch: number, label = ""): Subject {
  const [input, more] = neededInputs(model.graph);
  if (!input || more || input.shape?.length !== 4) throw new Error(`${name}: has not images as its only input`);
  const dims = [batch, ...input.shape.slice(1).map(Number)];
  const fitted = input.shape[0] === 1 && batch !== 1 ? withBatch(model, input.name, batch) : model;
  return { name: `${name}${label}`, model: fitted, inputs: [noiseTensor(input.name, dims, 7)] };
}

/** The model, which was made for one image, for `batch`: the shapes of its input and of what reshapes activations. */
function withBatch(model: Model, input: string, batch: number): Model {
  const { graph } = model;
  const active = new Set([input]);
  const sizes = new Set<string>();
  for (const n of graph.nodes) {
    if (!n.inputs.some((v) => active.has(v))) continue;
    for (const v of n.outputs) active.add(v);
    if (n.op === "Reshape") sizes.add(n.inputs[1] as string);
  }
  const resized = (t: Tensor): Tensor => {
    const own = sizes.has(t.name) ? (elementsOf(t) as BigInt64Array) : undefined;
    return own?.[0] === 1n ? tensorOf(t.name, "i64", t.dims, own.with(0, BigInt(batch))) : t;
  };
  const shaped = (v: Model["graph"]["inputs"][number]) =>
    v.name === input && v.shape ? { ...v, shape: [batch, ...v.shape.slice(1)] } : v;
  const free = graph.outputs.map((v) => ({ ...v, shape: undefined }));
  const inputs = graph.inputs.map(shaped);
  return {
    ...model,
    graph: { ...graph, inputs, outputs: free, initializers: graph.initializers.map(resized), values: [] },
  };
}
