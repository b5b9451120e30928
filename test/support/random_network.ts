// Networks with random weights of the size that training gives them, as ONNX models for deployment.

import { deployModel, neededPart } from "../../compiler/onnx/deploy.js";
import type { Model } from "../../compiler/onnx/model.js";
import { deployed, type Head, type Input } from "../../models/deploy.js";
import { randomArray } from "./random.js";

/** The network's sizes: 5 classes, an embedding of 8, images of 32 pixels. */
export const sizesOf = (arch: string) => ({
  task: "mopro" as const,
  arch,
  width: arch.startsWith("vit") ? 0.25 : 0.125,
  num_class: 5,
  low_dim: 8,
  image_size: 32,
});

export function randomNetwork(
  arch: "resnet10" | "resnet18" | "vit_s_16",
  head: Head,
  input: Input,
  keepBatchNorm: boolean,
  opset: number,
): Model {
  const graph = neededPart(deployed(sizesOf(arch), head, input));
  const values = new Map(
    graph.state.map((s, i) => {
      const { shape } = s.type;
      const bound = Math.sqrt(6 / shape.slice(1).reduce((a, d) => a * d, 1));
      const [low, high] = s.name.endsWith("running_var")
        ? [0.5, 2]
        : shape.length > 1
          ? [-bound, bound]
          : s.name.endsWith("weight")
            ? [0.5, 1.5]
            : [-0.3, 0.3];
      return [s.name, randomArray(shape, i + 1, low, high)] as const;
    }),
  );
  return deployModel({ graph, values }, { opset, keepBatchNorm, metadata: {}, producerVersion: "1" });
}
