// Makes programs from ONNX models: the training steps that `exportStep` writes, exactly as they were. A node must be a
// standard operator of the table in standard.ts, or a call of a function moproc::Name whose body is the one that this
// compiler writes. Anything else is an error that names the node, operator and domain.

import { inferTypes, recordOf } from "../ir/registry.js";
import {
  byteSize,
  type DType,
  type Graph,
  type Node,
  type State,
  sameType,
  showType,
  type TensorType,
  type Value,
} from "../ir/types.js";
import { verify } from "../ir/verify.js";
import { type AnyOp, opOf } from "../ops/op.js";
import { dtypes, fromAttributes } from "./attributes.js";
import { opsets } from "./export.js";
import { where } from "./foreign_graph.js";
import { keys, type PlanHeader, readCheckpoint, readPlan, readStep, type StepHeader } from "./header.js";
import { DOMAIN, DOMAIN_VERSION, functionKey, functionOf, opOfFunction } from "./library.js";
import type { Model, OnnxFunction, OnnxNode, Tensor, ValueInfo } from "./model.js";
import { readStandard, type Surroundings, UNKNOWN } from "./standard.js";

export interface Imported {
  readonly graph: Graph;
  readonly values: ReadonlyMap<string, Tensor>; // of all states by name
  readonly plan: PlanHeader;
  readonly checkpoint: Readonly<Record<string, string>>;
}

const MAX_BYTES = 2 ** 36; // of one tensor: more memory than a machine that trains a ResNet has

/** The program in a model. Throws, naming the node or value, for anything that is not supported or inconsistent. */
export function importStep(m: Model): Imported {
  const opset = m.opsets.get("") as number;
  if (opset < opsets.least || opset > opsets.most)
    throw new Error(`operator set ${opset} of ai.onnx: known are ${opsets.least} to ${opsets.most}`);
  const header = readStep(m.metadata);
  const version = m.opsets.get(DOMAIN);
  if (version !== DOMAIN_VERSION)
    throw new Error(`version ${version} of the functions of ${DOMAIN}: known is ${DOMAIN_VERSION}`);
  const r = new GraphReader(m, header, opset);
  return {
    graph: r.read(),
    values: r.values,
    plan: readPlan(m.metadata),
    checkpoint: readCheckpoint(m.metadata),
  };
}

/** Whether moproc wrote the model as a training step. All other models are for foreign.ts. */
export const isStep = (m: Model): boolean => m.metadata.has(keys.step);

class GraphReader {
  readonly values = new Map<string, Tensor>();
  private readonly env = new Map<string, Value>();
  private readonly constants = new Map<string, Tensor>(); // initializers that are not states
  private readonly declared = new Map<string, TensorType>();
  private readonly functions = new Map<string, OnnxFunction>();
  private readonly checked = new Set<string>();

  constructor(
    private readonly m: Model,
    private readonly header: StepHeader,
    private readonly opset: number,
  ) {
    for (const f of m.functions) {
      if (this.functions.has(`${f.domain}::${f.name}`))
        throw new Error(`function ${f.domain}::${f.name} is there twice`);
      this.functions.set(`${f.domain}::${f.name}`, f);
    }
  }

  read(): Graph {
    const { graph } = this.m;
    const { inputs, state } = this.boundary();
    for (const v of graph.values) this.declare(v, "value");
    for (const v of graph.outputs) this.declare(v, "output");
    const nodes = graph.nodes.flatMap((n) => this.node(n));
    const byName = new Map(state.map((s) => [s.name, s]));
    const updates = this.updates(byName);
    const outputs = this.header.outputs.map((name) => this.value(name, `metadata ${keys.step}: outputs`));
    const results = new Set([...this.header.outputs, ...(this.m.training[0]?.updates ?? []).map(([, v]) => v)]);
    const odd = graph.outputs.find((v) => !results.delete(v.name));
    if (odd) throw new Error(`output ${odd.name} is neither the program's nor a new value of state`);
    for (const name of results) throw new Error(`${name} is returned by the program but is not an output of the graph`);
    const g: Graph = { name: graph.name, groups: this.header.groups, inputs, state, nodes, outputs, updates };
    verify(g);
    return g;
  }

  /** The inputs and states, in order. Throws if anything about them is wrong. */
  private boundary(): { inputs: Value[]; state: State[] } {
    const { graph } = this.m;
    if (!/^\w{1,100}$/.test(graph.name))
      throw new Error(`graph name ${JSON.stringify(graph.name.slice(0, 100))}: is not a valid name of a program`);
    for (const t of graph.initializers) {
      if (this.constants.has(t.name)) throw new Error(`initializer ${t.name} is there twice`);
      this.constants.set(t.name, t);
    }
    const given = new Map<string, Value>();
    for (const v of graph.inputs) {
      if (given.has(v.name)) throw new Error(`input ${v.name} is there twice`);
      given.set(v.name, { name: v.name, type: staticType(v, `input ${v.name}`) });
    }
    const state = this.header.state.map((s): State => {
      const v = given.get(s.name);
      const t = this.constants.get(s.name);
      if (!v || !t)
        throw new Error(`state ${s.name} is ${v ? "not an initializer" : "not an input, or is listed twice"}`);
      const type = { dtype: t.type as DType, shape: t.dims };
      if (!sameType(v.type, type))
        throw new Error(`state ${s.name} is ${showType(v.type)} as input and ${showType(type)} as initializer`);
      given.delete(s.name);
      this.constants.delete(s.name);
      this.values.set(s.name, t);
      return { ...v, init: s.init, role: s.role };
    });
    const inputs = [...given.values()];
    const optional = inputs.find((v) => this.constants.has(v.name));
    if (optional) throw new Error(`input ${optional.name} has an initializer but is not a state`);
    for (const s of state)
      if (s.init.kind === "copy" && !this.values.has(s.init.of))
        throw new Error(`state ${s.name} begins as a copy of ${s.init.of}, which is not a state`);
    for (const v of [...inputs, ...state]) this.define(v.name, v);
    return { inputs, state };
  }

  private updates(state: ReadonlyMap<string, State>): ReadonlyMap<Value, Value> {
    const [info, ...others] = this.m.training;
    if (!info || others.length > 0)
      throw new Error(`it must have one training info, but has ${this.m.training.length}`);
    if (info.algorithm && info.algorithm.nodes.length > 0)
      throw new Error("its training info has nodes of its own, which is not supported");
    if (info.updates.length !== this.header.updates)
      throw new Error(`it updates ${info.updates.length} states, metadata ${keys.step} says ${this.header.updates}`);
    return new Map(
      info.updates.map(([name, v]) => {
        const s = state.get(name);
        if (!s) throw new Error(`the update binding has ${name}, which is not a state`);
        return [s, this.value(v, `the update of ${name}`)];
      }),
    );
  }

  private declare(v: ValueInfo, what: string): void {
    if (this.declared.has(v.name)) throw new Error(`${what} ${v.name} is declared twice`);
    this.declared.set(v.name, staticType(v, `${what} ${v.name}`));
  }

  private define(name: string, v: Value): void {
    checkName(name);
    if (this.env.has(name) || this.constants.has(name)) throw new Error(`${name} is defined twice`);
    const declared = this.declared.get(name);
    if (declared && !sameType(declared, v.type))
      throw new Error(`${name} is declared as ${showType(declared)}, but is ${showType(v.type)}`);
    this.env.set(name, v);
  }

  private value(name: string, who: string): Value {
    const v = this.env.get(name);
    if (v) return v;
    const made = this.m.graph.nodes.some((n) => n.outputs.includes(name));
    const why = made ? "is made by a later node, or by one that needs it" : "is not computed by the graph";
    throw new Error(`${who}: ${name} ${why}`);
  }

  /** The node in the IR as a list, which is empty for an Identity. Defines its results. */
  private node(n: OnnxNode): Node[] {
    try {
      if (n.domain === "" && n.op === "Identity" && n.inputs.length === 1 && n.outputs.length === 1) {
        this.define(n.outputs[0] as string, this.value(n.inputs[0] as string, "its operand"));
        return [];
      }
      checkName(n.name || "unnamed");
      const { op, attrs, inputs } = n.domain === DOMAIN ? this.call(n) : this.standard(n);
      const values = inputs.map((name) => this.value(name, "its operand"));
      const types = inferTypes(
        recordOf(op.name),
        values.map((v) => v.type),
        attrs,
      );
      const results = op.outputs as readonly string[];
      if (n.outputs.length !== results.length)
        throw new Error(`it has ${n.outputs.length} outputs, ${op.name} has ${results.length}`);
      const outputs = n.outputs.map((name, i) => ({
        name,
        type: checkedType(types[results[i] as string] as TensorType),
      }));
      const made: Node = { op: op.name, inputs: values, attrs, outputs, scope: scopeOf(n) };
      if (n.domain === DOMAIN) this.checkBody(n, made);
      for (const v of outputs) this.define(v.name, v);
      return [made];
    } catch (e) {
      const odd =
        e instanceof TypeError
          ? `its attributes ${Object.keys(n.attributes).join(", ") || "(none)"} are not those of the op: `
          : "";
      throw new Error(`${where(n)}: ${odd}${(e as Error).message}`);
    }
  }

  private standard(n: OnnxNode): {
    readonly op: AnyOp;
    readonly attrs: Node["attrs"];
    readonly inputs: readonly string[];
  } {
    const at: Surroundings = {
      type: (name) => this.env.get(name)?.type,
      constant: (name) => this.constants.get(name),
    };
    const meaning = readStandard(n, at);
    if (typeof meaning === "string") throw new Error(meaning);
    return { ...meaning, op: opOf(meaning.op) };
  }

  private call(n: OnnxNode): {
    readonly op: AnyOp;
    readonly attrs: Node["attrs"];
    readonly inputs: readonly string[];
  } {
    const op = opOfFunction(n.op);
    if (!op) throw new Error(UNKNOWN);
    const least = (op.inputs as readonly string[]).filter((i) => !i.startsWith("...")).length;
    const most = (op.inputs as readonly string[]).some((i) => i.startsWith("...")) ? Infinity : least;
    if (n.inputs.length < least || n.inputs.length > most)
      throw new Error(`it has ${n.inputs.length} inputs, ${op.name} takes ${least}`);
    return { op, attrs: fromAttributes(n.attributes), inputs: n.inputs };
  }

  /** Throws unless the body of the called function is the one that this compiler writes for the op. */
  private checkBody(n: OnnxNode, made: Node): void {
    const f = this.functions.get(`${n.domain}::${n.op}`);
    if (!f) throw new Error("the model has no function of this name");
    const key = functionKey(functionOf(made, this.opset));
    const known = `${n.op} ${key}`;
    if (this.checked.has(known)) return;
    if (functionKey(f) !== key)
      throw new Error(`the body of its function is not the one that this version of moproc writes for ${made.op}`);
    this.checked.add(known);
  }
}

/**
 * Names are written into comments of emitted source, so they may not end the comment or continue it to the next line.
 */
function checkName(name: string): void {
  if (!/^[!-[\]-~][ -[\]-~]{0,999}$/.test(name)) {
    throw new Error(`the name ${JSON.stringify(name.slice(0, 100))} is not printable, or too long`);
  }
}

/** The scope of a node by its name: encoder_q.conv1 for encoder_q.conv1/conv. */
const scopeOf = (n: OnnxNode): string => n.name.slice(0, Math.max(0, n.name.lastIndexOf("/")));

function staticType(v: ValueInfo, what: string): TensorType {
  if (!v.shape?.every((d) => typeof d === "number")) throw new Error(`${what}: its shape is not fixed`);
  try {
    return checkedType({ dtype: v.type as DType, shape: v.shape });
  } catch (e) {
    throw new Error(`${what}: ${(e as Error).message}`);
  }
}

/** Returns `t`. Throws if the IR does not have its dtype or it is larger than MAX_BYTES. */
function checkedType(t: TensorType): TensorType {
  if (!dtypes.has(t.dtype)) throw new Error(`element type ${t.dtype} is not supported`);
  if (!(byteSize(t) <= MAX_BYTES)) throw new Error(`${showType(t)} would take ${byteSize(t)} bytes`);
  return t;
}
