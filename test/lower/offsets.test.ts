// Memory layout: tensors that are needed at the same time never overlap, and the total is close to the lower bound.

import test from "ava";
import { type Interval, layOut, peak } from "../../compiler/lower/offsets.js";
import { ALIGN } from "../../compiler/lower/plan.js";

/** A small deterministic generator; uniform in [0, 1). */
function random(seed: number): () => number {
  let s = seed;
  return () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return s / 2 ** 32;
  };
}

function overlapping(intervals: readonly Interval[], offsets: readonly number[]): [number, number] | undefined {
  for (const [i, a] of intervals.entries())
    for (const [j, b] of intervals.entries()) {
      const together = i < j && a.first <= b.last && b.first <= a.last;
      const [x, y] = [offsets[i] as number, offsets[j] as number];
      if (together && x < y + b.bytes && y < x + a.bytes) return [i, j];
    }
  return undefined;
}

test("contemporaries never overlap, for random intervals", (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const r = random(seed);
    const intervals = Array.from({ length: 1 + Math.floor(r() * 60) }, () => {
      const first = Math.floor(r() * 50);
      return { bytes: Math.floor(r() * 5000), first, last: first + Math.floor(r() * r() * 30) };
    });
    const layout = layOut(intervals);
    t.is(overlapping(intervals, layout.offsets), undefined, `seed ${seed}`);
    t.true(layout.offsets.every((o) => o % ALIGN === 0));
    t.true(layout.total >= layout.lowerBound);
    t.true(intervals.every((x, i) => (layout.offsets[i] as number) + x.bytes <= layout.total));
  }
});

test("a forward and backward sweep of equal tensors needs no more than its lower bound", (t) => {
  const n = 30; // activation i lives from step i to step 2n - i
  const layout = layOut(Array.from({ length: n }, (_, i) => ({ bytes: 4096, first: i, last: 2 * n - i })));
  t.is(layout.total, layout.lowerBound);
  t.is(layout.lowerBound, n * 4096);
});

test("peak is the largest sum alive at one step", (t) => {
  const at = (bytes: number, first: number, last: number): Interval => ({ bytes, first, last });
  t.is(peak([]), 0);
  t.is(peak([at(10, 0, 1), at(20, 1, 2), at(5, 3, 3)]), 30);
  t.is(peak([at(10, 0, 0), at(20, 1, 1)]), 20);
});
