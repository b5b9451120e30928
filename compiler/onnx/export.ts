// A graph as an ONNX model of standard operators, for deployment. States become initializers (weights O, I, H, W), and
// each op is replaced by the ONNX nodes of its body. Nodes are named scope/op, as in the IR; values keep their names.

import type { Graph, Node, TensorType, Value } from "../ir/types.js";
import { batchedValues } from "./batch.js";
import { type Dim, type Elements, type Model, type OnnxNode, type Tensor, tensorOf, type ValueInfo } from "./model.js";
import { Collector, Constants, Names } from "./names.js";
import { writeBody } from "./op_body.js";
import { type Ref, Writer } from "./writer.js";

export interface ExportOptions {
  readonly opset: number; // version of the ai.onnx operators, 13 to 21
  readonly initializers: ReadonlyMap<string, Elements>; // values of the states by name, in logical row-major order
  readonly inputNames?: ReadonlyMap<string, string>; // name in the graph -> name in the model
  readonly outputNames?: ReadonlyMap<string, string>;
  readonly dynamicBatch?: string; // if given, axis 0 of inputs and outputs may have any extent, and has this name
  readonly metadata?: Readonly<Record<string, string>>;
  readonly producerVersion?: string;
  readonly doc?: string;
}

export const opsets = { least: 13, most: 21 } as const;

/** The IR version of the oldest ONNX release with this operator set (from 13 on). */
export const irVersionOf = (opset: number): number => (opset < 15 ? 7 : opset < 19 ? 8 : opset < 21 ? 9 : 10);

/** Throws unless the bodies support this operator set. */
export function checkOpset(opset: number): void {
  if (!Number.isInteger(opset) || opset < opsets.least || opset > opsets.most) {
    throw new Error(`operator set ${opset}: known are ${opsets.least} to ${opsets.most}`);
  }
}

/**
 * The model of `g`, which may be a graph before or after the passes. Updates of state are left out. Throws for an
 * unsupported operator set, a state without a value, an output that no node computes, two values with one name, and,
 * with `dynamicBatch`, a graph that depends on the batch size.
 */
export function exportGraph(g: Graph, o: ExportOptions): Model {
  checkOpset(o.opset);
  const name = o.dynamicBatch;
  const batched: ReadonlyMap<Value, number> = name === undefined ? new Map() : batchedValues(g, o.opset);
  const axis0 = (v: Value): string | undefined => {
    const positions = batched.get(v); // per row of the batch
    if (positions === undefined) return undefined;
    return positions === 1 ? name : `${positions} ${name}`;
  };
  const refs = chooseNames(g, o);
  const names = new Names([...refs.values()]);
  const constants = new Constants(names);
  const nodes: OnnxNode[] = [];
  const nodeNames = new Names();
  for (const n of g.nodes) {
    const sink = new Collector(names, `${refs.get(n.outputs[0] as Value)}/`, constants.constant);
    writeBody(n, new Writer(o.opset, o.dynamicBatch !== undefined, sink), sink, refs);
    const at = nodeName(n);
    for (const part of sink.nodes)
      nodes.push({ ...part, name: nodeNames.fresh(sink.nodes.length === 1 ? at : `${at}/${part.op}`) });
  }
  const info = (v: Value): ValueInfo => valueInfo(refs.get(v) as Ref, v.type, axis0(v));
  const outputs = new Set(g.outputs);
  const read = new Set(g.nodes.flatMap((n) => n.inputs));
  const model: Model = {
    irVersion: irVersionOf(o.opset),
    opsets: new Map([["", o.opset]]),
    producer: "moproc",
    producerVersion: o.producerVersion ?? "",
    doc: o.doc ?? "",
    functions: [],
    training: [],
    metadata: new Map(Object.entries(o.metadata ?? {})),
    graph: {
      name: g.name,
      nodes,
      inputs: g.inputs.map(info),
      outputs: g.outputs.map(info),
      values: g.nodes
        .flatMap((n) => n.outputs)
        .filter((v) => !outputs.has(v))
        .map(info),
      initializers: [
        ...g.state.filter((s) => read.has(s)).map((s) => initializer(s, refs.get(s) as Ref, o.initializers)),
        ...constants.tensors,
      ],
    },
  };
  return model;
}

/** The name of the ONNX node: encoder_q.layer1.0.conv1/conv. */
export const nodeName = (n: Node): string => (n.scope ? `${n.scope}/${n.op}` : n.op);

/** The name and type of a value in ONNX; `axis0` is the name of axis 0 if its extent is free. */
export const valueInfo = (name: string, type: TensorType, axis0?: string): ValueInfo => ({
  name,
  type: type.dtype,
  shape: type.shape.map((d, i): Dim => (i === 0 && axis0 !== undefined ? axis0 : d)),
});

/** The value of state `s` as a tensor called `name`. Throws if `values` has none, or one that does not fit the type. */
export function initializer(s: Value, name: string, values: ReadonlyMap<string, Elements>): Tensor {
  const value = values.get(s.name);
  if (!value) throw new Error(`no value for %${s.name}`);
  return tensorOf(name, s.type.dtype, s.type.shape, value);
}

function chooseNames(g: Graph, o: ExportOptions): Map<Value, Ref> {
  const refs = new Map<Value, Ref>();
  const made = new Set(g.nodes.flatMap((n) => n.outputs));
  for (const v of [...g.state, ...made]) refs.set(v, v.name);
  for (const v of g.inputs) refs.set(v, o.inputNames?.get(v.name) ?? v.name);
  for (const v of g.outputs) {
    if (!made.has(v)) throw new Error(`output %${v.name} of ${g.name} is not computed by it`);
    refs.set(v, o.outputNames?.get(v.name) ?? v.name);
  }
  const all = [...refs.values()];
  const twice = all.find((name, i) => all.indexOf(name) !== i);
  if (twice !== undefined) throw new Error(`two values of ${g.name} would be called ${twice}`);
  return refs;
}
