// Merges consecutive flat launches of one kernel, whose tensors are next to each other in memory, into one launch over
// the whole range. A step has one launch for the EMA, one for SGD, one for all running averages and one for all
// counters. The gaps between tensors contain zeros, and the launches leave them zero.

import { byteSize, elements, type Value } from "../ir/types.js";
import type { Place, PlacedStep } from "./memory.js";
import { roomOf } from "./plan.js";
import type { Lowered } from "./select.js";

export interface Flattened {
  readonly steps: readonly PlacedStep[];
  readonly place: ReadonlyMap<Value, Place>; // of all values, including the ranges that replace several tensors
}

/** The steps with runs of flat launches merged. `place` is not changed. */
export function flatten(steps: readonly PlacedStep[], place: ReadonlyMap<Value, Place>): Flattened {
  const places = new Map(place);
  const out: PlacedStep[] = [];
  for (let i = 0; i < steps.length; ) {
    const run = runFrom(steps, i, place);
    out.push(run.length > 1 ? merge(run, places) : (steps[i] as PlacedStep));
    i += Math.max(1, run.length);
  }
  return { steps: out, place: places };
}

/** The longest run of launches from step i on that can be merged; empty if step i is not a flat launch. */
function runFrom(steps: readonly PlacedStep[], i: number, place: ReadonlyMap<Value, Place>): Lowered[] {
  const run: Lowered[] = [];
  for (const s of steps.slice(i)) {
    if (s.do !== "launch" || !s.launch.flat) break;
    const before = run.at(-1);
    if (before && !follows(before, s.launch, place)) break;
    run.push(s.launch);
  }
  return run;
}

/** Whether b continues where a ends: each argument is the same tensor in both, or b's begins where a's ends. */
function follows(a: Lowered, b: Lowered, place: ReadonlyMap<Value, Place>): boolean {
  if (a.kernel.symbol !== b.kernel.symbol || a.scalars.join() !== b.scalars.join()) return false;
  return a.args.every((v, k) => {
    const w = b.args[k] as Value;
    if (v === w) return true;
    const from = place.get(v);
    const to = place.get(w);
    return from?.arena === to?.arena && to?.offset === (from?.offset ?? 0) + roomOf(v.type);
  });
}

function merge(run: readonly Lowered[], places: Map<Value, Place>): PlacedStep {
  const first = run[0] as Lowered;
  const last = run.at(-1) as Lowered;
  const { dtype } = (first.writes[0] as Value).type;
  const padded = run
    .slice(0, -1)
    .reduce((n, l) => n + roomOf({ dtype, shape: [l.rows] }) / byteSize({ dtype, shape: [] }), 0);
  const rows = padded + last.rows;
  const ranges = new Map<Value, Value>();
  first.args.forEach((v, k) => {
    const w = last.args[k] as Value;
    if (v === w) return;
    if (elements(v.type.shape) !== first.rows)
      throw new Error(`internal: flatten: %${v.name} does not have the size of its launch`);
    const range: Value = { name: `${v.name} .. ${w.name}`, type: { dtype: v.type.dtype, shape: [rows] } };
    places.set(range, places.get(v) as Place);
    ranges.set(v, range);
  });
  const to = (v: Value): Value => ranges.get(v) ?? v;
  const total = (f: (l: Lowered) => number): number => run.reduce((s, l) => s + f(l), 0);
  return {
    do: "launch",
    workspace: 0,
    launch: {
      ...first,
      rows,
      name: `${first.name} .. ${last.name}`,
      args: first.args.map(to),
      reads: first.reads.map(to),
      writes: first.writes.map(to),
      flops: total((l) => l.flops),
      bytes: total((l) => l.bytes),
      shape: first.launchOver(rows),
    },
  };
}
