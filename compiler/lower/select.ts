// Makes launches of regions: the emitted kernel, its arguments, sizes and costs. A weight that a template reads packed
// needs a packing launch. If the weight is state, the packed copy is derived state, and the launch runs after each
// change of the weight; otherwise it runs before the launch that reads the copy.

import { byteSize, elements, type Graph, type Node, type Target, type Value } from "../ir/types.js";
import { isConstant } from "../ops/constant.js";
import { opOf } from "../ops/op.js";
import { domainOf } from "./domain.js";
import type { Emitter } from "./emitter.js";
import { groupsOf } from "./groups.js";
import { isRounded, packingNode } from "./mirrors.js";
import type { BoundMap, CollectiveName, Kernel } from "./plan.js";
import { fullReads, inputsOf, outputsOf, type Region, storedOperand } from "./region.js";
import { type Fused, type LaunchShape, type TemplateOf, type TemplateSpec, unfused } from "./template.js";

/** A launch before memory is planned: its tensors are values. */
export interface Lowered {
  readonly kernel: Kernel;
  readonly collective?: CollectiveName; // if present, a collective instead of a launch: `kernel` is only a name
  readonly name: string;
  readonly args: readonly Value[];
  readonly scalars: readonly number[];
  readonly reads: readonly Value[];
  readonly writes: readonly Value[];
  readonly mayOverwrite: ReadonlyMap<Value, readonly Value[]>; // written value -> operands it may overwrite
  readonly flat: boolean; // elementwise over whole tensors: launches of one kernel over adjacent tensors can be merged
  readonly rows: number;
  readonly groups: number;
  readonly shape: LaunchShape;
  launchOver(rows: number): LaunchShape; // of the same kernel with another number of rows
  readonly flops: number;
  readonly bytes: number;
  readonly maps: readonly BoundMap[];
  readonly packed: ReadonlyMap<Value, Value>; // weight -> the packed copy that the kernel reads instead
  readonly mirrors: ReadonlySet<Value>; // those of `writes` that are bf16 copies of states
}

/** A packed copy of a weight: derived state if `of` is state, otherwise a value in the work arena. */
export interface Packed {
  readonly value: Value;
  readonly of: Value;
  readonly launch: Lowered;
}

export interface Selection {
  readonly launches: readonly Lowered[];
  readonly derived: ReadonlyMap<string, Packed>; // the packed copies of states that the program reads, by name
}

/**
 * The launches of the regions, in order, each with the kernel that `emitter` writes for it. `mirrors` has the copies of
 * states that regions write themselves, by the name of the state. Throws if a template for packing is missing or the
 * emitter throws.
 */
export function select(
  g: Graph,
  regions: readonly Region[],
  mirrors: ReadonlyMap<string, Value>,
  target: Target,
  templateOf: TemplateOf,
  emitter: Emitter,
): Selection {
  const states = new Map(g.state.map((s) => [s.name, s]));
  const derived = new Map<string, Packed>();
  const inline = new Map<string, Packed>();
  const written = new Map<Value, Value>();
  const launches: Lowered[] = [];
  /** The packed copy of w that `user` reads. If no launch makes it yet, adds one. */
  const copyOf = (user: Node, w: Value, packing: TemplateSpec): Value => {
    const rounded = isRounded(user, w, packing, target);
    const own = rounded ? written.get(w) : undefined;
    if (own) return own;
    const node = packingNode(user, w, packing);
    const mirror = rounded && states.has(w.name) ? mirrors.get(w.name) : undefined;
    const name = mirror?.name ?? node.scope;
    const known = derived.get(name) ?? inline.get(name);
    if (known) return known.value;
    const made = pack(node, w, mirror, packing, target, emitter);
    if (states.has(w.name)) derived.set(name, made);
    else {
      inline.set(name, made);
      launches.push(made.launch);
    }
    return made.value;
  };
  for (const r of regions) {
    const packed = new Map<Value, Value>();
    for (const [input, packing] of Object.entries(r.template.packs ?? {})) {
      const template = templateOf(packing);
      if (!template) throw new Error(`internal: select: no template ${packing}`);
      const w = r.plain.get(input) as Value;
      packed.set(w, copyOf(r.anchor as Node, w, template));
    }
    launches.push(
      r.anchor && opOf(r.anchor.op).kind === "collective" ? together(r.anchor) : lower(r, packed, target, emitter),
    );
    for (const [v, mirror] of r.mirrors) written.set(v, mirror);
  }
  return { launches, derived };
}

/** A packing launch: it reads the weight as a plain buffer and writes the packed copy. */
function pack(
  node: Node,
  w: Value,
  to: Value | undefined,
  template: TemplateSpec,
  target: Target,
  emitter: Emitter,
): Packed {
  if (!template.packed) throw new Error(`internal: select: ${template.name} does not say what it writes`);
  const value = to ?? { name: node.scope, type: template.packed(node, target) };
  const { kernel, args, scalars } = emitter.packing(
    template,
    w,
    value,
    template.constants(node, target, unfused),
    target.device,
  );
  const shape = template.launch(node, { rows: 1, groups: 1 }, target, unfused);
  const launch: Lowered = {
    kernel,
    args,
    scalars,
    reads: [w],
    writes: [value],
    mayOverwrite: new Map(),
    flat: false,
    rows: 1,
    groups: 1,
    shape,
    launchOver: () => shape,
    name: value.name,
    flops: 0,
    bytes: byteSize(w.type) + byteSize(value.type),
    maps: [],
    packed: new Map(),
    mirrors: new Set(),
  };
  return { value, of: w, launch };
}

/** The collective `n` in the form of a launch. */
function together(n: Node): Lowered {
  const [from, to] = [n.inputs[0] as Value, n.outputs[0] as Value];
  const shape: LaunchShape = { tasks: [], workspaceBytes: 0, scratchBytes: 0 };
  return {
    kernel: { symbol: n.op, template: n.op, header: "", source: "", threads: 0, sharedBytes: 0 },
    collective: n.op as CollectiveName,
    args: [from, to],
    scalars: [],
    reads: [from],
    writes: [to],
    flat: false,
    rows: 1,
    groups: 1,
    shape,
    launchOver: () => shape,
    mayOverwrite: overwrites(n),
    name: to.name,
    flops: 0,
    bytes: 0,
    maps: [],
    packed: new Map(),
    mirrors: new Set(),
  };
}

function lower(r: Region, packed: ReadonlyMap<Value, Value>, target: Target, emitter: Emitter): Lowered {
  const { template } = r;
  const plain = new Map(
    [...r.plain].map(([name, v]) => [name, (name in (template.packs ?? {}) && packed.get(v)) || v]),
  );
  const optimizer =
    r.anchor === undefined && r.after.every((c) => c.nodes[0] !== undefined && opOf(c.nodes[0].op).flat === true);
  const size = elements(r.shape);
  const linear = r.anchor === undefined && (optimizer || isLinear(r));
  const node = r.anchor ?? pointwiseNode(r, linear);
  const groups = groupsOf(r);
  const rows = linear ? size : (template.rows?.(node) ?? domainOf(r.shape).rows);
  const prologues = new Map(
    [...r.operands].flatMap(([name, chain]) =>
      storedOperand(chain, template.operandType?.(target)) ? [] : [[name, fullReads(chain)] as const],
    ),
  );
  const fused: Fused = { sums: r.sums.length, moments: r.moments !== undefined, prologues };
  const { kernel, args, scalars } = emitter.kernel(
    r,
    plain,
    template.constants(node, target, fused),
    target.device,
    groups,
    prologues,
  );
  const launchOver = (n: number): LaunchShape => template.launch(node, { rows: n, groups }, target, fused);
  const reads = inputsOf({ ...r, plain });
  const writes = outputsOf(r);
  const shape = launchOver(rows);
  const argOf = (operand: string): number => {
    const chain = r.operands.get(operand);
    const arg = args.indexOf((chain ? storedOperand(chain) : plain.get(operand)) as Value);
    if (arg < 0)
      throw new Error(`internal: select: operand ${operand} of ${template.name} has a tensor map, but is not a buffer`);
    return arg;
  };
  const elementwise = new Set(r.after.flatMap((c) => c.nodes)).size;
  return {
    kernel,
    args,
    scalars,
    reads,
    writes,
    rows,
    groups,
    launchOver,
    flat: optimizer || template.flat === true,
    shape,
    maps: (shape.maps ?? []).map(({ operand, ...map }) => ({ arg: argOf(operand), ...map })),
    name: r.anchor?.scope ?? r.after.at(-1)?.nodes.at(-1)?.scope ?? "",
    mayOverwrite: regionOverwrites(r),
    packed,
    mirrors: new Set(r.mirrors.values()),
    flops: template.flops(node) + elementwise * size,
    bytes: [...reads, ...writes].reduce((s, v) => s + byteSize(v.type), 2 * shape.workspaceBytes),
  };
}

/** The node that the pointwise template gets: its output has the shape of the domain, [elements, 1] if linear. */
function pointwiseNode(r: Region, linear: boolean): Node {
  const value: Value = { name: "", type: { dtype: "f32", shape: linear ? [elements(r.shape), 1] : r.shape } };
  return { op: "pointwise", inputs: [], attrs: { flat: linear }, outputs: [value], scope: "" };
}

/**
 * Whether the domain can be one run of elements: every leaf has the shape of the domain or is one number, and the
 * region has no tables and no channel sums.
 */
function isLinear(r: Region): boolean {
  const tables = r.after.some((c) =>
    c.nodes.some((n) => isConstant(n) && (n.attrs.values as readonly number[]).length > 1),
  );
  const leaves = r.after.flatMap((c) => c.leaves);
  const plain = leaves.every((l) => l.access === "full" || l.access === "scalar");
  return r.sums.length === 0 && r.moments === undefined && !tables && plain;
}

/** Result of a node -> the operand that it may overwrite according to the op's record. */
function overwrites(n: Node): ReadonlyMap<Value, readonly Value[]> {
  const op = opOf(n.op);
  const may = new Map<Value, readonly Value[]>();
  n.outputs.forEach((v, i) => {
    const at = (op.inputs as readonly string[]).indexOf(op.inPlace?.[op.outputs[i]] ?? "");
    if (at >= 0) may.set(v, [n.inputs[at] as Value]);
  });
  return may;
}

/**
 * Result of a region -> the operands that it may overwrite. In a pointwise region the same task reads an element before
 * it writes it, so a result may overwrite every full-size operand with as many bytes.
 */
function regionOverwrites(r: Region): ReadonlyMap<Value, readonly Value[]> {
  const may = new Map<Value, readonly Value[]>();
  if (r.anchor) return overwrites(r.anchor);
  const leaves = r.after.flatMap((c) => c.leaves);
  const onlyFull = (v: Value): boolean => leaves.every((l) => l.value !== v || l.access === "full");
  for (const v of r.stores) {
    may.set(
      v,
      leaves.map((l) => l.value).filter((l) => onlyFull(l) && byteSize(l.type) === byteSize(v.type)),
    );
  }
  return may;
}
