// Makes a program from an ONNX model that another exporter wrote: an inference graph of ai.onnx operators. Each node is
// built by its rule in operators/, or evaluated at once if its inputs are constants (constants.ts). A constant of a
// float type that the program needs becomes a state with the model's value. What is not supported is an error that
// names it; of what the outputs depend on, nothing is left out. A model can also become a part of another graph, which
// trains it (importInto).

import { Builder } from "../ir/builder.js";
import { type DType, elements, type Graph, type Role, type Value } from "../ir/types.js";
import { verify } from "../ir/verify.js";
import { isFloat } from "../ops/general/expression.js";
import { nameOutputs } from "../rewrite/outputs.js";
import { AfterRefused, At, type Held, type InTraining, NeedsConstants, Refused } from "./at.js";
import { dtypes } from "./attributes.js";
import { MAX_NODES, tooManyNodes } from "./calls.js";
import { checkedNodes, reasonOf } from "./checked_nodes.js";
import { evaluatorOf } from "./constants.js";
import { controlFlow, defineOutputs, isControlFlow, type Scope } from "./control_flow.js";
import { withBatch } from "./fixed_batch.js";
import { foldNode } from "./fold_node.js";
import { liveNodes, where } from "./foreign_graph.js";
import { type Functions, functionsOf, type Opsets } from "./foreign_operators.js";
import { checkSize, Memory, MOST_NODES } from "./memory.js";
import {
  arrays,
  type Model,
  type OnnxFunction,
  type OnnxNode,
  type Tensor,
  tensorOf,
  type ValueInfo,
} from "./model.js";
import { fitName } from "./names.js";
import { ruleOf } from "./operators/index.js";
import { isTrained, pools } from "./pools.js";
import { OutOfMemory } from "./refused.js";
import { withShownErrors } from "./shown.js";
import { bodyOfFunction, functionKey, instance, readsOf } from "./subgraph.js";
import { refusalText, Unsupported } from "./unsupported.js";

export interface Foreign {
  readonly graph: Graph;
  readonly values: ReadonlyMap<string, Tensor>; // of all states by name
  readonly renamed: ReadonlyMap<string, string>; // name in the model -> in the program, where they differ
  readonly inputs: ReadonlyMap<string, string>; // name in the model -> in the program, of all inputs of the program
  readonly outputs: ReadonlyMap<string, string>; // the same of the outputs that the program computes
  readonly folded: ReadonlyMap<string, Tensor>; // outputs that are constants, by their name in the model, if asked for
}

export interface ForeignOptions {
  readonly program?: string; // its name; absent: main
  readonly statePrefix?: string; // of the names of all states, so that programs of one artefact do not share them
  readonly fold?: true; // outputs that are constants are returned as such and are not outputs of the program
  readonly constantBytes?: number; // that a small model may make of constants; absent: 4 GiB
}

/** The graph that a model becomes a part of. */
export interface Surroundings extends InTraining {
  readonly builder: Builder;
  readonly inputs: ReadonlyMap<string, Value>; // by the model's names, all that it needs
  readonly batch: { readonly declared: number | undefined; readonly actual: number }; // first extents of the input
  /** The state for a constant that a rule reads; its name has been made fit for a state. */
  readonly state: (name: string, tensor: Tensor, role: Role) => Value;
}

const asksSize: ReadonlySet<string> = new Set(["Shape", "Size"]);

/**
 * The program `main` of a foreign model. `dims` are the extents that the model leaves open, by their name or, if they
 * have none, as INPUT:AXIS. Throws, naming what is wrong, if the model is not valid, and Unsupported if it has
 * something that is not supported.
 */
export function importForeign(
  m: Model,
  dims: ReadonlyMap<string, number> = new Map(),
  options: ForeignOptions = {},
): Foreign {
  return withShownErrors(() => new Reader(m, dims, checkedNodes(m), options).read());
}

/** What a model became in another graph. */
export interface Part {
  readonly values: readonly Value[];
  readonly freed: readonly string[]; // nodes that were made for one size of the batch and now take another
}

/** Builds the values of these names into a graph. Throws as importForeign(). */
export function importInto(m: Model, names: readonly string[], within: Surroundings): Part {
  const outputs = names.map((name) => ({ name, type: "f32", shape: undefined }) as const);
  const part = { ...m, graph: { ...m.graph, outputs } };
  return withShownErrors(() => new Reader(part, new Map(), checkedNodes(part), {}, within).part(names));
}

class Reader {
  private readonly builder: Builder;
  private readonly held = new Map<string, Held | "refused">();
  private readonly values = new Map<string, Tensor>();
  private readonly renamed = new Map<string, string>();
  private readonly usedDims = new Set<string>();
  private readonly inputs = new Map<string, string>();
  private readonly refusals: string[] = [];
  private readonly operators = new Set<string>(); // of the refusals
  private readonly needed = new Set<string>();
  private readonly wanted: Set<string>;
  private readonly functions: Functions;
  private readonly freed: string[] = [];
  private readonly pools: ReadonlySet<string>;
  private readonly memory: Memory;
  private count = 0;

  constructor(
    private readonly m: Model,
    private readonly dims: ReadonlyMap<string, number>,
    private readonly nodes: readonly OnnxNode[],
    private readonly options: ForeignOptions,
    private readonly within?: Surroundings,
  ) {
    this.builder = within?.builder ?? Builder.create(options.program ?? "main");
    this.wanted = new Set([...nodes.flatMap(readsOf), ...m.graph.outputs.map((v) => v.name)]);
    this.functions = functionsOf(m);
    this.memory = new Memory(m.graph, options.constantBytes);
    this.pools = within ? pools(m.graph) : new Set();
  }

  /** Reads all nodes. Throws if one of them is not supported. */
  private nodesOfGraph(): void {
    const { graph } = this.m;
    const given = new Map(graph.initializers.map((t) => [t.name, t]));
    for (const v of graph.inputs) {
      const t = given.get(v.name);
      if (!t) this.input(v);
      else if (t.type !== v.type || v.shape?.some((d, i) => typeof d === "number" && d !== t.dims[i]))
        throw new Error(`input ${v.name} is ${v.type}[${v.shape ?? "..."}], its initializer is ${t.type}[${t.dims}]`);
    }
    const odd = [...this.dims.keys()].find((name) => !this.usedDims.has(name));
    if (odd !== undefined) throw new Error(`--dim ${odd}: no input of the model has such an extent`);
    for (const t of graph.initializers) this.held.set(t.name, this.constant(t.name, t));
    for (const n of this.nodes) this.node(n, this.m.opsets);
    if (this.refusals.length > 0)
      throw new Unsupported(refusalText(this.refusals), [...this.operators], [...this.needed]);
  }

  part(names: readonly string[]): Part {
    this.nodesOfGraph();
    return { values: names.map((name) => (this.held.get(name) as Held).value("buffer")), freed: this.freed };
  }

  read(): Foreign {
    this.nodesOfGraph();
    const { graph } = this.m;
    const folded = new Map<string, Tensor>();
    const computed: ValueInfo[] = [];
    for (const v of graph.outputs) {
      const { tensor } = this.checked(v);
      if (this.options.fold && tensor) folded.set(v.name, tensor);
      else computed.push(v);
    }
    const values = computed.map((v) => this.checked(v).value("buffer"));
    const asked = this.outputNames(computed, values);
    const named = nameOutputs(this.builder.finish(values), asked);
    verify(named);
    const outputs = new Map(computed.map((v, i) => [v.name, (asked[i] as Value).name]));
    return { graph: named, values: this.values, renamed: this.renamed, inputs: this.inputs, outputs, folded };
  }

  private input(v: ValueInfo): void {
    const what = `input ${v.name}`;
    const made = this.within?.inputs.get(v.name);
    if (made) {
      this.held.set(v.name, { type: made.type, tensor: undefined, value: () => made });
      return;
    }
    if (!v.shape) throw new Error(`${what} has no shape`);
    const shape = v.shape.map((d, i) => (typeof d === "number" ? d : this.extent(d || `${v.name}:${i}`, what)));
    if (!dtypes.has(v.type)) throw new Unsupported(`${what} has element type ${v.type}, which is not supported`);
    const type = { dtype: v.type as DType, shape };
    checkSize(what, type);
    const named = fitName(v.name).replaceAll("/", "_"); // the runtime takes what is before a "/" for a program's name
    const value = this.builder.input(named, type);
    this.inputs.set(v.name, value.name);
    this.note(v.name, value.name);
    this.held.set(v.name, { type, tensor: undefined, value: () => value });
  }

  private extent(name: string, what: string): number {
    const n = this.dims.get(name);
    if (n === undefined) throw new Error(`${what} leaves the extent ${name} open; give it with --dim ${name}=N`);
    this.usedDims.add(name);
    return n;
  }

  /** A constant, which is made a state when a rule reads it. */
  private constant(name: string, tensor: Tensor): Held {
    const type = { dtype: tensor.type, shape: tensor.dims };
    let made: Value | undefined;
    const make = (role: Role): Value => {
      const init = { kind: "constant", value: 0 } as const; // the model's values are in the file with the state
      const own = isFloat(tensor.type) ? role : "buffer"; // nothing else is trained
      const { statePrefix = "" } = this.options;
      const named = fitName(`${statePrefix}${name}`);
      if (this.within) return this.within.state(named, tensor, own);
      const s = this.builder.state(named, { dtype: tensor.type, shape: tensor.dims }, init, own);
      this.values.set(s.name, tensor);
      this.note(name, s.name);
      return s;
    };
    return {
      type,
      tensor,
      value: (role) => {
        made ??= make(role);
        return made;
      },
    };
  }

  /** Reads a node of a graph or function with these versions of operator sets. */
  private node(n: OnnxNode, opsets: Opsets): void {
    this.counted(1);
    const inputs = n.inputs.map((name) => (name === "" ? undefined : this.held.get(name)));
    if (inputs.includes("refused")) return this.refused(n); // because of a node before
    const given = this.forBatch(n, inputs as (Held | undefined)[]);
    const version = opsets.get(n.domain) ?? 0;
    const { within } = this;
    const at = new At(
      n,
      version,
      this.builder.in(this.scope(n)),
      given,
      (name) => this.wanted.has(name),
      this.memory,
      within,
    );
    const fixed = !within || asksSize.has(n.op) || !given.some((h, i) => this.trains(h, n.inputs[i] as string));
    try {
      if (isControlFlow(n)) return controlFlow(n, version, this.scopeOf(n, opsets));
      const f = this.functions.get(functionKey(n.domain, n.op));
      if (f) return this.call(n, f);
      const evaluate = n.domain === "" ? evaluatorOf(n.op, !given.every((h) => !h || h.tensor)) : undefined;
      if (evaluate && fixed) {
        const results = [evaluate(at)].flat();
        at.end();
        this.constants(n, at, results, given);
        return;
      }
      const rule = ruleOf(n.domain, n.op, version);
      if (!rule) {
        const open = n.inputs.filter((name, i) => name !== "" && !given[i]?.tensor);
        throw new NeedsConstants(open, "it is supported only if its inputs are constants");
      }
      const folded = fixed
        ? foldNode(n, version, rule, given, (name) => this.wanted.has(name), this.memory)
        : undefined;
      if (folded) {
        this.constants(n, at, folded, given);
        return;
      }
      const before = this.builder.nodes.length;
      if (before > MOST_NODES.all) tooManyNodes();
      this.builder.limit(before + MOST_NODES.each);
      const results = [rule.build(at)].flat() as (Value | undefined)[];
      at.end();
      this.builder.limit(Number.POSITIVE_INFINITY);
      this.memory.tables(this.builder.nodes.slice(before));
      n.outputs.forEach((name, i) => {
        const value = results[i];
        if (value) this.computed(name, value);
        else if (at.wants(i)) at.refuse(`its output ${i} is not supported`);
      });
    } catch (e) {
      if (e instanceof AfterRefused) return this.refused(n);
      if (e instanceof Unsupported) throw e; // the whole model is too large
      const why = reasonOf(
        n,
        e,
        given.flatMap((h) => (h ? [`${h.type.dtype}[${h.type.shape}]`] : [])),
      );
      if (e instanceof OutOfMemory) throw new Unsupported(`${where(n)}: ${why}`, [n.op]);
      if (e instanceof NeedsConstants) for (const name of e.values) this.needed.add(name);
      this.operators.add(n.op);
      this.refusals.push(`${where(n)}: ${why}`);
      this.refused(n);
    }
  }

  /** Holds the outputs of a node that are constants. */
  private constants(
    n: OnnxNode,
    at: At,
    results: readonly (Tensor | undefined)[],
    given: readonly (Held | undefined)[],
  ) {
    n.outputs.forEach((name, i) => {
      const result = results[i];
      const same = given.find((h) => h?.tensor && h.tensor === result); // an Identity
      if (result && name !== "") this.held.set(name, same ?? this.constant(name, { ...result, name }));
      else if (at.wants(i)) at.refuse(`its output ${i} is not supported`);
    });
  }

  /** Counts nodes that are read. Throws if they are too many. */
  private counted(nodes: number): void {
    this.count += nodes;
    if (this.count > MAX_NODES) tooManyNodes();
  }

  /** Whether an operand is a constant that training changes. */
  private trains(h: Held | undefined, name: string): boolean {
    return h?.tensor !== undefined && isTrained(h.tensor) && !this.pools.has(name);
  }

  /** The operands of a node, changed if they were made for another size of the batch. */
  private forBatch(n: OnnxNode, given: (Held | undefined)[]): (Held | undefined)[] {
    if (!this.within) return given;
    const { declared, actual } = this.within.batch;
    if (declared === undefined || declared === actual) return given;
    const changed = withBatch(n, given, declared, actual, this.builder.in(this.scope(n)));
    if (changed) this.freed.push(where(n));
    return changed ?? given;
  }

  /** A call of a function of the model: its nodes, as if they stood here. */
  private call(n: OnnxNode, f: OnnxFunction): void {
    if (n.inputs.length > f.inputs.length) throw new Refused(`its function has ${f.inputs.length} inputs`);
    const given = new Map(f.inputs.map((name, i) => [name, n.inputs[i] ?? ""]));
    const made = instance(bodyOfFunction(f), `${this.scope(n)}/`, given, { ...f.defaults, ...n.attributes });
    defineOutputs(n, made, this.scopeOf(n, f.opsets));
  }

  private scopeOf(n: OnnxNode, opsets: Opsets): Scope {
    return {
      builder: this.builder.in(this.scope(n)),
      held: (name) => {
        const h = this.held.get(name);
        if (h === "refused") throw new AfterRefused(name);
        return h;
      },
      define: (name, value) => {
        if ("data" in value) this.held.set(name, this.constant(name, { ...value, name }));
        else if ("value" in value) this.held.set(name, value);
        else this.computed(name, value);
      },
      count: (more) => this.counted(more),
      run: ({ nodes, initializers, outputs }) => {
        for (const t of initializers) this.held.set(t.name, this.constant(t.name, t));
        const live = liveNodes(nodes, outputs);
        for (const name of [...live.flatMap(readsOf), ...outputs]) this.wanted.add(name);
        for (const m of live) this.node(m, opsets);
      },
    };
  }

  /** Holds the result of a rule. With `fold` one without elements is a constant: there is nothing to compute. */
  private computed(name: string, value: Value): void {
    const { type } = value;
    checkSize(name, type);
    if (name === "") return;
    const empty = this.options.fold && elements(type.shape) === 0;
    const none = (): Tensor => tensorOf(name, type.dtype, type.shape, new arrays[type.dtype](0));
    this.held.set(name, empty ? this.constant(name, none()) : { type, tensor: undefined, value: () => value });
  }

  private refused(n: OnnxNode): void {
    for (const name of n.outputs) this.held.set(name, "refused");
  }

  /** What is held of an output of the model, whose declared type it must have. */
  private checked(v: ValueInfo): Held {
    const h = this.held.get(v.name) as Held;
    const fits = !v.shape || v.shape.length === h.type.shape.length;
    const other = v.shape?.findIndex((d, i) => typeof d === "number" && d !== h.type.shape[i]) ?? -1;
    if (v.type !== h.type.dtype || !fits || other >= 0)
      throw new Error(
        `output ${v.name} is declared ${v.type}[${v.shape ?? "..."}], but is ${h.type.dtype}[${h.type.shape}]`,
      );
    return h;
  }

  private outputNames(infos: readonly ValueInfo[], outputs: readonly Value[]): Value[] {
    const { inputs } = this.builder.finish([]);
    const taken = new Set([...inputs, ...this.builder.states].map((v) => v.name));
    return infos.map((info, i) => {
      const value = outputs[i] as Value;
      let name = fitName(info.name);
      while (taken.has(name) && name !== value.name) name += "_";
      taken.add(name);
      this.note(info.name, name);
      return { name, type: value.type };
    });
  }

  private note(name: string, made: string): void {
    if (name !== made) this.renamed.set(name, made);
  }

  private scope(n: OnnxNode): string {
    return fitName(n.name || (n.outputs.find((name) => name !== "") as string));
  }
}
