// A region becomes one kernel: at most one anchor, an elementwise chain for each of its operands, elementwise nodes on
// its result, and channel sums of the values it computes. An elementwise node may be in several regions, because
// recomputing it can be cheaper than storing it.

import type { DType, Node, Value } from "../ir/types.js";
import { type Access, opOf } from "../ops/op.js";
import { channel_moments, channel_sum } from "../ops/reduce.js";
import type { TemplateSpec } from "./template.js";

/** A tensor that a body reads, and how it indexes it. */
export interface Leaf {
  readonly value: Value;
  readonly access: Access;
}

/** Elementwise nodes, in order, that compute `root` from `leaves`. Without nodes `root` itself is the only leaf. */
export interface Chain {
  readonly root: Value;
  readonly nodes: readonly Node[];
  readonly leaves: readonly Leaf[];
}

export interface Region {
  readonly anchor: Node | undefined; // none: pointwise
  readonly template: TemplateSpec;
  readonly shape: readonly number[]; // of the result: the iteration domain
  readonly operands: ReadonlyMap<string, Chain>; // anchor inputs that take a prologue, by name
  readonly plain: ReadonlyMap<string, Value>; // the anchor's other inputs, by name ("xs.0" of a "...xs")
  readonly after: readonly Chain[]; // values computed from the result (or, in a pointwise region, from leaves)
  readonly stores: readonly Value[]; // which of the result and the roots of `after` are written
  readonly mirrors: ReadonlyMap<Value, Value>; // value of `stores` -> the copy written too, with its own type
  readonly sums: readonly Node[]; // channel_sum nodes; the operand of each is the result or a root of `after`
  readonly moments: Node | undefined; // likewise a channel_moments node
}

/** Whether n is a channel sum or channel moments, which an epilogue can compute. */
export const isSum = (n: Node): boolean => n.op === channel_sum.name || n.op === channel_moments.name;

/** The name of the i-th operand: the op's, or "xs.2" for the third of a trailing "...xs". */
export function operandName(n: Node, i: number): string {
  const names: readonly string[] = opOf(n.op).inputs;
  const last = names.length - 1;
  return i >= last && names[last]?.startsWith("...") ? `${names[last].slice(3)}.${i - last}` : (names[i] as string);
}

/** The number of leaves that have the size of the chain's result. */
export const fullReads = (c: Chain): number => c.leaves.filter((l) => l.access === "full").length;

/**
 * The tensor that an operand is if its chain has no nodes and its dtype is `dtype` (absent: f32 or bf16); otherwise
 * undefined.
 */
export function storedOperand({ nodes, leaves }: Chain, dtype?: DType): Value | undefined {
  const only = leaves.length === 1 && nodes.length === 0 ? leaves[0]?.value : undefined;
  const fits = only && (dtype ? only.type.dtype === dtype : only.type.dtype === "f32" || only.type.dtype === "bf16");
  return fits ? only : undefined;
}

/** The first output of an anchor with an epilogue, which is in registers before `after`; undefined without one. */
export const rawResult = (r: Pick<Region, "anchor" | "template">): Value | undefined =>
  r.template.epilogue ? r.anchor?.outputs[0] : undefined;

/** Every tensor that the kernel reads, without repetition. */
export function inputsOf(r: Region): readonly Value[] {
  const own = new Set<Value | undefined>([rawResult(r), ...r.stores]);
  const chains = [...r.operands.values(), ...r.after];
  const leaves = chains.flatMap((c) => c.leaves.map((l) => l.value)).filter((v) => !own.has(v));
  return [...new Set([...leaves, ...r.plain.values()])];
}

/** Every tensor that the kernel writes. */
export function outputsOf(r: Region): readonly Value[] {
  const anchored = r.anchor && !r.template.epilogue ? r.anchor.outputs : [];
  return [
    ...anchored,
    ...r.stores,
    ...r.mirrors.values(),
    ...r.sums.flatMap((n) => n.outputs),
    ...(r.moments?.outputs ?? []),
  ];
}

/** The region as text, for explain.txt and tests. */
export function printRegion(r: Region): string {
  const names = (vs: readonly Value[]): string => vs.map((v) => `%${v.name}`).join(", ");
  const ops = (c: Chain): string => c.nodes.map((n) => n.op).join("+");
  const prologue = [...r.operands].filter(([, c]) => c.nodes.length > 0).map(([name, c]) => `${name}: ${ops(c)}`);
  const epilogue = [...new Set(r.after.flatMap((c) => c.nodes))].map((n) => n.op);
  return [
    `${r.template.name} ${r.anchor?.scope ?? r.after[0]?.nodes.at(-1)?.scope ?? ""}`,
    ...prologue.map((p) => `    prologue ${p}`),
    ...(epilogue.length > 0 ? [`    epilogue ${epilogue.join("+")}`] : []),
    ...(r.sums.length > 0 ? [`    sums ${r.sums.map((n) => `%${n.outputs[0]?.name}`).join(", ")}`] : []),
    ...(r.moments ? [`    moments of %${r.moments.inputs[0]?.name}`] : []),
    `    reads ${names(inputsOf(r))}`,
    `    writes ${names(outputsOf(r))}`,
  ].join("\n");
}
