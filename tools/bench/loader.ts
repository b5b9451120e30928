// The loader beside Pillow: pairs of views per core, from a folder of image files and from shards of images of 256
// pixels; and the loader over threads.

import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { root } from "../../compiler/util/root.js";
import { compareTimes, quantile } from "./alternate.js";
import type { Chart } from "./chart.js";
import type { Entry, Options } from "./compare.js";

const IMAGES = 400;
const SIDE = 400; // pixels, of the shorter side of the files; shards have 256
const WANTED = 1500; // pairs per second and core, from shards
const ROUNDS = 3;
const program = join(root, "build", "native", "moproc-data");

export interface LoaderData {
  readonly folder: string;
  readonly shards: string;
}

/** Draws images into a folder below `dir`, and packs them. */
export async function loaderData(dir: string): Promise<LoaderData> {
  const [folder, shards] = [join(dir, "folder"), join(dir, "shards")];
  const drawn = ["--classes", "10", "--images", `${IMAGES}`, "--val", "10", "--size", `${SIDE}`];
  execFileSync(program, ["sample", "--out", folder, ...drawn]);
  execFileSync(program, ["pack", folder, "--out", shards]);
  return { folder, shards };
}

/** The numbers in the line of `moproc-data bench --data`. Throws if there is none. */
export function parseLoader(text: string): { readonly perSecond: number; readonly perCore: number } {
  const m = /: (\d+) pairs\/s, (\d+) pairs per second of processor time$/m.exec(text);
  if (!m) throw new Error(`moproc-data bench printed no rate: ${text.trim()}`);
  return { perSecond: Number(m[1]), perCore: Number(m[2]) };
}

const ours = (folder: string, threads: number, seconds: number) =>
  parseLoader(
    execFileSync(program, ["bench", "--data", folder, "--threads", `${threads}`, "--seconds", `${seconds}`], {
      encoding: "utf8",
    }),
  );

/** Pillow's pairs per second of processor time, and its name; undefined, with the reason said, if it is not there. */
function pillow(python: string | undefined, folder: string, seconds: number, say: (line: string) => void) {
  if (python === undefined) return undefined;
  const script = join(root, "tools", "bench", "pillow_pairs.py");
  const r = spawnSync(python, [script, folder, `${seconds}`], { encoding: "utf8" });
  if (r.status !== 0) {
    say(`no pairs beside Pillow: ${r.stderr.trim().split("\n").at(-1)}`);
    return undefined;
  }
  const made = JSON.parse(r.stdout) as { readonly peer: string; readonly pairs: number; readonly cpu_seconds: number };
  return { name: made.peer, perCore: made.pairs / made.cpu_seconds };
}

/** Pairs per second of processor time with one thread: ours and Pillow's in turns, and ours beside what is wanted. */
export function pairs(data: LoaderData, python: string | undefined, o: Options): Entry[] {
  const entries: Entry[] = [];
  const add = (
    name: string,
    own: readonly number[],
    peer: readonly number[],
    peer_name: string,
    goal: number,
  ): void => {
    const t = compareTimes(peer, own); // the ratio of rates
    const [a, b] = [quantile(own, 0.5), quantile(peer, 0.5)];
    o.say(`${name}: ${a.toFixed(0)} pairs/s; ${peer_name}: ${b.toFixed(0)} pairs/s`);
    entries.push({ name, ours: a, peer: b, peer_name, ratio: t.ratio, goal, unit: "pairs/s", spread: t.spread });
  };
  for (const [name, folder] of [
    [`pairs per core, files of ${SIDE} pixels`, data.folder],
    ["pairs per core, shards of 256 pixels", data.shards],
  ] as const) {
    const [own, peer]: [number[], number[]] = [[], []];
    let peer_name = "";
    for (let i = 0; i < ROUNDS; i++) {
      own.push(ours(folder, 1, o.seconds).perCore);
      const theirs = pillow(python, folder, o.seconds, i === 0 ? o.say : () => {});
      if (theirs) peer.push(theirs.perCore);
      peer_name = theirs?.name ?? "";
    }
    if (peer.length === ROUNDS) add(name, own, peer, peer_name, 1);
    if (folder === data.shards)
      add(
        `${name}, beside what is wanted`,
        own,
        own.map(() => WANTED),
        `${WANTED} pairs/s`,
        1,
      );
  }
  return entries;
}

/** The loader's pairs per second by the clock, for 1 to `threads` threads. */
export function loaderOverThreads(data: LoaderData, o: Options): Chart {
  const counts = [1, 2, 4, 8, 16, 32, 64].filter((n) => n < o.threads);
  const line = (name: string, folder: string) => ({
    name,
    points: [...counts, o.threads].map((n) => [n, ours(folder, n, o.seconds).perSecond] as const),
  });
  return {
    ...{ title: "The loader over threads", x: "threads", y: "pairs/s" },
    series: [line(`files of ${SIDE} pixels`, data.folder), line("shards of 256 pixels", data.shards)],
  };
}
