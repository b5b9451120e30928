// Makes the ONNX model for deployment from a network with its weights. Constants are folded in f64 and rounded once,
// biases are part of their convolutions, node names are those of the network's modules, and the batch size is free.

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
  readonly keepBatchNorm: boolean; // if true, nothing is folded and the weights stay as they are
  readonly metadata: Readonly<Record<string, string>>;
  readonly producerVersion: string;
}

const anywhere = { device: "cpu", arch: "", ranks: [1] } as const;

/** The part of a graph that its outputs depend on, with only the states that they read. */
export const neededPart = (g: Graph): Graph => withoutUnread({ graph: dce.run(g, anywhere), values: new Map() }).graph;

/** The name in the model of the free extent of the first axis. */
export const BATCH = "batch";

/**
 * The model of a network whose inputs and outputs have the batch as their first axis. Throws, with the tensor's name,
 * if a folded weight is not finite in f32, and if the graph is not the same for every batch size.
 */
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
