// bf16 copies of parameters (mirrors). The launches of the optimizer and of the moving average, which write the
// parameters, also write the copies, and convolutions read the copies. Surprising: all f32 parameters that such a
// launch writes get a copy, even if no kernel reads it. The copies then have the same order as their parameters, and
// the update stays one flat launch.

import type { Graph, Node, Target, Value } from "../ir/types.js";
import { opOf } from "../ops/op.js";
import type { Region } from "./region.js";
import type { TemplateOf, TemplateSpec } from "./template.js";

/** A program and its regions, in the order in which they run. */
export interface Covered {
  readonly g: Graph;
  readonly regions: readonly Region[];
}

export interface Mirrored {
  readonly programs: readonly Covered[];
  readonly mirrors: ReadonlyMap<string, Value>; // by the name of the state
}

/** The node that the functions of a packing template get: its input is the weight, its attributes are the user's. */
export function packingNode(user: Node, w: Value, packing: TemplateSpec): Node {
  const attrs = packing.packingAttrs?.(user) ?? { stride: user.attrs.stride ?? 1, pad: user.attrs.pad ?? 0 };
  return { op: packing.op, inputs: [w], attrs, outputs: [], scope: `${w.name}.${packing.name}` };
}

/** Whether the packed copy of `w` that `user` reads is `w` rounded, in the same order. */
export const isRounded = (user: Node, w: Value, packing: TemplateSpec, target: Target): boolean =>
  packing.rounds?.(packingNode(user, w, packing), target) === true;

/**
 * Lets flat regions that write parameters also write their copies, if a kernel of the same program reads one of them.
 * Returns the changed programs and the copies by the name of the state.
 */
export function writeMirrors(programs: readonly Covered[], target: Target, templateOf: TemplateOf): Mirrored {
  const mirrors = new Map<string, Value>();
  const changed = programs.map(({ g, regions }) => {
    const readers = readersOf(regions, target, templateOf);
    const writes = flatWrites(g, regions).filter(({ s, region }) => (readers.get(s) ?? []).every((r) => r < region));
    const wanted = new Set(writes.filter((w) => readers.has(w.s) || readers.has(w.v)).map((w) => w.pass));
    const of = new Map(regions.map((r) => [r, new Map<Value, Value>()]));
    for (const { s, v, region, pass } of writes) {
      if (!wanted.has(pass)) continue;
      const mirror = mirrors.get(s.name) ?? { name: `${s.name}.bf16`, type: { dtype: "bf16", shape: s.type.shape } };
      mirrors.set(s.name, mirror);
      of.get(regions[region] as Region)?.set(v, mirror);
    }
    return { g, regions: regions.map((r) => ({ ...r, mirrors: of.get(r) ?? new Map() })) };
  });
  return { programs: changed, mirrors };
}

/** Weight -> the indices of the regions that read a rounded copy of it. */
function readersOf(
  regions: readonly Region[],
  target: Target,
  templateOf: TemplateOf,
): ReadonlyMap<Value, readonly number[]> {
  const readers = new Map<Value, number[]>();
  regions.forEach((r, i) => {
    for (const [input, name] of Object.entries(r.template.packs ?? {})) {
      const packing = templateOf(name);
      const w = r.plain.get(input);
      if (packing && w && isRounded(r.anchor as Node, w, packing, target))
        readers.set(w, [...(readers.get(w) ?? []), i]);
    }
  });
  return readers;
}

/** The new values of f32 states that flat regions store; `pass`: the op and which of its results. */
function flatWrites(g: Graph, regions: readonly Region[]): { s: Value; v: Value; region: number; pass: string }[] {
  const stateOf = new Map([...g.updates].map(([s, v]) => [v, s]));
  return regions.flatMap((r, region) =>
    r.stores.flatMap((v) => {
      const n = r.after.flatMap((c) => c.nodes).find((n) => n.outputs.includes(v));
      const s = stateOf.get(v);
      if (!n || !s || opOf(n.op).flat !== true || v.type.dtype !== "f32") return [];
      return [{ s, v, region, pass: `${n.op} ${n.outputs.indexOf(v)}` }];
    }),
  );
}
