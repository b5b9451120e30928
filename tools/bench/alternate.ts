// Compares ways to compute the same: they take turns, so that a slow phase of the machine slows all of them, and the
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

type Party = () => Promise<unknown>;

/**
 * The ms of each party, by party and round: rounds until `seconds` have passed, at least `least`, after one that does
 * not count. Who begins changes from round to round. `clock`: ms, for tests.
 */
export async function turns(
  parties: readonly Party[],
  seconds: number,
  least = LEAST,
  clock = (): number => performance.now(),
): Promise<readonly (readonly number[])[]> {
  const timed = async (f: () => Promise<unknown>): Promise<number> => {
    await sleep(REST);
    const start = clock();
    await f();
    return clock() - start;
  };
  for (const p of parties) await timed(p);
  const times = parties.map((): number[] => []);
  let rounds = 0;
  for (const end = clock() + 1e3 * seconds; clock() < end || rounds < least; rounds++) {
    const order = parties.map((_, i) => i);
    for (const i of rounds % 2 === 0 ? order : order.reverse()) times[i]?.push(await timed(parties[i] as Party));
  }
  return times;
}

/** What the times of both, round by round, say. */
export function compareTimes(ours: readonly number[], peer: readonly number[]): Times {
  const ratios = ours.map((ms, i) => (peer[i] as number) / ms);
  const ratio = quantile(ratios, 0.5);
  const spread = (quantile(ratios, 0.75) - quantile(ratios, 0.25)) / ratio;
  return { ours: quantile(ours, 0.5), peer: quantile(peer, 0.5), ratio, spread, rounds: ours.length };
}

/** The times of two parties. */
export async function alternate(ours: Party, peer: Party, seconds: number, clock?: () => number): Promise<Times> {
  const [a, b] = (await turns([ours, peer], seconds, LEAST, clock)) as [readonly number[], readonly number[]];
  return compareTimes(a, b);
}

/** The element below which `share` of the list lies. */
export function quantile(list: readonly number[], share: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number;
}

export const geometricMean = (list: readonly number[]): number =>
  Math.exp(list.reduce((s, x) => s + Math.log(x), 0) / list.length);
