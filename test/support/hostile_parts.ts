// What bad foreign models are made of.

import {
  type Attribute,
  type OnnxFunction,
  type OnnxGraph,
  type OnnxNode,
  type Tensor,
  tensorOf,
} from "../../compiler/onnx/model.js";
import { encodeModel, type Model } from "../../compiler/onnx/proto.js";
import { f32, i64, node } from "./foreign.js";

/** A bad model: its bytes, and what the message must say. */
export interface Hostile {
  readonly bytes: () => Uint8Array;
  readonly message: RegExp;
}

type Constants = Readonly<Record<string, Tensor>>;
export const named = (constants: Constants): Tensor[] => Object.entries(constants).map(([name, t]) => ({ ...t, name }));
export const values = (names: readonly string[]): OnnxGraph["inputs"] =>
  names.map((name) => ({ name, type: "f32" as const, shape: [2, 3] }));

export const graph = (
  nodes: readonly OnnxNode[],
  outputs: readonly string[],
  constants: Constants = {},
  inputs: readonly string[] = [],
): OnnxGraph => ({
  name: "g",
  nodes,
  inputs: values(inputs),
  outputs: values(outputs),
  values: [],
  initializers: named(constants),
});

export const base: Model = {
  irVersion: 8,
  opsets: new Map([
    ["", 17],
    ["own", 1],
  ]),
  producer: "",
  producerVersion: "",
  doc: "",
  graph: graph([node("Relu", ["x"], ["y"])], ["y"], {}, ["x"]),
  functions: [],
  training: [],
  metadata: new Map(),
};

/** A model of x, f32[2,3], whose output is y. */
export const model = (
  nodes: readonly OnnxNode[],
  constants: Constants = {},
  functions: readonly OnnxFunction[] = [],
): Model => ({
  ...base,
  graph: { ...graph(nodes, ["y"], constants, ["x"]), outputs: [{ name: "y", type: "f32", shape: undefined }] },
  functions,
});

export const withGraphs = (n: OnnxNode, graphs: Readonly<Record<string, OnnxGraph>>): OnnxNode => ({
  ...n,
  attributes: {
    ...n.attributes,
    ...Object.fromEntries(Object.entries(graphs).map(([k, value]) => [k, { kind: "graph", value } as Attribute])),
  },
});
export const yes = tensorOf("", "bool", [], Uint8Array.of(1));
export const scalar = (x: number | bigint): Tensor => i64([x], []);

export const call = (name: string, from: string, to: string): OnnxNode => node(name, [from], [to], {}, "own");
export const own = (name: string, nodes: readonly OnnxNode[], inputs: readonly string[] = ["p"]): OnnxFunction => ({
  domain: "own",
  name,
  inputs,
  outputs: ["q"],
  attributes: [],
  nodes,
  opsets: base.opsets,
  doc: "",
});

export const branch = (body: OnnxGraph): Model =>
  model([withGraphs(node("If", ["c"], ["y"]), { then_branch: body, else_branch: body })], { c: yes });

export const loopTypes = (g: OnnxGraph): OnnxGraph => ({
  ...g,
  inputs: [
    { name: "i", type: "i64", shape: [] },
    { name: "go", type: "bool", shape: [] },
    { name: "s", type: "f32", shape: [2, 3] },
  ],
});
/** A loop whose body keeps its condition and its state. */
export const loop = (trips: string, body: OnnxGraph, from: string, to: string): OnnxNode =>
  withGraphs(node("Loop", [trips, "", from], [to]), { body: loopTypes(body) });
export const empty = graph([], ["go", "s"]);
/** The condition changes with every iteration, as far as anybody can see without running the loop. */
export const open = graph([node("Add", ["i", "one"], ["k"]), node("Cast", ["k"], ["more"], { to: 9 })], ["more", "s"], {
  one: scalar(1),
});
export const nested = (depth: number, body: OnnxGraph): OnnxGraph =>
  depth === 0
    ? body
    : { ...graph([loop("n", nested(depth - 1, body), `s${depth}`, `t${depth}`)], [`g${depth}`, `t${depth}`]) };
/** Loops in loops, of n iterations each. */
export function loops(depth: number, n: number): Model {
  const inner = (d: number): OnnxGraph => {
    if (d === 0) return empty;
    const g = inner(d - 1);
    return graph([loop("n", g, "s", "t")], ["go", "t"]);
  };
  return model([loop("n", inner(depth - 1), "x", "y")], { n: scalar(n) });
}

/** A chain of functions: each calls the next one `times` times. */
export const chain = (length: number, times: number): OnnxFunction[] =>
  Array.from({ length }, (_, i) => {
    if (i === length - 1) return own(`F${i}`, [node("Relu", ["p"], ["q"])]);
    const names = ["p", ...Array.from({ length: times - 1 }, (_, k) => `h${k}`), "q"];
    return own(
      `F${i}`,
      Array.from({ length: times }, (_, k) => call(`F${i + 1}`, names[k] as string, names[k + 1] as string)),
    );
  });

export const one = (op: string, constants: Constants, attrs: Parameters<typeof node>[3] = {}, x = "x"): Model =>
  model([node(op, [x, ...Object.keys(constants).filter((name) => name !== x)], ["y"], attrs)], constants);
export const withAttribute = (op: string, name: string, a: Attribute, more: readonly string[] = []): Model =>
  model([{ ...node(op, ["x", ...more], ["y"]), attributes: { [name]: a } }]);
export const withInput = (shape: readonly (number | string)[], type = "f32"): Model => ({
  ...base,
  graph: { ...base.graph, inputs: [{ name: "x", type: type as "f32", shape }] },
});

// Protobuf by hand.

/** A varint. */
export const varint = (n: number | bigint): Buffer => {
  const bytes: number[] = [];
  let rest = BigInt(n);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
};
export const tag = (number: number, wire: number): Buffer => varint(number * 8 + wire);
export const int = (number: number, value: number | bigint): Buffer => Buffer.concat([tag(number, 0), varint(value)]);
export const bytes = (number: number, ...content: readonly (Uint8Array | string)[]): Buffer => {
  const all = Buffer.concat(content.map((c) => Buffer.from(c as string)));
  return Buffer.concat([tag(number, 2), varint(all.length), all]);
};
export const tail = (m: Model, ...more: readonly Uint8Array[]): Buffer => Buffer.concat([encodeModel(m), ...more]);
/** A model with a graph of these fields. */
export const withFields = (...fields: readonly Uint8Array[]): Buffer =>
  Buffer.concat([int(1, 8), bytes(8, int(2, 17)), bytes(7, ...fields)]);
export const withTensor = (...fields: readonly Uint8Array[]): Buffer =>
  withFields(
    bytes(1, bytes(1, "w"), bytes(2, "y"), bytes(4, "Relu")),
    bytes(5, bytes(8, "w"), ...fields),
    bytes(12, bytes(1, "y"), bytes(2, bytes(1, int(1, 1)))),
  );
export const external = (pairs: Readonly<Record<string, string>>): Buffer =>
  withTensor(
    ...[int(1, 2), int(2, 1), int(14, 1)],
    ...Object.entries(pairs).map(([k, v]) => bytes(13, bytes(1, k), bytes(2, v))),
  );
export const at = (location: string, offset = "0", length = "8"): Buffer => external({ location, offset, length });

export const of = (m: () => Model, message: RegExp): Hostile => ({ bytes: () => encodeModel(m()), message });
export const raw = (b: () => Uint8Array, message: RegExp): Hostile => ({ bytes: b, message });

export const long = "n".repeat(1e6);

/** A small model with a function and a graph inside of a node, which is right. */
export const right: Model = model(
  [
    withGraphs(node("If", ["c"], ["h"]), {
      then_branch: graph([node("Add", ["x", "k"], ["t"])], ["t"], { k: f32([3], [1, 2, 3]) }),
      else_branch: graph([node("Relu", ["x"], ["e"])], ["e"]),
    }),
    call("F0", "h", "y"),
  ],
  { c: yes },
  chain(2, 2),
);
