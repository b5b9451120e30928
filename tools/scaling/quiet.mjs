// For machines that other processes use, too: measures their share of the cores, and waits until it is small.

import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

const TICKS = 100; // per second, in /proc/stat

/** The busy processor seconds of the whole machine since it was started. */
export function machineSeconds() {
  const [user, nice, system, , , irq, soft, steal] = readFileSync("/proc/stat", "utf8")
    .split("\n")[0]
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + soft + steal) / TICKS;
}

/**
 * Begins to watch, and returns a function. Called with the processor seconds that the caller has used since, it returns
 * the share of all cores that other processes have used.
 */
export function watch() {
  const [begin, before] = [performance.now(), machineSeconds()];
  return (own) =>
    Math.max(0, (machineSeconds() - before - own) / (((performance.now() - begin) / 1e3) * availableParallelism()));
}

/** Resolves when other processes use at most `share` of the cores for 0.4 s, or after about `limit` seconds. */
export async function untilQuiet(share, limit) {
  for (const end = performance.now() + 1e3 * limit; performance.now() < end; ) {
    const others = watch();
    await new Promise((done) => setTimeout(done, 400));
    if (others(0) <= share) return;
  }
}
