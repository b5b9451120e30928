// Compares two ways to compute the same: they take turns, so that a slow phase of the machine slows both, and the
// figures are medians.

import { setTimeout as sleep } from "node:timers/promises";

export interface Times {
  readonly ours: number; // ms, the median
  readonly peer: number; // ms, the median
  readonly ratio: number; // the median of peer / ours over the rounds: above 1 we are faster
  readonly spread: number; // of the ratio: the distance of its quartiles, relative to the median
  readonly rounds: number;
}

const REST = 3; // ms before each turn, so that the threads of the other have stopped to spin
const LEAST = 9; // rounds

/** Rounds until `seconds` have passed, after one of each that does not count. `clock`: ms, for tests. */
export async function alternate(
  ours: () => Promise<unknown>,
  peer: () => Promise<unknown>,
  seconds: number,
  clock = (): number => performance.now(),
): Promise<Times> {
  const timed = async (f: () => Promise<unknown>): Promise<number> => {
    await sleep(REST);
    const start = clock();
    await f();
    return clock() - start;
  };
  await timed(ours);
  await timed(peer);
  const rounds: { readonly ours: number; readonly peer: number }[] = [];
  for (const end = clock() + 1e3 * seconds; clock() < end || rounds.length < LEAST; ) {
    const first = rounds.length % 2 === 0; // who begins changes from round to round
    const [a, b] = [await timed(first ? ours : peer), await timed(first ? peer : ours)];
    rounds.push(first ? { ours: a, peer: b } : { ours: b, peer: a });
  }
  const ratios = rounds.map((r) => r.peer / r.ours);
  const ratio = quantile(ratios, 0.5);
  return {
    ours: quantile(
      rounds.map((r) => r.ours),
      0.5,
    ),
    peer: quantile(
      rounds.map((r) => r.peer),
      0.5,
    ),
    ratio,
    spread: (quantile(ratios, 0.75) - quantile(ratios, 0.25)) / ratio,
    rounds: rounds.length,
  };
}

/** The element below which `share` of the list lies. */
export function quantile(list: readonly number[], share: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number;
}

export const geometricMean = (list: readonly number[]): number =>
  Math.exp(list.reduce((s, x) => s + Math.log(x), 0) / list.length);
