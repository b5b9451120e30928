// Decides when collectives begin and where launches wait for them. Gradients are all-reduced in place in the gradient
// arena, in buckets of neighbours. The all-reduce of a bucket begins as soon as the backward pass has written all of
// its gradients, so that communication overlaps with the rest of the backward pass. The first launch that needs a
// result of a collective waits for all collectives begun before; until then their operands must stay allocated
// (memory.ts).

import { byteSize, elements, type Value } from "../ir/types.js";
import { all_reduce, own_rows } from "../ops/collective.js";
import type { Place, PlacedStep } from "./memory.js";
import { roomOf } from "./plan.js";

/** A bucket has at least this many bytes of gradients, if there are enough; docs/scaling.md compares sizes. */
export const BUCKET_BYTES = 32 << 20;

export interface Scheduled {
  readonly steps: readonly PlacedStep[];
  readonly place: ReadonlyMap<Value, Place>; // of all values, including the buckets
}

type CollectiveStep = Extract<PlacedStep, { readonly do: "collective" }>;

/**
 * The steps with all-reduces of gradients joined into buckets of about `bucketBytes` bytes, and with `await` steps
 * inserted. `place` is not changed. Steps without a collective are returned as they are.
 */
export function scheduleCollectives(
  steps: readonly PlacedStep[],
  place: ReadonlyMap<Value, Place>,
  bucketBytes = BUCKET_BYTES,
): Scheduled {
  if (!steps.some((s) => s.do === "collective")) return { steps, place };
  const places = new Map(place);
  return { steps: withAwaits(bucketed(steps, places, bucketBytes), places), place: places };
}

/** A gradient's place in its arena, in bytes. */
export interface Extent {
  readonly offset: number;
  readonly room: number; // its size with the gap after it
}

/** A reduction in place in the gradient arena. */
interface Member extends Extent {
  readonly step: CollectiveStep;
  readonly made: number; // index of the last step that writes the operand
}

/**
 * The steps with the all-reduces in the gradient arena replaced by all-reduces of ranges of it. Each begins right after
 * the step that writes the last of its operands.
 */
function bucketed(steps: readonly PlacedStep[], places: Map<Value, Place>, bucketBytes: number): PlacedStep[] {
  const isMember = (s: PlacedStep): s is CollectiveStep =>
    s.do === "collective" &&
    s.op === all_reduce.name &&
    places.get(s.to)?.arena === "grad" &&
    places.get(s.from)?.offset === places.get(s.to)?.offset;
  const written = steps.map((s) =>
    s.do === "launch" ? s.launch.writes.filter((v) => places.get(v)?.arena === "grad") : [],
  );
  const members = steps.filter(isMember).map((step): Member => {
    const made = written.findLastIndex((vs) => vs.some((v) => overlap(v, step.to, places)));
    return { step, made, offset: (places.get(step.to) as Place).offset, room: roomOf(step.to.type) };
  });
  const reduced = new Set(members.map((m) => m.offset));
  const others = written
    .flat()
    .map((v) => (places.get(v) as Place).offset)
    .filter((offset) => !reduced.has(offset));
  const buckets = cut(members, others, bucketBytes);
  return steps.flatMap((s, i) => [
    ...(isMember(s) ? [] : [s]),
    ...buckets.filter((b) => Math.max(...b.map((m) => m.made)) === i).map((b) => joined(b, places)),
  ]);
}

/**
 * Divides the reductions into buckets of neighbours. It begins at the end of the arena, because the backward pass
 * writes the end first, and starts a new bucket when one has `bucketBytes` bytes. `others` are the offsets of gradients
 * that must not be reduced; no bucket contains one. A gap between two members that is none of `others` is filled later
 * with a copy of a gradient that is reduced elsewhere, so it may be part of a bucket.
 */
export function cut<M extends Extent>(
  members: readonly M[],
  others: readonly number[],
  bucketBytes = BUCKET_BYTES,
): M[][] {
  const buckets: M[][] = [];
  for (const m of members.toSorted((a, b) => b.offset - a.offset)) {
    const last = buckets.at(-1);
    const [next, end] = [last?.[0], last?.at(-1)];
    const full = next && end && end.offset + end.room - next.offset >= bucketBytes;
    if (last && next && !full && !others.some((o) => m.offset < o && o < next.offset)) last.unshift(m);
    else buckets.push([m]);
  }
  return buckets;
}

function joined(bucket: readonly Member[], places: Map<Value, Place>): CollectiveStep {
  const [first, last] = [bucket[0] as Member, bucket.at(-1) as Member];
  if (first === last) return first.step;
  const own = last.step.to.type;
  const size = (last.offset - first.offset) / byteSize({ ...own, shape: [] }) + elements(own.shape);
  const range: Value = {
    name: `${first.step.to.name} .. ${last.step.to.name}`,
    type: { dtype: own.dtype, shape: [size] },
  };
  places.set(range, { arena: "grad", offset: first.offset });
  return { ...first.step, from: range, to: range, name: range.name };
}

function withAwaits(steps: readonly PlacedStep[], places: ReadonlyMap<Value, Place>): PlacedStep[] {
  const out: PlacedStep[] = [];
  let [sent, made]: [Value[], Value[]] = [[], []]; // operands and results of collectives that may not have ended
  const isOf =
    (list: readonly Value[]) =>
    (v: Value): boolean =>
      list.some((p) => overlap(v, p, places));
  for (const s of steps) {
    const begins = s.do === "collective" && s.op !== own_rows.name;
    const { reads, writes } = touched(s);
    if (writes.some(isOf(sent)) || [...reads, ...writes].some(isOf(made))) {
      out.push({ do: "await" });
      [sent, made] = [[], []];
    }
    out.push(s);
    if (begins) {
      sent.push(s.from);
      made.push(s.to);
    }
  }
  if (made.length > 0) out.push({ do: "await" });
  return out;
}

function touched(s: PlacedStep): { readonly reads: readonly Value[]; readonly writes: readonly Value[] } {
  if (s.do === "launch") return s.launch;
  return s.do === "await" ? { reads: [], writes: [] } : { reads: [s.from], writes: [s.to] };
}

function overlap(v: Value, w: Value, places: ReadonlyMap<Value, Place>): boolean {
  const [a, b] = [places.get(v), places.get(w)];
  if (!a || !b || a.arena !== b.arena) return false;
  return a.offset < b.offset + byteSize(w.type) && b.offset < a.offset + byteSize(v.type);
}
