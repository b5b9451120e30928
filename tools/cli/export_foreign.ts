// The ONNX model of a network that another program wrote, after it was trained: its own graph with new weights.

import { NdArray } from "../../compiler/ir/nd.js";
import { elements } from "../../compiler/ir/types.js";
import { type Elements, elementsOf, type Model, type Tensor, tensorOf } from "../../compiler/onnx/model.js";
import { type Layer, type Returned, retrained } from "../../compiler/onnx/retrained.js";
import { addedName } from "../../models/added.js";
import { type Head, outputsOf } from "../../models/deploy.js";
import type { Checkpoint } from "./checkpoint.js";
import type { Foreign } from "./foreign_flags.js";

/** The model, and the weights of the states that it was made of, by the names of the compiled network's states. */
export interface ForeignModel {
  readonly model: Model;
  readonly values: ReadonlyMap<string, NdArray>;
  readonly constants: ReadonlyMap<string, Elements>; // of further states
}

/** Throws, naming file and tensor, if the checkpoint lacks a tensor or has one of another shape. */
export function foreignModel(
  checkpoint: Checkpoint,
  onnx: Foreign,
  head: Head,
  metadata: Readonly<Record<string, string>>,
): ForeignModel {
  const { file, network, prefix } = checkpoint;
  const values = new Map<string, NdArray>();
  const tensor = (name: string, as: string, dims?: readonly number[]): Tensor => {
    const entry = file.entry(prefix + name);
    if (entry.dtype !== "F32" || (dims && entry.shape.join() !== dims.join()))
      throw new Error(`${file.path}: tensor ${prefix + name} is ${entry.dtype}[${entry.shape}], not f32[${dims}]`);
    const data = Float32Array.from(file.floats(prefix + name));
    if (data.some((v) => !Number.isFinite(v)))
      throw new Error(`${file.path}: tensor ${prefix + name} has elements that are not finite`);
    values.set(name, new NdArray(entry.shape, Float64Array.from(data)));
    return tensorOf(as, "f32", entry.shape, data);
  };
  const layer = (name: string, stored = name): Layer => ({
    weight: tensor(`${stored}.weight`, `${name}.weight`),
    bias: tensor(`${stored}.bias`, `${name}.bias`),
  });
  const { facts, options } = onnx.network;
  const own = (name: string): string => addedName(name, onnx.network);
  const weights = new Map<string, Tensor>();
  const constants = new Map<string, Elements>(); // states that training does not change
  for (const [name, t] of facts.values)
    if (t.type === "f32" && elements(t.dims) > 1) weights.set(t.name, tensor(name, t.name, t.dims));
    else constants.set(name, elementsOf(t));
  const wanted = outputsOf(head);
  if (wanted.includes("embedding") && network.task === "classifier")
    throw new Error(`--head ${head}: the network has no embedding`);
  const kept = facts.classes;
  const returned: Returned = {
    feature: options.head.feature,
    rank: facts.featureRank,
    size: facts.featureSize,
    ...(wanted.includes("logits") && {
      logits:
        kept === undefined
          ? layer(own("fc"), checkpoint.head)
          : { kept: options.head.logits, rank: facts.logitsRank ?? 2, classes: kept },
    }),
    ...(wanted.includes("embedding") && { embedding: [layer(own("fc1")), layer(own("fc2"))] as const }),
    ...(wanted.includes("features") && { features: true as const }),
  };
  return { model: retrained(onnx.model, weights, returned, metadata), values, constants };
}
