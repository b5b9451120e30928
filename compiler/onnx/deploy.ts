// A network with its weights -> the ONNX model that is handed on: constants folded in f64 and rounded once,
// biases inside their convolutions, node names as the network's modules are called, a free batch extent.

import type { NdArray } from "../ir/nd.js";
import type { Graph } from "../ir/types.js";
import { dce } from "../passes/dce.js";
import { foldBatchNorm } from "../passes/fold_batch_norm.js";
import { foldScale } from "../passes/fold_scale.js";
import { type Valued, withoutUnread } from "../rewrite/valued.js";
import { exportGraph } from "./export.js";
import { mergeBias } from "./merge_bias.js";
import type { Model } from "./model.js";

export interface DeployOptions {
  readonly opset: number;
  readonly keepBatchNorm: boolean; // and the weights as they are
  readonly metadata: Readonly<Record<string, string>>;
  readonly producerVersion: string;
}

const anywhere = { device: "cpu", arch: "", ranks: [1] } as const;

/** The part of a graph that its outputs depend on, with only the states that they read. */
export const neededPart = (g: Graph): Graph => withoutUnread({ graph: dce.run(g, anywhere), values: new Map() }).graph;

/** Name of the free extent of the first axis. */
export const BATCH = "batch";

/** The model of a graph whose first axis is the batch. Throws, by name, when a folded weight is no finite f32. */
export function deployModel(
  network: Valued,
  { opset, keepBatchNorm, metadata, producerVersion }: DeployOptions,
): Model {
  const folded = keepBatchNorm ? network : foldScale(foldBatchNorm(network));
  const graph = neededPart(folded.graph);
  const initializers = new Map(
    graph.state.map((s) => [s.name, Float32Array.from((folded.values.get(s.name) as NdArray).data)]),
  );
  return mergeBias(exportGraph(graph, { opset, initializers, dynamicBatch: BATCH, metadata, producerVersion }));
}
