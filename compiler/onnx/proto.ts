// ONNX models to bytes and back. Only this file and encode.ts use the protobuf library. A model that is read is not
// trusted: every count, type and size is checked before it is used, and messages name what is wrong.

import onnxProto, { type onnx } from "onnx-proto";
import { elements } from "../ir/types.js";
import { clamped, count, integer, text } from "./checked.js";
import { EXTERNAL, kinds, plain } from "./encode.js";
import {
  type Attribute,
  type Attributes,
  type Dim,
  dataTypes,
  type ElementType,
  elementBytes,
  type Model,
  type OnnxFunction,
  type OnnxGraph,
  type OnnxNode,
  otherTypes,
  type Tensor,
  type TrainingInfo,
  type ValueInfo,
} from "./model.js";
import { shown } from "./shown.js";
import { Unsupported } from "./unsupported.js";
import { checkWire, type Unknown } from "./wire.js";

export { encodeFunction, encodeModel, encodeTensorFile } from "./encode.js";
export type * from "./model.js";

const MAX_DEPTH = 8; // nesting of graphs in attributes of nodes
const MAX_RANK = 16;
const KNOWN_IR = 13;

/** The model in these bytes, whose memory it shares. Throws, saying where, if they are not a valid model. */
export function decodeModel(bytes: Uint8Array): Model {
  const { message: m, functions } = parse(bytes);
  const irVersion = count(m.irVersion ?? 0, "the IR version");
  if (irVersion < 3 || irVersion > KNOWN_IR)
    throw new Error(`not an ONNX model: its IR version is ${irVersion}, known are 3 to ${KNOWN_IR}`);
  const opsets = decodeOpsets(m.opsetImport, "the model");
  if (opsets.size === 0) throw new Error("the model imports no version of any operators");
  if (!m.graph) throw new Error("the model has no graph");
  return {
    irVersion,
    opsets,
    producer: m.producerName ?? "",
    producerVersion: m.producerVersion ?? "",
    doc: m.docString ?? "",
    graph: decodeGraph(m.graph, 0),
    functions: (m.functions ?? []).map((f, i) => decodeFunction(f, functions[i] ?? [])),
    training: (m.trainingInfo ?? []).map(decodeTraining),
    metadata: new Map(pairs(m.metadataProps, "the metadata")),
  };
}

/** What can be said of a model that may be not supported: its operators, with their domains, and its operator set. */
export interface Outline {
  readonly nodes: readonly { readonly operator: string; readonly outputs: readonly string[] }[];
  readonly opset: number; // of ai.onnx, otherwise of the first domain
}

/** The outline of the model in these bytes. Throws if they are no model. */
export function outlineOf(bytes: Uint8Array): Outline {
  const { message: m } = parse(bytes);
  const opsets = decodeOpsets(m.opsetImport, "the model");
  const nodes = (m.graph?.node ?? []).map((n) => ({
    operator: `${n.domain && n.domain !== "ai.onnx" ? `${n.domain}::` : ""}${n.opType}`,
    outputs: n.output ?? [],
  }));
  return { nodes, opset: opsets.get("") ?? [...opsets.values()][0] ?? 0 };
}

/** The tensor in these bytes of a TensorProto, as ONNX's test cases have them. Throws if they are not valid. */
export function decodeTensorFile(bytes: Uint8Array): Tensor {
  checkWire(bytes, "tensor");
  return decodeTensor(onnxProto.onnx.TensorProto.decode(buffer(bytes)), "the tensor");
}

const buffer = (a: Uint8Array): Buffer => Buffer.from(a.buffer, a.byteOffset, a.byteLength); // it is read faster

function parse(bytes: Uint8Array): { message: onnx.IModelProto; functions: Unknown } {
  const functions = checkWire(bytes, "model");
  return { message: onnxProto.onnx.ModelProto.decode(buffer(bytes)), functions };
}

function decodeTraining(t: onnx.ITrainingInfoProto): TrainingInfo {
  if (t.initialization || (t.initializationBinding ?? []).length > 0)
    throw new Error("training info with an initialization graph is not supported");
  return {
    algorithm: t.algorithm ? decodeGraph(t.algorithm, 0) : undefined,
    updates: pairs(t.updateBinding, "the update binding"),
  };
}

/** `defaults` has the bytes of the attributes with values. */
function decodeFunction(f: onnx.IFunctionProto, defaults: readonly Uint8Array[]): OnnxFunction {
  const name = text(f.name, "the name of a function");
  const place = `function ${shown(name)}`;
  return {
    domain: f.domain ?? "",
    name,
    inputs: f.input ?? [],
    outputs: f.output ?? [],
    attributes: f.attribute ?? [],
    ...(defaults.length > 0 && { defaults: decodeDefaults(defaults, f.attribute ?? [], place) }),
    nodes: (f.node ?? []).map((n) => decodeNode(n, 0)),
    opsets: decodeOpsets(f.opsetImport, place),
    doc: f.docString ?? "",
  };
}

function decodeDefaults(all: readonly Uint8Array[], others: readonly string[], place: string): Attributes {
  const list = all.map((bytes) => onnxProto.onnx.AttributeProto.decode(buffer(bytes)));
  const attributes = decodeAttributes(list, place, 0);
  for (const [name, a] of Object.entries(attributes)) {
    const where = `attribute ${shown(name)} of ${place}`;
    if (others.includes(name)) throw new Error(`${where} is there twice`);
    if (a.kind === "reference") throw new Error(`${where} has no value, but a reference to ${shown(a.value)}`);
    if (a.kind === "graph") throw new Unsupported(`${where} has a graph as its value, which is not supported`);
  }
  return attributes;
}

function decodeGraph(g: onnx.IGraphProto, depth: number): OnnxGraph {
  if (depth > MAX_DEPTH) throw new Error("graphs are nested too deeply");
  if ((g.sparseInitializer ?? []).length > 0)
    throw new Error(`graph ${shown(g.name)}: sparse initializers are not supported`);
  return {
    name: g.name ?? "",
    nodes: (g.node ?? []).map((n) => decodeNode(n, depth)),
    inputs: (g.input ?? []).map((v) => decodeValue(v, "input")),
    outputs: (g.output ?? []).map((v) => decodeValue(v, "output")),
    values: (g.valueInfo ?? []).map((v) => decodeValue(v, "value")),
    initializers: (g.initializer ?? []).map((t) => decodeTensor(t, `initializer ${shown(t.name)}`)),
  };
}

function decodeNode(n: onnx.INodeProto, depth: number): OnnxNode {
  const op = text(n.opType, `the operator of node ${shown(n.name)}`);
  const domain = n.domain === "ai.onnx" ? "" : (n.domain ?? "");
  return {
    name: n.name ?? "",
    op,
    domain,
    inputs: n.input ?? [],
    outputs: n.output ?? [],
    attributes: decodeAttributes(n.attribute ?? [], `node ${shown(n.name) || "without name"} (${shown(op)})`, depth),
  };
}

function decodeAttributes(list: readonly onnx.IAttributeProto[], of: string, depth: number): Attributes {
  const attributes = new Map<string, Attribute>();
  for (const a of list) {
    const where = `attribute ${shown(a.name)} of ${of}`;
    if (attributes.has(text(a.name, where))) throw new Error(`${where} is there twice`);
    attributes.set(a.name as string, decodeAttribute(a, where, depth));
  }
  return Object.fromEntries(attributes) as Attributes;
}

function decodeAttribute(a: onnx.IAttributeProto, where: string, depth: number): Attribute {
  if (a.refAttrName) return { kind: "reference", value: a.refAttrName, type: a.type ?? 0 };
  switch (Object.entries(kinds).find(([, number]) => number === a.type)?.[0] as keyof typeof kinds | undefined) {
    case "int":
      return { kind: "int", value: integer(a.i ?? 0, where) };
    case "float":
      return { kind: "float", value: a.f ?? 0 };
    case "string":
      return { kind: "string", value: Buffer.from(a.s ?? []).toString() };
    case "tensor":
      return { kind: "tensor", value: decodeTensor(a.t ?? {}, where) };
    case "graph":
      return { kind: "graph", value: decodeGraph(a.g ?? {}, depth + 1) };
    case "ints":
      return { kind: "ints", value: (a.ints ?? []).map((i) => clamped(i)) };
    case "floats":
      return { kind: "floats", value: a.floats ?? [] };
    case "strings":
      return { kind: "strings", value: (a.strings ?? []).map((s) => Buffer.from(s).toString()) };
    case undefined:
      throw new Unsupported(`${where} has type ${a.type}, which is not supported`);
  }
}

function decodeTensor(t: onnx.ITensorProto, where: string): Tensor {
  const type = elementType(t.dataType, where);
  const dims = (t.dims ?? []).map((d) => count(d, `an extent of ${where}`));
  const need = sizeOf(dims, elementBytes[type], where);
  const fields = elementFields.filter((name) => (t[name] ?? []).length > 0);
  const outside = t.dataLocation === EXTERNAL;
  if (fields.length > (outside ? 0 : 1))
    throw new Error(
      `${where}: its elements are in ${[...(outside ? ["another file"] : []), ...fields].map(snake).join(" and ")}`,
    );
  const data = outside ? decodeExternal(t, where) : rawData(t, type);
  const have = data instanceof Uint8Array ? data.byteLength : data.length;
  if (have !== need) throw new Error(`${where}: ${type}[${dims}] takes ${need} bytes, there are ${have}`);
  return { name: t.name ?? "", type, dims, data };
}

/** The fields that may have the elements of a tensor; one of them has. */
const elementFields = [
  ...(["rawData", "floatData", "int32Data", "stringData"] as const),
  ...(["int64Data", "doubleData", "uint64Data"] as const),
];
/** A field as its definition writes it. */
const snake = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/** The elements as bytes, from the field that has them. */
function rawData(t: onnx.ITensorProto, type: ElementType): Uint8Array {
  if (t.rawData && t.rawData.length > 0) return plain(t.rawData);
  if (type === "f32") return plain(Float32Array.from(t.floatData ?? []));
  if (type === "f64") return plain(Float64Array.from(t.doubleData ?? []));
  const big = (xs: onnx.ITensorProto["int64Data"]): BigInt64Array =>
    BigInt64Array.from(xs ?? [], (x) => BigInt(String(x)));
  if (type === "i64") return plain(big(t.int64Data));
  if (type === "u64") return plain(big(t.uint64Data)); // the same 64 bits
  if (type === "u32") return plain(Uint32Array.from(t.uint64Data ?? [], Number));
  const xs = t.int32Data ?? [];
  if (type === "i32") return plain(Int32Array.from(xs));
  return elementBytes[type] === 2 ? plain(Uint16Array.from(xs)) : Uint8Array.from(xs);
}

function decodeExternal(t: onnx.ITensorProto, where: string): Tensor["data"] {
  const e = new Map(pairs(t.externalData, where));
  const number = (key: string, otherwise?: string): number => {
    const digits = e.get(key) ?? otherwise ?? text(undefined, `the ${key} of ${where}`);
    if (!/^[0-9]{1,19}$/.test(digits))
      throw new Error(`${key} of ${where} is ${JSON.stringify(shown(digits))}, not decimal digits of 64 bits`);
    return count(Number(digits), `${key} of ${where}`);
  };
  return {
    location: text(e.get("location"), `the file of ${where}`),
    offset: number("offset", "0"),
    length: number("length"),
  };
}

function decodeValue(v: onnx.IValueInfoProto, what: string): ValueInfo {
  const where = `${what} ${shown(text(v.name, `the name of an ${what}`))}`;
  const t = v.type?.tensorType;
  if (!t) throw new Unsupported(`${where} is ${kindOf(v.type)}, not a tensor, which is not supported`);
  const dims = t.shape?.dim;
  if (dims && dims.length > MAX_RANK) throw new Error(`${where} has ${dims.length} axes`);
  const extent = (d: onnx.TensorShapeProto.IDimension): Dim =>
    d.dimParam ? d.dimParam : d.dimValue == null ? "" : count(d.dimValue, `an extent of ${where}`);
  const shape = t.shape ? (dims ?? []).map(extent) : undefined;
  return { name: v.name as string, type: elementType(t.elemType, where), shape };
}

/** The kind of a value that is no tensor, as TypeProto names it. */
function kindOf(type: onnx.ITypeProto | null | undefined): string {
  const kind = Object.entries(type ?? {}).find(([name, x]) => /Type$/.test(name) && x)?.[0];
  return kind ? `of the kind ${kind.replace(/Type$/, "")}` : "of an unknown kind";
}

function decodeOpsets(
  all: readonly onnx.IOperatorSetIdProto[] | null | undefined,
  where: string,
): ReadonlyMap<string, number> {
  const opsets = new Map<string, number>();
  for (const o of all ?? []) {
    const domain = o.domain === "ai.onnx" ? "" : (o.domain ?? "");
    if (opsets.has(domain)) throw new Error(`${where} imports operators of ${shown(domain || "ai.onnx")} twice`);
    opsets.set(domain, count(o.version ?? 0, `an operator set of ${where}`));
  }
  return opsets;
}

function pairs(all: readonly onnx.IStringStringEntryProto[] | null | undefined, where: string): [string, string][] {
  const out = new Map<string, string>();
  for (const { key, value } of all ?? []) {
    if (out.has(key ?? "")) throw new Error(`${where} has ${shown(key)} twice`);
    out.set(key ?? "", value ?? "");
  }
  return [...out];
}

function elementType(number: number | null | undefined, where: string): ElementType {
  const type = dataTypes[number ?? 0];
  if (!type)
    throw new Unsupported(`${where} has element type ${otherTypes[number ?? 0] ?? number}, which is not supported`);
  return type;
}

function sizeOf(dims: readonly number[], each: number, where: string): number {
  const size = elements(dims) * each;
  if (dims.length > MAX_RANK || !Number.isSafeInteger(size)) throw new Error(`${where}: no tensor has shape [${dims}]`);
  return size;
}
