// Gives every value a place in memory. A state is updated in place if no later launch reads the old value. Gradients
// have their own arena, in the order of the optimizer's launches. All other values share the work arena: two of them
// may have the same memory if they are not needed at the same time.

import { byteSize, elements, type Graph, type Value } from "../ir/types.js";
import { alignUp } from "../util/math.js";
import { type Interval, layOut } from "./offsets.js";
import { ALIGN, type Arena, type CollectiveName, roomOf } from "./plan.js";
import type { Lowered } from "./select.js";
import { isView, viewOf } from "./views.js";

export interface Place {
  readonly arena: Arena;
  readonly offset: number; // bytes
}

/** A program whose memory is planned. Its steps run in order; it copies what could not be computed in place. */
export interface Placed {
  readonly steps: readonly PlacedStep[];
  readonly place: ReadonlyMap<Value, Place>;
  readonly gradBytes: number;
  readonly ioBytes: number;
  readonly workBytes: number;
  readonly liveBytesMax: number;
}
export type PlacedStep =
  | { readonly do: "launch"; readonly launch: Lowered; readonly workspace: number }
  | { readonly do: "copy"; readonly from: Value; readonly to: Value }
  | {
      readonly do: "collective";
      readonly op: CollectiveName;
      readonly from: Value;
      readonly to: Value;
      readonly name: string;
    }
  | { readonly do: "await" };

/**
 * The order of states and their mirrors in the state arena. The states that are the same argument of several flat
 * launches of one kernel come first, in the order of the launches, so that they are one contiguous range.
 */
export function layOutState(programs: readonly (readonly Lowered[])[], states: readonly Value[]): Value[] {
  const byName = new Map(states.map((s) => [s.name, s]));
  const order = new Set<Value>();
  for (const launches of programs) {
    const columns = new Map<string, Value[]>();
    for (const l of launches.filter((l) => l.flat)) {
      l.args.forEach((v, i) => {
        const s = byName.get(v.name);
        const key = `${l.kernel.symbol} ${i}`;
        if (s) columns.set(key, [...(columns.get(key) ?? []), s]);
      });
    }
    for (const column of columns.values()) if (column.length > 1) for (const s of column) order.add(s);
  }
  return [...new Set([...order, ...states])];
}

/**
 * Plans the memory of one program. `statePlace` has the places of all states and derived copies by name. The launches
 * of `last` run after the states are updated. Throws if an update needs the old value of a state after another update
 * has replaced it.
 */
export function planMemory(
  g: Graph,
  launches: readonly Lowered[],
  statePlace: ReadonlyMap<string, Place>,
  last: readonly Lowered[],
): Placed {
  return new Planner(g, launches, statePlace, last).run();
}

interface Copied {
  readonly from: Value;
  readonly to: Value;
}

const placed = (l: Lowered, workspace: number): PlacedStep =>
  l.collective
    ? { do: "collective", op: l.collective, from: l.reads[0] as Value, to: l.writes[0] as Value, name: l.name }
    : { do: "launch", launch: l, workspace };

class Planner {
  private readonly views = new Map<Value, { readonly of: Value; readonly offset: number }>();
  private readonly place = new Map<Value, Place>();
  private readonly slotOf = new Map<Value, Value>(); // value -> the value whose memory it overwrites
  private readonly launches: Lowered[];
  private readonly copies: Copied[] = []; // run after the launches
  private readonly copiesBefore = new Map<number, Copied[]>();
  private readonly lastUse = new Map<Value, number>();
  private readonly writer = new Map<Value, number>();
  private ioBytes = 0;
  private gradBytes = 0;

  constructor(
    private readonly g: Graph,
    launches: readonly Lowered[],
    private readonly statePlace: ReadonlyMap<string, Place>,
    private readonly last: readonly Lowered[],
  ) {
    this.launches = [...launches];
    for (const n of g.nodes) if (isView(n)) this.views.set(n.outputs[0] as Value, viewOf(n));
    launches.forEach((l, t) => {
      for (const v of l.reads) this.lastUse.set(this.base(v), t);
      for (const v of l.writes) this.writer.set(v, t);
    });
    this.keepOperands();
  }

  /**
   * A collective's operand must stay allocated until the first launch that reads its result, because that launch waits
   * for the collective.
   */
  private keepOperands(): void {
    for (const [t, l] of this.launches.entries()) {
      if (!l.collective || l.collective === "own_rows") continue;
      const results = new Set(l.writes);
      const reader = this.launches.findIndex((r, i) => i > t && r.reads.some((v) => results.has(this.base(v))));
      for (const v of l.reads)
        this.lastUse.set(
          this.base(v),
          Math.max(this.lastUse.get(this.base(v)) ?? t, reader < 0 ? this.launches.length : reader),
        );
    }
  }

  run(): Placed {
    for (const s of this.g.state) this.place.set(s, this.statePlace.get(s.name) as Place);
    for (const v of this.g.inputs) this.placeIo(v);
    this.placeDerived();
    this.placeUpdates();
    this.placeGradients();
    this.placeOutputs();
    const work = this.placeWork();
    for (const [v, view] of this.views) this.placeView(v, view);
    return { ...work, place: this.place, gradBytes: this.gradBytes, ioBytes: this.ioBytes };
  }

  private base(v: Value): Value {
    const view = this.views.get(v);
    return view ? this.base(view.of) : v;
  }

  private placeIo(v: Value): void {
    this.place.set(v, { arena: "io", offset: this.ioBytes });
    this.ioBytes += alignUp(byteSize(v.type), ALIGN);
  }

  /** Places the packed copies of states that this program reads, and the mirrors that it writes. */
  private placeDerived(): void {
    for (const l of [...this.launches, ...this.last]) {
      for (const v of [...l.reads, ...l.writes]) {
        const at = this.statePlace.get(v.name);
        if (at && (l.mirrors.has(v) || !this.writer.has(v))) this.place.set(v, at);
      }
    }
  }

  private placeUpdates(): void {
    const end = this.launches.length;
    // An old state that is an output or the new value of a state is read at the end.
    const late = [...this.g.outputs, ...this.g.updates.values()];
    for (const v of late) if (!this.writer.has(v)) this.lastUse.set(this.base(v), end);
    for (const [s, v] of this.g.updates) {
      const t = this.writer.get(v);
      const writer = t === undefined ? undefined : this.launches[t];
      const readLater = (this.lastUse.get(s) ?? -1) > (t ?? -1);
      const readThen = writer?.reads.some((r) => this.base(r) === s);
      const inPlace = writer && !readLater && (!readThen || writer.mayOverwrite.get(v)?.includes(s));
      if (inPlace && !this.place.has(v)) this.place.set(v, this.place.get(s) as Place);
      else this.copies.push({ from: v, to: s });
    }
    const fromState = (c: { from: Value }): boolean => this.place.get(this.base(c.from))?.arena === "state";
    this.copies.sort((a, b) => Number(fromState(b)) - Number(fromState(a)));
    for (const [i, c] of this.copies.entries()) {
      const stale = this.copies.slice(0, i).find((before) => before.to === this.base(c.from));
      if (stale)
        throw new Error(
          `${this.g.name}: %${c.to.name} needs the old value of %${stale.to.name}, which another update replaces`,
        );
    }
  }

  /** Places the full-size operands of flat launches that are not states in the gradient arena, in launch order. */
  private placeGradients(): void {
    this.launches.forEach((l, t) => {
      if (!l.flat) return;
      const full = byteSize((l.writes[0] as Value).type);
      for (const v of l.reads) {
        const scalar = elements(v.type.shape) === 1 && full > byteSize(v.type);
        if (scalar || this.place.get(v)?.arena === "state" || byteSize(v.type) !== full) continue;
        const at: Place = { arena: "grad", offset: this.gradBytes };
        this.gradBytes += roomOf(v.type);
        const base = this.base(v);
        const whole = byteSize(base.type) === full && !this.g.outputs.includes(base);
        if (whole && this.writer.has(base) && !this.place.has(base)) {
          this.place.set(base, at);
          this.reduceInPlace(base, at);
        } else this.copyBefore(t, v, at);
      }
    });
  }

  /** Places the operand of a gradient's all-reduce where its result is, unless something else reads the operand. */
  private reduceInPlace(sum: Value, at: Place): void {
    const t = this.writer.get(sum) as number;
    const l = this.launches[t] as Lowered;
    if (l.collective !== "all_reduce") return;
    const own = this.base(l.reads[0] as Value);
    const last = !this.launches.some((r, i) => i > t && r.reads.some((v) => this.base(v) === own));
    const free = this.writer.has(own) && !this.place.has(own) && last && !this.g.outputs.includes(own);
    if (free && byteSize(own.type) === byteSize(sum.type)) this.place.set(own, at);
  }

  /** Lets step t read a copy of `from` at `at`: for views, inputs, and gradients that two parameters share. */
  private copyBefore(t: number, from: Value, at: Place): void {
    const to: Value = { name: `${from.name}.at_${at.offset}`, type: from.type };
    this.place.set(to, at);
    const l = this.launches[t] as Lowered;
    const swap = (v: Value): Value => (v === from ? to : v);
    this.launches[t] = { ...l, args: l.args.map(swap), reads: l.reads.map(swap) };
    this.copiesBefore.set(t, [...(this.copiesBefore.get(t) ?? []), { from, to }]);
  }

  private placeOutputs(): void {
    for (const v of this.g.outputs) {
      if (this.writer.has(v) && !this.place.has(v) && !this.views.has(v)) this.placeIo(v);
      else if (this.place.get(v)?.arena !== "io" || this.g.inputs.includes(v)) {
        const to: Value = { name: `${v.name}.out`, type: v.type };
        this.placeIo(to);
        this.copies.unshift({ from: v, to }); // first, because v may be a state that another copy changes
      }
    }
  }

  private placeWork(): Pick<Placed, "steps" | "workBytes" | "liveBytesMax"> {
    const end = this.launches.length;
    for (const c of this.copies) this.lastUse.set(this.base(c.from), end);
    const spans = new Map<Value, { bytes: number; first: number; last: number }>();
    this.launches.forEach((l, t) => {
      for (const v of l.writes) {
        if (this.place.has(v)) continue;
        const last = this.lastUse.get(v) ?? t;
        const victim = l.mayOverwrite.get(v)?.find((u) => this.dies(u, t, spans));
        if (victim) {
          const slot = this.slotOf.get(victim) ?? victim;
          this.slotOf.set(v, slot);
          const span = spans.get(slot) as { last: number };
          span.last = Math.max(span.last, last);
          this.lastUse.set(victim, -1); // no other value may overwrite it
        } else spans.set(v, { bytes: byteSize(v.type), first: t, last });
      }
    });
    const values = [...spans.keys()];
    const workspaces = this.launches.map((l, t) => ({ bytes: l.shape.workspaceBytes, first: t, last: t }));
    const tail = this.last.map((l) => ({ bytes: l.shape.workspaceBytes, first: end + 1, last: end + 1 }));
    const intervals: Interval[] = [...spans.values(), ...workspaces, ...tail];
    const used = intervals.map((i, k) => ({ i, k })).filter(({ i }) => i.bytes > 0);
    const layout = layOut(used.map(({ i }) => i));
    const offsets = new Map(used.map(({ k }, j) => [k, layout.offsets[j] as number]));
    values.forEach((v, k) => this.place.set(v, { arena: "work", offset: offsets.get(k) ?? 0 }));
    for (const [v, slot] of this.slotOf) this.place.set(v, this.place.get(slot) as Place);
    const workspaceOf = (k: number): number => offsets.get(values.length + k) ?? 0;
    const steps: PlacedStep[] = this.launches.flatMap((launch, t) => [
      ...this.copiesAhead(t).map(({ from, to }) => ({ do: "copy", from, to }) as const),
      placed(launch, workspaceOf(t)),
    ]);
    for (const { from, to } of this.copies) steps.push({ do: "copy", from, to });
    this.last.forEach((launch, t) => steps.push({ do: "launch", launch, workspace: workspaceOf(end + t) }));
    return { steps, workBytes: layout.total, liveBytesMax: layout.lowerBound };
  }

  /**
   * The copies to run before step t. Those of a run of flat launches run before the first of them if they can, so that
   * the run can become one launch.
   */
  private copiesAhead(t: number): Copied[] {
    const flat = (i: number): boolean => this.launches[i]?.flat === true;
    if (!flat(t)) return this.copiesBefore.get(t) ?? [];
    let [first, end] = [t, t + 1];
    while (flat(first - 1)) first--;
    while (t === first && flat(end)) end++;
    const made = (c: Copied): number => this.writer.get(this.base(c.from)) ?? -1;
    const own = (this.copiesBefore.get(t) ?? []).filter((c) => made(c) >= first); // of values that the run writes
    const early = Array.from({ length: t === first ? end - t : 0 }, (_, i) => this.copiesBefore.get(t + i) ?? []);
    return [...early.flat().filter((c) => made(c) < first), ...own];
  }

  /** Whether u is a value in the work arena that is read last at step t, and that no other value has overwritten. */
  private dies(u: Value, t: number, spans: ReadonlyMap<Value, unknown>): boolean {
    const own = spans.has(u) || this.slotOf.has(u);
    return own && !this.views.has(u) && this.lastUse.get(u) === t && !this.g.outputs.includes(u);
  }

  private placeView(v: Value, view: { readonly of: Value; readonly offset: number }): Place {
    const known = this.place.get(v);
    if (known) return known;
    const under = this.views.get(view.of);
    const base = under ? this.placeView(view.of, under) : this.place.get(view.of);
    if (!base) throw new Error(`internal: memory: %${v.name} is a view of %${view.of.name}, which has no place`);
    const at = { arena: base.arena, offset: base.offset + view.offset };
    this.place.set(v, at);
    return at;
  }
}
