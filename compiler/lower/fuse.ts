// Covers the graph with regions. Nodes are visited in order. A kernel op opens a region. A stored elementwise value or
// a channel sum joins the latest region that it depends on, if that region has its operands in registers and all other
// operands are computed before that region; otherwise it opens a pointwise region. The order of the regions is one in
// which they can run.

import { type Graph, type Node, sameShape, type Value } from "../ir/types.js";
import { accessOf } from "../ops/access.js";
import { isConstant } from "../ops/constant.js";
import { isElementwise, opOf } from "../ops/op.js";
import { channel_moments } from "../ops/reduce.js";
import { groupsFit } from "./groups.js";
import { type Chain, isSum, type Leaf, operandName, type Region, rawResult } from "./region.js";
import { storedValues } from "./storage.js";
import type { TemplateOf, TemplateSpec } from "./template.js";
import { isView } from "./views.js";

interface Draft {
  readonly anchor: Node | undefined;
  readonly template: TemplateSpec;
  readonly shape: readonly number[];
  readonly operands: Map<string, Chain>;
  readonly plain: Map<string, Value>;
  readonly after: Chain[];
  readonly stores: Value[];
  readonly sums: Node[];
  moments: Node | undefined;
  readonly closed: boolean; // no node may join
  readonly repeated: boolean; // only repeated nodes may join, and they may join no other
}

/** What is already decided: the values that kernels with an epilogue write, and the nodes that are there twice. */
export interface Decided {
  readonly stored: ReadonlySet<Value>;
  readonly repeated: ReadonlySet<Node>;
}

/**
 * The regions of `g`, in an order in which they can run. `explain` is called with a line per decision. Throws if an op
 * of `g` has no kernel template.
 */
export function fuse(
  g: Graph,
  templateOf: TemplateOf,
  explain: (line: string) => void = () => {},
  decided?: Decided,
): Region[] {
  return new Fusion(g, templateOf, explain, decided).run();
}

class Fusion {
  private readonly stored: ReadonlySet<Value>;
  private readonly producer: ReadonlyMap<Value, Node>;
  private readonly drafts: Draft[] = [];
  private readonly madeBy = new Map<Value, number>(); // value -> index of the region that writes it or computes it

  constructor(
    private readonly g: Graph,
    private readonly templateOf: TemplateOf,
    private readonly explain: (line: string) => void,
    private readonly decided: Decided | undefined,
  ) {
    this.stored = decided?.stored ?? storedValues(g, templateOf, explain);
    this.producer = new Map(g.nodes.flatMap((n) => n.outputs.map((v) => [v, n] as const)));
  }

  run(): Region[] {
    for (const n of hoisted(this.g, this.decided?.repeated ?? new Set())) {
      if (isView(n)) this.alias(n);
      else if (isSum(n)) this.addSum(n);
      else if (isElementwise(n)) this.addElementwise(n);
      else this.addAnchor(n);
    }
    return this.storeRawResults();
  }

  /** A view is made by the region that makes its operand. */
  private alias(n: Node): void {
    const at = this.madeBy.get(n.inputs[0] as Value);
    if (at !== undefined) this.madeBy.set(n.outputs[0] as Value, at);
  }

  private addAnchor(n: Node): void {
    const template = this.templateOf(n);
    if (!template) throw new Error(`internal: fuse: no kernel template for ${n.op} in ${n.scope}`);
    const operands = new Map<string, Chain>();
    const plain = new Map<string, Value>();
    n.inputs.forEach((v, i) => {
      const name = operandName(n, i);
      if (template.prologue.includes(name)) operands.set(name, this.chain(v));
      else plain.set(name, v);
    });
    const shape = n.outputs[0]?.type.shape as readonly number[];
    const repeated = this.isRepeated(n);
    this.open({ anchor: n, template, shape, operands, plain, closed: !template.epilogue, repeated }, n.outputs);
  }

  private addElementwise(n: Node): void {
    const targets = n.outputs.filter((v) => this.stored.has(v));
    if (targets.length === 0) return;
    const chains = targets.map((v) => this.chain(v, true));
    const first = chains[0] as Chain;
    const host = opOf(n.op).flat ? undefined : this.host(n, first, (t) => t.epilogue);
    const d = host ?? this.openPointwise(n, first.root.type.shape, opOf(n.op).flat === true);
    d.after.push(...chains);
    d.stores.push(...targets);
    for (const v of targets) this.madeBy.set(v, this.drafts.indexOf(d));
  }

  private addSum(n: Node): void {
    const operand = n.inputs[0] as Value;
    const chain = this.chain(operand);
    const moments = n.op === channel_moments.name;
    const host = this.host(n, chain, (t, d) => (moments ? t.moments && d.moments === undefined : t.sums), n);
    const d = host ?? this.openPointwise(n, operand.type.shape, false);
    if (rawResult(d) !== operand && !d.after.some((c) => c.root === operand)) d.after.push(chain);
    if (moments) d.moments = n;
    else d.sums.push(n);
    for (const v of n.outputs) this.madeBy.set(v, this.drafts.indexOf(d));
  }

  /** The nodes and leaves that compute `root`. With `compute` the root is computed even if it is a stored value. */
  private chain(root: Value, compute = false): Chain {
    const nodes: Node[] = [];
    const leaves: Leaf[] = [];
    const addLeaf = (value: Value, access: Leaf["access"]): void => {
      if (!leaves.some((l) => l.value === value && l.access === access)) leaves.push({ value, access });
    };
    const visit = (v: Value, expand: boolean): void => {
      const n = this.producer.get(v);
      if (!n || !isElementwise(n) || (this.stored.has(v) && !expand)) return addLeaf(v, "full");
      if (nodes.includes(n)) return;
      n.inputs.forEach((operand, i) => {
        const access = accessOf(n, i);
        const isTable = isConstant(this.producer.get(operand)) && !this.stored.has(operand);
        if (access === "full" || isTable) visit(operand, false);
        else addLeaf(operand, access);
      });
      nodes.push(n);
    };
    visit(root, compute);
    return { root, nodes, leaves };
  }

  private isRepeated(n: Node): boolean {
    return this.decided?.repeated.has(n) === true;
  }

  /**
   * The open region that can compute `chain`, which ends with node n, and its channel sum `sum`, from values it has in
   * registers anyway.
   */
  private host(n: Node, chain: Chain, able: (t: TemplateSpec, d: Draft) => boolean, sum?: Node): Draft | undefined {
    const made = chain.leaves.map((l) => this.madeBy.get(l.value) ?? -1);
    const latest = Math.max(-1, ...made);
    const fits = (d: Draft): boolean =>
      !d.closed &&
      d.repeated === this.isRepeated(n) &&
      sameShape(d.shape, chain.root.type.shape) &&
      able(d.template, d) &&
      groupsFit(d, chain, sum);
    const d = this.drafts[latest];
    if (d) {
      const inRegisters = (l: Leaf, i: number): boolean =>
        (made[i] as number) < latest ||
        (l.access === "full" && (rawResult(d) === l.value || d.stores.includes(l.value)));
      if (fits(d) && chain.leaves.every(inRegisters)) return d;
      const of = d.anchor?.outputs[0] ?? d.stores[0];
      const why = fits(d)
        ? "an operand is not in registers"
        : "another shape or other groups, or the template has no such epilogue";
      this.explain(`%${chain.root.name}: not in the epilogue of ${d.template.name} %${of?.name}: ${why}`);
    }
    const shares = (other: Draft): boolean =>
      other.after.some((c) =>
        c.leaves.some((l) => l.access === "full" && chain.leaves.some((m) => m.value === l.value)),
      );
    return this.drafts.slice(latest + 1).find((o) => o.anchor === undefined && fits(o) && shares(o));
  }

  private openPointwise(n: Node, shape: readonly number[], closed: boolean): Draft {
    const template = this.templateOf("pointwise");
    if (!template) throw new Error("internal: fuse: the target has no pointwise template");
    const none = { anchor: undefined, operands: new Map(), plain: new Map() };
    return this.open({ ...none, template, shape, closed, repeated: this.isRepeated(n) }, []);
  }

  private open(
    part: Pick<Draft, "anchor" | "template" | "shape" | "operands" | "plain" | "closed" | "repeated">,
    outputs: readonly Value[],
  ): Draft {
    const d: Draft = { ...part, after: [], stores: [], sums: [], moments: undefined };
    for (const v of outputs) this.madeBy.set(v, this.drafts.length);
    this.drafts.push(d);
    return d;
  }

  /** The final regions: an anchor's result is stored only if another kernel reads it or the program returns it. */
  private storeRawResults(): Region[] {
    const needed = new Set<Value>([...this.g.outputs, ...this.g.updates.values()]);
    for (const n of this.g.nodes) if (isView(n)) needed.add(n.inputs[0] as Value);
    for (const d of this.drafts) {
      const raw = rawResult(d);
      const outside = [...d.operands.values(), ...d.after].flatMap((c) => c.leaves.map((l) => l.value));
      for (const v of [...outside, ...d.plain.values()]) if (v !== raw) needed.add(v);
    }
    return this.drafts.map(({ closed: _, repeated: __, ...d }) => {
      const raw = rawResult(d);
      const mustWrite =
        raw && (needed.has(raw) || d.moments?.inputs[0] === raw || this.decided?.stored.has(raw) === true);
      return { ...d, stores: mustWrite ? [raw, ...d.stores] : d.stores, mirrors: new Map() };
    });
  }
}

/**
 * The nodes of `g`, with the elementwise nodes and views that depend on no kernel's result moved to the front
 * (constants, inference scales, the key encoder's EMA), so that they are computed before the epilogues that read them.
 * Nodes of `fixed` are not moved.
 */
export function hoisted(g: Graph, fixed: ReadonlySet<Node>): Node[] {
  const ready = new Set<Value>([...g.inputs, ...g.state]);
  const early = g.nodes.filter((n) => {
    if (fixed.has(n) || (!isElementwise(n) && !isView(n)) || !n.inputs.every((v) => ready.has(v))) return false;
    for (const v of n.outputs) ready.add(v);
    return true;
  });
  const first = new Set(early);
  return [...early, ...g.nodes.filter((n) => !first.has(n))];
}
