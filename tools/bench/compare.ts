// One comparison of npm run bench, and what it says.

import { alternate } from "./alternate.js";

/** One line of the result. A ratio above 1 means that we are better. */
export interface Entry {
  readonly name: string;
  readonly ours: number;
  readonly peer: number;
  readonly peer_name: string;
  readonly ratio: number;
  readonly goal: number | null; // of the ratio
  readonly unit: string;
  readonly spread: number | null; // the distance of the ratio's quartiles, relative to it
}

export interface Options {
  readonly seconds: number; // for each comparison
  readonly threads: number;
  readonly say: (line: string) => void;
  /** Called when a comparison begins; what it returns is called at its end, with our processor seconds. */
  readonly watched: () => (own: number) => void;
}

const percent = (share: number): string => `${Math.round(100 * share)} %`;

/** Measures two ways in turns, and says the result. */
export async function compared(
  name: string,
  ours: () => Promise<unknown>,
  peer: () => Promise<unknown>,
  peer_name: string,
  goal: number | null,
  o: Options,
): Promise<Entry> {
  const [end, used] = [o.watched(), process.cpuUsage()];
  const t = await alternate(ours, peer, o.seconds);
  const { user, system } = process.cpuUsage(used);
  end((user + system) / 1e6);
  const [a, b] = [t.ours, t.peer].map((ms) => `${ms.toFixed(2)} ms`.padStart(12)) as [string, string];
  o.say(`${name.padEnd(40)}${a}${b}  ratio ${t.ratio.toFixed(2)}, quartiles ${percent(t.spread)} apart`);
  return { name, ours: t.ours, peer: t.peer, peer_name, ratio: t.ratio, goal, unit: "ms", spread: t.spread };
}
