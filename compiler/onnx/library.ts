// Model-local functions moproc::Name. An op without a standard operator becomes a call with its name and attributes.
// The function's body has standard operators, so every other runtime can execute it. A body is for certain shapes and
// attributes, so one op may have several functions: Name, Name_2, ...

import type { Node, Value } from "../ir/types.js";
import { type AnyOp, allOps, opOf } from "../ops/op.js";
import { toAttributes } from "./attributes.js";
import type { OnnxFunction, OnnxNode, Tensor } from "./model.js";
import { Collector, Names } from "./names.js";
import { writeBody } from "./op_body.js";
import { encodeFunction } from "./proto.js";
import { Writer } from "./writer.js";

export const DOMAIN = "moproc";
/** The version of the domain that models import. */
export const DOMAIN_VERSION = 1;

/** The name of an op's function without a number: BatchNormTraining for batch_norm, WhereFinite for where_finite. */
export function functionName(op: AnyOp): string {
  const [prefix, own] = op.onnx.split("::");
  if (own !== undefined && prefix === DOMAIN) return own;
  return op.name
    .split("_")
    .map((w) => w.charAt(0).toUpperCase() + w.slice(1))
    .join("");
}

/** The op of the function `name`, which may end in a number; undefined if there is none. */
export function opOfFunction(name: string): AnyOp | undefined {
  const base = name.replace(/_\d+$/, "");
  return allOps().find((op) => functionName(op) === base);
}

/** The function for one node, with the name without a number. With `dynamicBatch` it is for any extent of axis 0. */
export function functionOf(n: Node, opset: number, dynamicBatch = false): OnnxFunction {
  const op = opOf(n.op);
  const inputs = (op.inputs as readonly string[]).flatMap((name, i) =>
    name.startsWith("...") ? n.inputs.slice(i).map((_, j) => `${name.slice(3)}_${j}`) : [name],
  );
  const outputs = op.outputs as readonly string[];
  const names = new Names([...inputs, ...outputs]);
  const constants: OnnxNode[] = [];
  const known = new Map<string, string>();
  const sink = new Collector(names, "", (t) => {
    const key = `${t.type}[${t.dims}]${Buffer.from(t.data as Uint8Array).toString("latin1")}`;
    const name = known.get(key) ?? names.fresh("const");
    if (!known.has(key)) constants.push(constantNode(name, t));
    known.set(key, name);
    return name;
  });
  // by position, because an op may read the same value twice
  const stand = (v: Value, name: string): Value => ({ name, type: v.type });
  const placed: Node = {
    ...n,
    inputs: n.inputs.map((v, i) => stand(v, inputs[i] as string)),
    outputs: n.outputs.map((v, i) => stand(v, outputs[i] as string)),
  };
  writeBody(
    placed,
    new Writer(opset, dynamicBatch, sink),
    sink,
    new Map([...placed.inputs, ...placed.outputs].map((v) => [v, v.name])),
  );
  const used = new Set(sink.nodes.flatMap((m) => m.inputs));
  return {
    domain: DOMAIN,
    name: functionName(op),
    inputs,
    outputs,
    attributes: Object.keys(n.attrs),
    doc: "",
    nodes: [
      ...constants.filter((c) => used.has(c.outputs[0] as string)),
      ...sink.nodes.map((m) => ({ ...m, name: "" })),
    ],
    opsets: new Map([["", opset]]),
  };
}

const constantNode = (name: string, t: Omit<Tensor, "name">): OnnxNode => ({
  name: "",
  op: "Constant",
  domain: "",
  inputs: [],
  outputs: [name],
  attributes: { value: { kind: "tensor", value: { ...t, name: "" } } },
});

/** A key that is equal for two functions if they are equal except for their names. */
export const functionKey = (f: OnnxFunction): string =>
  Buffer.from(encodeFunction({ ...f, name: "" })).toString("latin1");

/** Collects the functions of one model; each body is there once. */
export class Library {
  readonly functions: OnnxFunction[] = [];
  private readonly known = new Map<string, string>();
  private readonly bodiesOf = new Map<string, number>();

  constructor(private readonly opset: number) {}

  /** The call node for `n`, without a node name. Adds the function if it is new. */
  call(n: Node, inputs: readonly string[], outputs: readonly string[]): Omit<OnnxNode, "name"> {
    const f = functionOf(n, this.opset);
    const key = `${f.name} ${functionKey(f)}`;
    let name = this.known.get(key);
    if (name === undefined) {
      const count = (this.bodiesOf.get(f.name) ?? 0) + 1;
      this.bodiesOf.set(f.name, count);
      name = count === 1 ? f.name : `${f.name}_${count}`;
      this.known.set(key, name);
      this.functions.push({ ...f, name });
    }
    return { op: name, domain: DOMAIN, inputs, outputs, attributes: toAttributes(n.attrs) };
  }
}
