// Records the times of a run: each of its processes appends lines of JSON to the file $MOPROC_TIMES, if that is set.

import { appendFileSync, readFileSync } from "node:fs";

/**
 * The CPU seconds, user and system, of this process and of the children that it has waited for; 0 without /proc. The
 * resolution on Linux is 0.01 s.
 */
export function cpuSeconds() {
  try {
    const fields = readFileSync("/proc/self/stat", "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
  } catch {
    return 0;
  }
}

/** Appends a record: a part of the run, a name in it, and its wall and CPU seconds. */
export function record(part, name, wall, cpu) {
  const log = process.env.MOPROC_TIMES;
  if (log) appendFileSync(log, `${JSON.stringify({ part, name, wall, cpu })}\n`);
}
