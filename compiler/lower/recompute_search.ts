// The search behind --memory low: which values to make again so that the most memory that is needed at once is lowest.
// It counts the memory of values only: workspaces are small beside them, and what is computed in place lasts for one
// kernel.

import type { Node, Value } from "../ir/types.js";

/** A stored value that can be made again: the nodes that do so and the stored values that they read. */
export interface Candidate {
  readonly value: Value;
  readonly nodes: readonly Node[]; // in the order of the graph
  readonly sources: readonly Value[]; // stored values, none of them a view
  readonly cost: number; // estimated time, in bytes moved
}

export interface Problem {
  /** What is in memory for a part of the step, and the region that makes it. */
  readonly values: readonly { readonly value: Value; readonly bytes: number; readonly made: number }[];
  readonly reads: readonly (readonly Value[])[]; // of each region
  candidate(v: Value): Candidate | undefined;
  readonly smallest: number; // share of the peak: smaller values are kept
  readonly budget: number; // for the sum of the candidates' costs
}

export interface Found {
  readonly turn: number; // the region with the peak: what is made again is so for regions after it
  readonly chosen: readonly Candidate[];
  readonly peak: number; // bytes
  readonly before: number;
}

interface Life {
  readonly bytes: number;
  readonly made: number;
  readonly early: number; // the last region up to the turn that reads it
  readonly last: number;
}

/** Region i runs at 2 i + 1; what is made again for it is made at 2 i. */
const runs = (region: number): number => 2 * region + 1;

export function lowestPeak(p: Problem): Found {
  const readers = new Map<Value, number[]>();
  p.reads.forEach((vs, i) => {
    for (const v of vs) readers.set(v, [...(readers.get(v) ?? []), i]);
  });
  const span = (v: Value, made: number): readonly number[] => [made, ...(readers.get(v) ?? [])];
  const spans = p.values.map(({ value, bytes, made }) => ({ bytes, from: made, to: Math.max(...span(value, made)) }));
  const usage = profile(
    spans.map((s) => ({ ...s, from: runs(s.from), to: runs(s.to) })),
    p.reads.length,
  );
  const before = Math.max(...usage);
  const turn = (usage.indexOf(before) - 1) / 2;
  const lives = new Map<Value, Life>();
  for (const { value, bytes, made } of p.values) {
    const at = span(value, made);
    lives.set(value, { bytes, made, early: Math.max(...at.filter((r) => r <= turn)), last: Math.max(...at) });
  }
  const candidates = p.values
    .filter(({ bytes, made }) => made <= turn && bytes >= p.smallest * before)
    .filter(({ value }) => (lives.get(value)?.last ?? 0) > turn)
    .flatMap(({ value }) => p.candidate(value) ?? []);
  const search = new Search(p, lives, turn, before, candidates);
  const chosen = search.run();
  return { turn, chosen, before, peak: search.peak(new Set(chosen)) };
}

/** The sum of bytes at each of the times 0..2 regions. */
function profile(
  spans: readonly { readonly bytes: number; readonly from: number; readonly to: number }[],
  regions: number,
): Float64Array {
  const usage = new Float64Array(2 * regions + 2);
  for (const { bytes, from, to } of spans) {
    usage[from] = (usage[from] as number) + bytes;
    usage[to + 1] = (usage[to + 1] as number) - bytes;
  }
  for (let t = 1; t < usage.length; t++) usage[t] = (usage[t] as number) + (usage[t - 1] as number);
  return usage;
}

class Search {
  private readonly of: ReadonlyMap<Value, Candidate>;

  constructor(
    private readonly p: Problem,
    private readonly lives: ReadonlyMap<Value, Life>,
    private readonly turn: number,
    private readonly before: number,
    private readonly candidates: readonly Candidate[],
  ) {
    this.of = new Map(candidates.map((c) => [c.value, c]));
  }

  /** Adds or removes the value that lowers the height most, until none does; then keeps what need not be made again. */
  run(): Candidate[] {
    const chosen = new Set<Candidate>();
    let cost = 0;
    let height = this.height(chosen);
    for (;;) {
      let best: Candidate | undefined;
      for (const c of this.candidates) {
        if (!chosen.has(c) && cost + c.cost > this.p.budget) continue;
        const next = this.height(toggled(chosen, c));
        if (next < height * (1 - 1e-9)) [best, height] = [c, next];
      }
      if (!best) break;
      cost += chosen.has(best) ? -best.cost : best.cost;
      toggle(chosen, best);
    }
    const peak = this.peak(chosen);
    for (const c of [...chosen].sort((a, b) => b.cost - a.cost))
      if (this.peak(toggled(chosen, c)) <= peak) chosen.delete(c);
    return this.candidates.filter((c) => chosen.has(c));
  }

  peak(chosen: ReadonlySet<Candidate>): number {
    return Math.max(...this.usage(chosen));
  }

  /** A smooth stand-in for the peak, which also falls if one of several equal peaks does. */
  private height(chosen: ReadonlySet<Candidate>): number {
    let total = 0;
    for (const bytes of this.usage(chosen)) {
      const x = (bytes / this.before) ** 2;
      const [x2, x4] = [x * x, x * x * x * x];
      total += x4 * x4 * x2; // the 20th power
    }
    return total;
  }

  private usage(chosen: ReadonlySet<Candidate>): Float64Array {
    const made = new Map<Value, number>(); // chosen value -> the region for which it is made again
    const until = new Map<Value, number>(); // value that is kept longer -> the region for which it is read
    const need = (v: Value, region: number): void => {
      const c = this.of.get(v);
      if (!c || !chosen.has(c)) {
        if (!until.has(v) || (until.get(v) as number) < region) until.set(v, region);
        return;
      }
      if (made.has(v)) return;
      made.set(v, region);
      for (const u of c.sources) need(u, region);
    };
    for (let r = this.turn + 1; r < this.p.reads.length; r++)
      for (const v of this.p.reads[r] ?? []) if (this.of.has(v)) need(v, r);
    const spans: { bytes: number; from: number; to: number }[] = [];
    for (const [v, l] of this.lives) {
      const again = made.get(v);
      const from = runs(l.made);
      if (again !== undefined) {
        spans.push({ bytes: l.bytes, from, to: runs(l.early) });
        spans.push({ bytes: l.bytes, from: 2 * again, to: runs(l.last) });
      } else spans.push({ bytes: l.bytes, from, to: Math.max(runs(l.last), 2 * (until.get(v) ?? 0)) });
    }
    return profile(spans, this.p.reads.length);
  }
}

function toggle<T>(set: Set<T>, x: T): void {
  if (!set.delete(x)) set.add(x);
}

function toggled<T>(set: ReadonlySet<T>, x: T): Set<T> {
  const copy = new Set(set);
  toggle(copy, x);
  return copy;
}
