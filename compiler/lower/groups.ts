// Groups of rows. A launch has one number of groups, so nodes with different numbers of groups need separate kernels.
// Tables with one row, [1, C], can be used with any number of groups.

import type { Graph, Node, Value } from "../ir/types.js";
import { accessOf } from "../ops/access.js";
import { isElementwise } from "../ops/op.js";
import { type Chain, isSum, operandName, type Region } from "./region.js";
import type { TemplateOf, TemplateSpec } from "./template.js";

type Grouping = Pick<Region, "anchor" | "template" | "operands" | "after" | "sums" | "moments">;

/** The number of rows of a table with one row per group; undefined for any other operand. */
const tableRows = (v: Value, access: string): number | undefined =>
  access === "group_channel" && v.type.shape[0] !== 1 ? v.type.shape[0] : undefined;

const known = (counts: readonly (number | undefined)[]): number[] => counts.filter((c) => c !== undefined);
const ofChain = (c: Chain): number[] => known(c.leaves.map((l) => tableRows(l.value, l.access)));
const ofNode = (n: Node | undefined): number[] => (typeof n?.attrs.groups === "number" ? [n.attrs.groups] : []);

/** The operands of an anchor whose rows are divided into the launch's groups, and whether those of the result are. */
const groupedBy = (template: TemplateSpec, anchor: Node | undefined) =>
  (anchor && template.grouped?.(anchor)) ?? { operands: template.prologue, result: true };

/** The numbers of groups that the epilogue of a region requires, including those of a further chain and sum. */
const epilogueGroups = (r: Grouping, chain?: Chain, sum?: Node): number[] => [
  ...[...r.after, ...(chain ? [chain] : [])].flatMap(ofChain),
  ...[...r.sums, r.moments, sum].flatMap(ofNode),
];

/** The number of groups of the region's launch; 1 if nothing in it distinguishes groups. */
export function groupsOf(r: Grouping): number {
  const all = new Set(launchGroups(r, epilogueGroups(r)));
  if (all.size > 1) throw new Error(`internal: groups: ${r.anchor?.scope ?? "pointwise"} mixes groups ${[...all]}`);
  return [...all][0] ?? 1;
}

function launchGroups(r: Grouping, epilogue: readonly number[]): number[] {
  const inside = [...ofNode(r.anchor), ...[...r.operands.values()].flatMap(ofChain)];
  return groupedBy(r.template, r.anchor).result ? [...inside, ...epilogue] : inside;
}

/** Whether the groups of `chain`, and of its channel sum `sum`, agree with those of the region. */
export function groupsFit(r: Grouping, chain: Chain, sum?: Node): boolean {
  const epilogue = epilogueGroups(r, chain, sum);
  if (!groupedBy(r.template, r.anchor).result && epilogue.some((n) => n > 1)) return false;
  return new Set(launchGroups(r, epilogue)).size <= 1;
}

/**
 * The elementwise values that a reader cannot recompute because it has another number of groups, each with the op of
 * that reader.
 */
export function groupedApart(g: Graph, templateOf: TemplateOf): ReadonlyMap<Value, string> {
  const groups = new Map<Value, number>(); // of values that may be recomputed
  const apart = new Map<Value, string>();
  const join = (n: Node, wanted: number | undefined, operands: readonly Value[]): number | undefined => {
    for (const v of operands) {
      const own = apart.has(v) ? undefined : groups.get(v);
      if (own === undefined) continue;
      wanted ??= own;
      if (own !== wanted) apart.set(v, n.op);
    }
    return wanted;
  };
  for (const n of g.nodes) {
    if (isElementwise(n)) {
      const access = n.inputs.map((_, i) => accessOf(n, i));
      const wanted = known(n.inputs.map((v, i) => tableRows(v, access[i] as string)))[0];
      const all = join(
        n,
        wanted,
        n.inputs.filter((_, i) => access[i] === "full"),
      );
      if (all !== undefined) for (const v of n.outputs) groups.set(v, all);
      continue;
    }
    const template = templateOf(isSum(n) ? "pointwise" : n);
    if (!template) continue;
    const grouped = isSum(n) ? ["x"] : groupedBy(template, n).operands;
    const taken = (v: Value, i: number): boolean => grouped.includes(operandName(n, i)) && groups.has(v);
    join(n, ofNode(n)[0], n.inputs.filter(taken));
    for (const v of n.inputs.filter((v, i) => !taken(v, i))) if (groups.has(v)) apart.set(v, n.op);
  }
  return apart;
}
