// Small ONNX models as other exporters write them, and their results by the reference evaluator.

import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Value } from "../../compiler/ir/types.js";
import { type Foreign, importForeign } from "../../compiler/onnx/foreign.js";
import { type Attribute, type Model, type OnnxNode, type Tensor, tensorOf } from "../../compiler/onnx/model.js";
import { decodeModel, encodeModel } from "../../compiler/onnx/proto.js";
import { arrayOf } from "./onnx_cases.js";

export type Attrs = Readonly<Record<string, number | string | readonly number[] | readonly string[] | Tensor>>;

/** 1 and [1, 2] are integers; "0.5", a string of digits with a point, is a float, and other strings are texts. */
function attribute(v: Attrs[string]): Attribute {
  if (typeof v === "number") return { kind: "int", value: v };
  if (typeof v === "string")
    return /^-?\d+\.\d+$/.test(v) ? { kind: "float", value: Number(v) } : { kind: "string", value: v };
  if (!Array.isArray(v)) return { kind: "tensor", value: v as Tensor };
  const texts = v.filter((x) => typeof x === "string");
  if (texts.length === 0) return { kind: "ints", value: v as number[] };
  return texts.every((x) => /^-?\d+\.\d+$/.test(x))
    ? { kind: "floats", value: texts.map(Number) }
    : { kind: "strings", value: texts };
}

export const node = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attrs: Attrs = {},
  domain = "",
): OnnxNode => ({
  name: "",
  op,
  domain,
  inputs,
  outputs,
  attributes: Object.fromEntries(Object.entries(attrs).map(([k, v]) => [k, attribute(v)])),
});

export const f32 = (dims: readonly number[], xs: readonly number[], name = ""): Tensor =>
  tensorOf(name, "f32", dims, Float32Array.from(xs));
export const i64 = (xs: readonly (number | bigint)[], dims: readonly number[] = [xs.length]): Tensor =>
  tensorOf(
    "",
    "i64",
    dims,
    BigInt64Array.from(xs, (x) => BigInt(x)),
  );

export interface Parts {
  readonly nodes: readonly OnnxNode[];
  readonly inputs?: Readonly<Record<string, readonly (number | string)[]>>; // shapes of f32
  readonly constants?: Readonly<Record<string, Tensor>>; // initializers
  readonly outputs?: readonly string[]; // absent: y
  readonly outputType?: "f32" | "i64";
  readonly opset?: number;
  readonly irVersion?: number;
  readonly listed?: boolean; // the initializers are inputs, too, as in IR version 3
}

/** The model, written to bytes and read again. */
export function foreignModel(p: Parts): Model {
  const initializers = Object.entries(p.constants ?? {}).map(([name, t]) => ({ ...t, name }));
  const inputs = Object.entries(p.inputs ?? {}).map(([name, shape]) => ({ name, type: "f32" as const, shape }));
  const listed = initializers.map(({ name, type, dims }) => ({ name, type, shape: dims }));
  return decodeModel(
    encodeModel({
      irVersion: p.irVersion ?? 8,
      opsets: new Map([["", p.opset ?? 17]]),
      producer: "another",
      producerVersion: "1",
      doc: "",
      graph: {
        name: "torch-jit-export",
        nodes: p.nodes,
        inputs: [...inputs, ...(p.listed ? listed : [])],
        outputs: (p.outputs ?? ["y"]).map((name) => ({ name, type: p.outputType ?? "f32", shape: undefined })),
        values: [],
        initializers,
      },
      functions: [],
      training: [],
      metadata: new Map(),
    }),
  );
}

/** The outputs of an imported program in f64, for inputs in the order of the program's. */
export function results(f: Foreign, inputs: readonly NdArray[]): NdArray[] {
  const feed = new Map<Value, NdArray>(f.graph.inputs.map((v, i) => [v, inputs[i] as NdArray]));
  for (const s of f.graph.state) feed.set(s, arrayOf(f.values.get(s.name) as Tensor));
  const env = evaluate(f.graph, feed);
  return f.graph.outputs.map((v) => env.get(v) as NdArray);
}

export const array = (shape: readonly number[], xs: readonly number[]): NdArray =>
  new NdArray(shape, Float64Array.from(xs));
/** Numbers that differ, some of them negative. */
export const some = (shape: readonly number[]): NdArray => NdArray.fill(shape, (i) => ((i * 7) % 11) - 4.5);

/** The first output of a model of one node y = op(x, constants...). */
export function one(
  op: string,
  opset: number,
  x: NdArray,
  attrs: Attrs = {},
  constants: readonly (Tensor | undefined)[] = [],
  outputs: readonly string[] = ["y"],
): NdArray {
  const names = constants.map((t, i) => (t ? `c${i}` : ""));
  const m = foreignModel({
    nodes: [node(op, ["x", ...names], outputs, attrs)],
    inputs: { x: x.shape },
    constants: Object.fromEntries(constants.flatMap((t, i) => (t ? [[`c${i}`, t]] : []))),
    opset,
    outputs,
  });
  return results(importForeign(m), [x])[0] as NdArray;
}
