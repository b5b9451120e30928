// A program with state as an ONNX model that any runtime can train with. Ordinary runtimes run only the main graph, so
// it contains everything: a state is an input and an initializer, and its new value is an output. TrainingInfo says
// which output belongs to which state; its algorithm graph, which by the format follows the main one, is empty.

import type { Graph, Node, Value } from "../ir/types.js";
import { checkOpset, initializer, irVersionOf, nodeName, valueInfo } from "./export.js";
import { keys, type PlanHeader, stepHeader } from "./header.js";
import { DOMAIN, DOMAIN_VERSION, Library } from "./library.js";
import type { Elements, Model, OnnxGraph, OnnxNode } from "./model.js";
import { Collector, Constants, Names } from "./names.js";
import { writeBody } from "./op_body.js";
import { isExactly } from "./standard.js";
import { type Ref, Writer } from "./writer.js";

export interface StepOptions {
  readonly opset: number; // version of the ai.onnx operators; max pooling's gradient needs 16
  readonly values: ReadonlyMap<string, Elements>; // of all states by name, in logical row-major order
  readonly plan: PlanHeader;
  readonly checkpoint: Readonly<Record<string, string>>; // metadata of the checkpoint with the values
  readonly producerVersion?: string;
}

/** The first IR version with model-local functions. */
const FUNCTIONS_IR = 8;

/**
 * The model of a program before the passes. Each node becomes the standard operator that is exactly its op or, if there
 * is none, a call of a function moproc::Name whose body has standard operators. `importStep` makes the same graph from
 * it. Throws for an unsupported operator set and for a state without a value.
 */
export function exportStep(g: Graph, o: StepOptions): Model {
  checkOpset(o.opset);
  const names = new Names([...g.inputs, ...g.state, ...g.nodes.flatMap((n) => n.outputs)].map((v) => v.name));
  const constants = new Constants(names);
  const library = new Library(o.opset);
  const nodeNames = new Names();
  const nodes = g.nodes.map(
    (n): OnnxNode => ({
      ...(asStandard(n, o.opset, constants, names) ??
        library.call(
          n,
          n.inputs.map((v) => v.name),
          n.outputs.map((v) => v.name),
        )),
      name: nodeNames.fresh(nodeName(n)),
    }),
  );
  const made = new Set(g.nodes.flatMap((n) => n.outputs));
  const passed = new Map<Value, Ref>(); // inputs and states that are results without a change
  const result = (v: Value): Ref => {
    if (made.has(v)) return v.name;
    const ref = passed.get(v) ?? names.fresh(`${v.name}/value`);
    if (!passed.has(v))
      nodes.push({
        name: nodeNames.fresh("identity"),
        op: "Identity",
        domain: "",
        inputs: [v.name],
        outputs: [ref],
        attributes: {},
      });
    passed.set(v, ref);
    return ref;
  };
  const outputs = g.outputs.map(result);
  const updates = [...g.updates].map(([s, v]) => [s.name, result(v)] as const);
  const results = new Map([...g.outputs, ...g.updates.values()].map((v) => [result(v), v]));
  return {
    irVersion: Math.max(FUNCTIONS_IR, irVersionOf(o.opset)),
    opsets: new Map([
      ["", o.opset],
      [DOMAIN, DOMAIN_VERSION],
    ]),
    producer: "moproc",
    producerVersion: o.producerVersion ?? "",
    doc: "",
    functions: library.functions,
    training: [{ algorithm: emptyGraph(`${g.name}_algorithm`), updates }],
    metadata: new Map(
      Object.entries({
        [keys.step]: stepHeader(g, outputs),
        [keys.plan]: o.plan,
        [keys.checkpoint]: o.checkpoint,
      }).map(([k, v]) => [k, JSON.stringify(v)]),
    ),
    graph: {
      name: g.name,
      nodes,
      inputs: [...g.inputs, ...g.state].map((v) => valueInfo(v.name, v.type)),
      outputs: [...results].map(([ref, v]) => valueInfo(ref, v.type)),
      values: [...made].filter((v) => !results.has(v.name)).map((v) => valueInfo(v.name, v.type)),
      initializers: [...g.state.map((s) => initializer(s, s.name, o.values)), ...constants.tensors],
    },
  };
}

const emptyGraph = (name: string): OnnxGraph => ({
  name,
  nodes: [],
  inputs: [],
  outputs: [],
  values: [],
  initializers: [],
});

/** The one standard operator that is exactly `n`, including attributes and their order; undefined if there is none. */
function asStandard(n: Node, opset: number, constants: Constants, names: Names): Omit<OnnxNode, "name"> | undefined {
  const write = (to: Constants, free: Names): Omit<OnnxNode, "name">[] => {
    const sink = new Collector(free, "", to.constant);
    writeBody(n, new Writer(opset, false, sink), sink, new Map([...n.inputs, ...n.outputs].map((v) => [v, v.name])));
    return sink.nodes;
  };
  const taken = new Names([...n.inputs, ...n.outputs].map((v) => v.name));
  const draft = new Constants(taken);
  const [node, ...others] = write(draft, taken);
  if (!node || others.length > 0) return undefined;
  const surroundings = {
    type: (name: string) => n.inputs.find((v) => v.name === name)?.type,
    constant: (name: string) => draft.tensors.find((t) => t.name === name),
  };
  const exact = isExactly({ ...node, name: "" }, surroundings, {
    op: n.op,
    attrs: n.attrs,
    inputs: n.inputs.map((v) => v.name),
  });
  return exact ? write(constants, names)[0] : undefined;
}
