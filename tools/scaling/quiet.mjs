// A machine that others use as well: how much of it they take, and waiting for a moment in which they take little.

import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

const TICKS = 100; // a second, of /proc/stat

/** Processor seconds that the whole machine has spent since it was started, on anything. */
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
 * Watches from now on: call the result with the processor seconds that were one's own; it is the share of all cores
 * that others took.
 */
export function watch() {
  const [begin, before] = [performance.now(), machineSeconds()];
  return (own) =>
    Math.max(0, (machineSeconds() - before - own) / (((performance.now() - begin) / 1e3) * availableParallelism()));
}

/** Returns when others leave the machine alone, at most `share` of it for a moment, or after `limit` seconds. */
export async function untilQuiet(share, limit) {
  for (const end = performance.now() + 1e3 * limit; performance.now() < end; ) {
    const others = watch();
    await new Promise((done) => setTimeout(done, 400));
    if (others(0) <= share) return;
  }
}
