// Static memory layout: assigns an offset to each interval. It tries several greedy orders and takes the one with the
// smallest total. The lower bound is the largest sum of the sizes that are needed at one step.

import { alignUp } from "../util/math.js";
import { ALIGN } from "./plan.js";

/** Bytes needed during steps first..last, both included. */
export interface Interval {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

export interface Layout {
  readonly offsets: readonly number[]; // bytes, of each interval, multiples of ALIGN
  readonly total: number;
  readonly lowerBound: number;
}

/** Offsets such that no two intervals with a common step overlap; sizes are rounded up to multiples of ALIGN. */
export function layOut(intervals: readonly Interval[]): Layout {
  const sized = intervals.map((i) => ({ ...i, bytes: alignUp(Math.max(i.bytes, 1), ALIGN) }));
  const orders: ((a: Interval, b: Interval) => number)[] = [
    (a, b) => b.bytes - a.bytes || a.first - b.first,
    (a, b) => b.bytes * (b.last - b.first + 1) - a.bytes * (a.last - a.first + 1) || a.first - b.first,
    (a, b) => b.last - b.first - (a.last - a.first) || b.bytes - a.bytes,
    (a, b) => a.first - b.first || b.last - a.last,
  ];
  const lowerBound = peak(sized);
  let best: Layout | undefined;
  for (const order of orders) {
    const layout = place(sized, order);
    if (!best || layout.total < best.total) best = { ...layout, lowerBound };
    if (best.total === lowerBound) break;
  }
  return best as Layout;
}

/**
 * Places the intervals in the given order. Each takes the smallest gap that holds it between those placed before that
 * have a step in common with it; of equal gaps the lowest.
 */
function place(
  intervals: readonly Interval[],
  order: (a: Interval, b: Interval) => number,
): Omit<Layout, "lowerBound"> {
  const offsets = new Array<number>(intervals.length).fill(0);
  const placed: number[] = []; // indices, sorted by offset
  const todo = intervals.map((_, i) => i).sort((a, b) => order(intervals[a] as Interval, intervals[b] as Interval));
  let total = 0;
  for (const i of todo) {
    const it = intervals[i] as Interval;
    let end = 0;
    let best = -1;
    let bestGap = Number.POSITIVE_INFINITY;
    for (const j of placed) {
      const other = intervals[j] as Interval;
      if (other.last < it.first || other.first > it.last) continue;
      const at = offsets[j] as number;
      const gap = at - end;
      if (gap >= it.bytes && gap < bestGap) {
        best = end;
        bestGap = gap;
      }
      end = Math.max(end, at + other.bytes);
    }
    const offset = best >= 0 ? best : end;
    offsets[i] = offset;
    total = Math.max(total, offset + it.bytes);
    const where = placed.findIndex((j) => (offsets[j] as number) > offset);
    placed.splice(where < 0 ? placed.length : where, 0, i);
  }
  return { offsets, total };
}

/** The largest sum of bytes needed at one step. */
export function peak(intervals: readonly Interval[]): number {
  const change = new Map<number, number>();
  for (const { bytes, first, last } of intervals) {
    change.set(first, (change.get(first) ?? 0) + bytes);
    change.set(last + 1, (change.get(last + 1) ?? 0) - bytes);
  }
  let now = 0;
  let max = 0;
  for (const step of [...change.keys()].sort((a, b) => a - b)) {
    now += change.get(step) as number;
    max = Math.max(max, now);
  }
  return max;
}
