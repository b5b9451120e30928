// Where the time of a run goes: each process of it appends lines of JSON to the file $MOPROC_TIMES, if there is one.

import { appendFileSync, readFileSync } from "node:fs";

/**
 * CPU seconds, user and system, of this process and of the children it has waited for; 0 where there is no /proc. Linux
 * counts hundredths of a second.
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

/** Appends a record: a part of the run, what in it, and its wall and CPU seconds. */
export function record(part, name, wall, cpu) {
  const log = process.env.MOPROC_TIMES;
  if (log) appendFileSync(log, `${JSON.stringify({ part, name, wall, cpu })}\n`);
}
