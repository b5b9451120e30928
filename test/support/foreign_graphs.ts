// Graphs of foreign models with graphs in their nodes, and the models around them.

import type { Attribute, OnnxFunction, OnnxNode, Tensor } from "../../compiler/onnx/model.js";
import { decodeModel, encodeModel, type Model, type OnnxGraph } from "../../compiler/onnx/proto.js";

export type Types = Readonly<Record<string, readonly [type: "f32" | "i64" | "bool", shape: readonly number[]]>>;
export const values = (of: Types): OnnxGraph["inputs"] =>
  Object.entries(of).map(([name, [type, shape]]) => ({ name, type, shape }));

export const graph = (
  nodes: readonly OnnxNode[],
  inputs: Types,
  outputs: Types,
  constants: Readonly<Record<string, Tensor>> = {},
): OnnxGraph => ({
  name: "g",
  nodes,
  inputs: values(inputs),
  outputs: values(outputs),
  values: [],
  initializers: Object.entries(constants).map(([name, t]) => ({ ...t, name })),
});
export const withGraphs = (
  n: OnnxNode,
  graphs: Readonly<Record<string, OnnxGraph>>,
  more: Readonly<Record<string, Attribute>> = {},
): OnnxNode => ({
  ...n,
  attributes: {
    ...n.attributes,
    ...more,
    ...Object.fromEntries(Object.entries(graphs).map(([k, value]) => [k, { kind: "graph" as const, value }])),
  },
});

export const model = (g: OnnxGraph, functions: readonly OnnxFunction[] = [], opset = 17): Model =>
  decodeModel(
    encodeModel({
      irVersion: 8,
      opsets: new Map([["", opset], ...functions.map((f) => [f.domain, 1] as const)]),
      producer: "",
      producerVersion: "",
      doc: "",
      graph: g,
      functions,
      training: [],
      metadata: new Map(),
    }),
  );

export const x: Types = { x: ["f32", [2, 3]] };
