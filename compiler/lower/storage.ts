// Decides which elementwise values are stored in memory. All others are recomputed by every region that reads them. The
// comparison is in bytes moved: a recomputation reads the leaves once per reader; storing writes the value once and
// reads it once per reader.

import { byteSize, elements, type Graph, type Node, type Value } from "../ir/types.js";
import { accessOf } from "../ops/access.js";
import { isConstant } from "../ops/constant.js";
import { isElementwise, opOf } from "../ops/op.js";
import { groupedApart } from "./groups.js";
import { isSum, operandName } from "./region.js";
import type { TemplateOf } from "./template.js";

const fused = (n: Node | undefined): boolean => n !== undefined && isElementwise(n);

interface Use {
  readonly node: Node;
  readonly index: number;
}

/** The elementwise values of `g` that are stored. `note` is called with a line of text per decision. */
export function storedValues(g: Graph, templateOf: TemplateOf, note: (line: string) => void): ReadonlySet<Value> {
  const producer = new Map(g.nodes.flatMap((n) => n.outputs.map((v) => [v, n] as const)));
  const uses = new Map<Value, Use[]>();
  for (const node of g.nodes) {
    node.inputs.forEach((v, index) => uses.set(v, [...(uses.get(v) ?? []), { node, index }]));
  }
  const apart = groupedApart(g, templateOf);
  const kept = new Set<Value>([...g.outputs, ...g.updates.values()]);
  const stored = new Set<Value>();

  /** The values whose recomputation takes functions that cost much more than a load. */
  const costly = new Set<Value>();

  /** Value -> the full-size tensors that its recomputation reads; small operands are not counted. */
  const leaves = new Map<Value, ReadonlySet<Value>>();
  const leavesOf = (v: Value): ReadonlySet<Value> => leaves.get(v) ?? new Set([v]);

  const mustStore = (v: Value, n: Node): string | undefined => {
    if (kept.has(v)) return "it is a result of the program";
    if (opOf(n.op).flat) return "optimizer state";
    if (apart.has(v)) return `${apart.get(v)} divides the rows into other groups`;
    for (const { node, index } of uses.get(v) ?? []) {
      if (isSum(node)) continue;
      if (isElementwise(node)) {
        if (opOf(node.op).flat) return `${node.op} takes no prologue`;
        if (!isConstant(n) && accessOf(node, index) !== "full") return `${node.op} broadcasts it`;
      } else if (!templateOf(node)?.prologue.includes(operandName(node, index))) {
        return `${node.op} takes no prologue there`;
      } else if (templateOf(node)?.declines?.(node).includes(operandName(node, index))) {
        return `${node.op} would compute it too often`;
      } else if (costly.has(v) && (templateOf(node)?.repeats?.(node, operandName(node, index)) ?? 1) > 1) {
        return `${node.op} would compute its functions several times`;
      }
    }
    return undefined;
  };

  const choose = (v: Value): boolean => {
    const readers = uses.get(v) ?? [];
    const only = readers.length === 1 ? readers[0]?.node : undefined;
    if (only && (isElementwise(only) || isSum(only))) return false;
    const from = [...leavesOf(v)];
    const raw = from.filter((l) => templateOf(producer.get(l) ?? "")?.epilogue && onlyLeadsTo(l, v));
    const size = byteSize(v.type);
    const bytes = (vs: readonly Value[]): number => vs.reduce((s, l) => s + byteSize(l.type), 0);
    const recompute = readers.length * bytes(from) + bytes(raw.slice(0, 1));
    const store = size * (1 + readers.length) + bytes(from) - bytes(raw.slice(0, 1));
    const decision = store <= recompute;
    note(`%${v.name}: ${decision ? "stored" : "recomputed"}, ${mb(store)} MB stored, ${mb(recompute)} MB recomputed`);
    return decision;
  };
  /** Whether only the computation of v needs l; if v is then computed in l's epilogue, l is not written. */
  const onlyLeadsTo = (l: Value, v: Value): boolean =>
    !kept.has(l) &&
    (uses.get(l) ?? []).every(
      ({ node }) => isElementwise(node) && node.outputs.some((o) => o === v || leavesOf(o).has(l)),
    );

  for (const n of g.nodes) {
    if (!isElementwise(n)) continue;
    const own = new Set<Value>();
    n.inputs.forEach((v, i) => {
      if (elements(v.type.shape) > 1 && accessOf(n, i) === "full") {
        for (const l of stored.has(v) || !fused(producer.get(v)) ? [v] : leavesOf(v)) own.add(l);
      }
    });
    const dear = computesFunctions(n) || n.inputs.some((v) => costly.has(v) && !stored.has(v));
    for (const v of n.outputs) {
      if (dear) costly.add(v);
      leaves.set(v, own);
      const why = mustStore(v, n);
      if (why) note(`%${v.name}: stored, ${why}`);
      if (why || (!isConstant(n) && choose(v))) stored.add(v);
    }
  }
  return stored;
}

/** Whether the code of an elementwise node calls exp, log, erf or the like, which take about 20 instructions each. */
const computesFunctions = (n: Node): boolean =>
  !isConstant(n) &&
  opOf(n.op)
    .code?.(
      n.inputs.map((_, i) => `x${i}`),
      n.attrs,
      n.outputs.map((_, i) => `y${i}`),
    )
    .some((text) => /\b(exp|log|erf|tanh|sigmoid)\(/.test(text)) === true;

const mb = (bytes: number): string => (bytes / 1e6).toFixed(3);
