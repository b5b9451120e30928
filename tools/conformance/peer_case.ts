// A function of one ONNX operator whose value and gradient are compared with PyTorch's: its inputs, which are random,
// and its attributes. The model has one node.

import { elements } from "../../compiler/ir/types.js";
import { type Attribute, type Model, numbersTensor, type Tensor } from "../../compiler/onnx/model.js";

/** An input: real numbers from low to high, or the given integers or truth values. */
export interface PeerInput {
  readonly kind: "real" | "i64" | "bool";
  readonly shape: readonly number[];
  readonly low: number;
  readonly high: number;
  readonly values: readonly number[]; // of integers and truth values
}

export const real = (shape: readonly number[], low = -1, high = 1): PeerInput => ({
  kind: "real",
  shape,
  low,
  high,
  values: [],
});
const given =
  (kind: "i64" | "bool") =>
  (values: readonly number[], shape: readonly number[] = [values.length]): PeerInput => ({
    kind,
    shape,
    low: 0,
    high: 0,
    values,
  });
export const whole = given("i64");
export const truth = given("bool");

/** 1 and [1, 2] are integers. Floats must be exact in f32, because that is what an ONNX file stores. */
export type PeerAttribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly texts: readonly string[] };

export interface PeerCase {
  readonly operator: string;
  readonly inputs: readonly (PeerInput | undefined)[]; // undefined: an optional one that is not given
  readonly attributes: Readonly<Record<string, PeerAttribute>>;
  readonly outputs: number; // the first ones, which are compared
  readonly opset: number;
  readonly fixed: readonly number[]; // real inputs by which ONNX has no derivative
}

/** The version of the operator set of cases that name no other. */
export const OPSET = 22;

interface Rest {
  readonly outputs?: number;
  readonly opset?: number;
  readonly fixed?: readonly number[];
}

export const peerCase = (
  operator: string,
  inputs: readonly (PeerInput | undefined)[],
  attributes: PeerCase["attributes"] = {},
  { outputs = 1, opset = OPSET, fixed = [] }: Rest = {},
): PeerCase => ({ operator, inputs, attributes, outputs, opset, fixed });

/** A number in 0..1 that depends on its arguments alone. */
function random(i: number, seed: number): number {
  const x = Math.sin(12.9898 * (i + 1) + 78.233 * (seed + 1)) * 43758.5453;
  return x - Math.floor(x);
}

/** The elements of input `i` of a case, exact in f32. */
export function valuesOf(x: PeerInput, i: number): number[] {
  if (x.kind !== "real") return [...x.values];
  const at = (k: number): number => Math.fround(x.low + (x.high - x.low) * random(k, i));
  return Array.from({ length: elements(x.shape) }, (_, k) => at(k));
}

/** The weights of the elements of output `i` in the loss. */
export const weightsOf = (count: number, i: number): number[] =>
  Array.from({ length: count }, (_, k) => 2 * random(k, 100 + i) - 1);

function attributeOf(v: PeerAttribute): Attribute {
  if (typeof v === "number") return { kind: "int", value: v };
  if (typeof v === "string") return { kind: "string", value: v };
  if ("texts" in v) return { kind: "strings", value: v.texts };
  if ("float" in v) {
    if (Math.fround(v.float) !== v.float) throw new Error(`${v.float} is not exact in f32`);
    return { kind: "float", value: v.float };
  }
  return { kind: "ints", value: v };
}

export const nameOf = (i: number): string => `x${i}`;
export const outputOf = (i: number): string => `y${i}`;

/** The names of the inputs by which a case is differentiated. */
export const wrtOf = (c: PeerCase): string[] =>
  c.inputs.flatMap((x, i) => (x?.kind === "real" && !c.fixed.includes(i) ? [nameOf(i)] : []));

/** The model of a case, whose real numbers have this type, and its inputs by name. */
export function modelOf(c: PeerCase, type: "f32" | "f64"): { model: Model; data: ReadonlyMap<string, Tensor> } {
  const data = c.inputs.flatMap((x, i) =>
    x ? [numbersTensor(nameOf(i), x.kind === "real" ? type : x.kind, x.shape, valuesOf(x, i))] : [],
  );
  const outputs = Array.from({ length: c.outputs }, (_, i) => outputOf(i));
  const attributes = Object.entries(c.attributes).map(([name, v]) => [name, attributeOf(v)] as const);
  const node = {
    name: "",
    op: c.operator,
    domain: "",
    inputs: c.inputs.map((x, i) => (x ? nameOf(i) : "")),
    outputs,
    attributes: Object.fromEntries(attributes),
  };
  const model: Model = {
    irVersion: 10,
    opsets: new Map([["", c.opset]]),
    producer: "",
    producerVersion: "",
    doc: "",
    graph: {
      name: c.operator,
      nodes: [node],
      inputs: data.map(({ name, type: own, dims }) => ({ name, type: own, shape: dims })),
      outputs: outputs.map((name) => ({ name, type, shape: undefined })),
      values: [],
      initializers: [],
    },
    functions: [],
    training: [],
    metadata: new Map(),
  };
  return { model, data: new Map(data.map((t) => [t.name, t])) };
}
