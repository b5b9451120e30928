// ONNX models as bytes.

import onnxProto, { type onnx } from "onnx-proto";
import {
  type Attribute,
  dataTypes,
  type Model,
  type OnnxFunction,
  type OnnxGraph,
  type OnnxNode,
  type Tensor,
  type ValueInfo,
} from "./model.js";
import { DEFAULTS } from "./wire.js";

/** AttributeProto's numbers for the kinds of attributes. */
export const kinds = { float: 1, int: 2, string: 3, tensor: 4, graph: 5, floats: 6, ints: 7, strings: 8 } as const;
export const EXTERNAL = 1; // TensorProto.DataLocation
const FUNCTIONS = 25; // the field of a model

/**
 * A model's bytes. They must be fewer than 2 GiB, so larger tensors must be external. `more`: values that are outputs,
 * too, without a type, which ONNX Runtime finds out.
 */
export function encodeModel(m: Model, more: readonly string[] = []): Uint8Array {
  const head = plain(
    onnxProto.onnx.ModelProto.encode({
      irVersion: m.irVersion,
      producerName: m.producer,
      producerVersion: m.producerVersion,
      ...(m.doc && { docString: m.doc }),
      graph: encodeGraph(m.graph, more),
      opsetImport: encodeOpsets(m.opsets),
      metadataProps: entries([...m.metadata]),
      trainingInfo: m.training.map((t) => ({
        ...(t.algorithm && { algorithm: encodeGraph(t.algorithm) }),
        updateBinding: entries(t.updates),
      })),
    }).finish(),
  );
  return m.functions.length === 0
    ? head
    : joined([head, ...m.functions.flatMap((f) => field(FUNCTIONS, encodeFunction(f)))]);
}

/** The same bytes as a plain Uint8Array, because the slice() of a Buffer does not copy. */
export const plain = (a: ArrayBufferView): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);

const joined = (parts: readonly Uint8Array[]): Uint8Array => plain(Buffer.concat(parts));

/** A field of a message whose value has these bytes. */
const field = (number: number, value: Uint8Array): readonly Uint8Array[] => [
  Uint8Array.from([...varint(8 * number + 2), ...varint(value.length)]), // 2: a length and as many bytes
  value,
];
const varint = (n: number): number[] => (n < 128 ? [n] : [(n % 128) + 128, ...varint(Math.floor(n / 128))]);

/** A function's bytes, as in a model; functions are equal if their bytes are. */
export function encodeFunction(f: OnnxFunction): Uint8Array {
  const head = plain(onnxProto.onnx.FunctionProto.encode(functionProto(f)).finish());
  const defaults = Object.entries(f.defaults ?? {}).flatMap(([name, a]) =>
    field(DEFAULTS, onnxProto.onnx.AttributeProto.encode(attributeProto(name, a)).finish()),
  );
  return joined([head, ...defaults]); // the decoder's package does not know this field
}

const functionProto = (f: OnnxFunction): onnx.IFunctionProto => ({
  name: f.name,
  domain: f.domain,
  input: [...f.inputs],
  output: [...f.outputs],
  attribute: [...f.attributes],
  node: f.nodes.map(encodeNode),
  opsetImport: encodeOpsets(f.opsets),
  ...(f.doc && { docString: f.doc }),
});

const entries = (pairs: readonly (readonly [string, string])[]): onnx.IStringStringEntryProto[] =>
  pairs.map(([key, value]) => ({ key, value }));
const encodeOpsets = (o: ReadonlyMap<string, number>): onnx.IOperatorSetIdProto[] =>
  [...o].map(([domain, version]) => ({ domain, version }));

function encodeGraph(g: OnnxGraph, more: readonly string[] = []): onnx.IGraphProto {
  return {
    node: g.nodes.map(encodeNode),
    name: g.name,
    initializer: g.initializers.map(encodeTensor),
    input: g.inputs.map(encodeValue),
    output: [...g.outputs.map(encodeValue), ...more.map((name) => ({ name }))],
    valueInfo: g.values.map(encodeValue),
  };
}

const encodeNode = (n: OnnxNode): onnx.INodeProto => ({
  input: [...n.inputs],
  output: [...n.outputs],
  name: n.name,
  opType: n.op,
  ...(n.domain && { domain: n.domain }),
  attribute: Object.entries(n.attributes).map(([name, a]) => attributeProto(name, a)),
});

const attributeProto = (name: string, a: Attribute): onnx.IAttributeProto => ({
  name,
  type: a.kind === "reference" ? a.type : kinds[a.kind],
  ...encodeAttribute(a),
});

function encodeAttribute(a: Attribute): onnx.IAttributeProto {
  switch (a.kind) {
    case "int":
      return { i: a.value };
    case "float":
      return { f: a.value };
    case "string":
      return { s: Buffer.from(a.value) };
    case "tensor":
      return { t: encodeTensor(a.value) };
    case "graph":
      return { g: encodeGraph(a.value) };
    case "ints":
      return { ints: [...a.value] };
    case "floats":
      return { floats: [...a.value] };
    case "reference":
      return { refAttrName: a.value };
    case "strings":
      return { strings: a.value.map((s) => Buffer.from(s)) };
    default:
      throw new Error(`internal: attribute ${JSON.stringify(a satisfies never)}`);
  }
}

function encodeTensor(t: Tensor): onnx.ITensorProto {
  const head = { name: t.name, dims: [...t.dims], dataType: dataTypes.indexOf(t.type) };
  if (t.data instanceof Uint8Array) return { ...head, rawData: t.data };
  const { location, offset, length } = t.data;
  const external = entries([
    ["location", location],
    ["offset", String(offset)],
    ["length", String(length)],
  ]);
  return { ...head, dataLocation: EXTERNAL, externalData: external };
}

const encodeValue = (v: ValueInfo): onnx.IValueInfoProto => ({
  name: v.name,
  type: {
    tensorType: {
      elemType: dataTypes.indexOf(v.type),
      ...(v.shape && {
        shape: {
          dim: v.shape.map((d) => (typeof d === "number" ? { dimValue: d } : d ? { dimParam: d } : {})),
        },
      }),
    },
  },
});

/** The bytes of a TensorProto, as ONNX's test cases have them. */
export const encodeTensorFile = (t: Tensor): Uint8Array =>
  plain(onnxProto.onnx.TensorProto.encode(encodeTensor(t)).finish());
