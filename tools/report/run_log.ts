// Reads a run's metrics.jsonl. A run that was restarted has lines of several processes, some of them about steps that a
// later process computed again.

import { readFileSync } from "node:fs";

export type Line = Readonly<Record<string, string | number | boolean>>;

/**
 * The records of the run that the log is about: of its last record `start`. Those of other runs in the same file are
 * left out, and `note` is called with their number. Records of versions that gave runs no id are the beginning of the
 * run if its first record `start` says that it was continued, and otherwise those of another run. If its last line is incomplete, because a process was killed while
 * it wrote it, that line is left out and `note` is called with a sentence that says so. Throws, naming file and line,
 * for any other line that is not a record.
 */
export function readLog(file: string, note: (text: string) => void): readonly Line[] {
  const text = readFileSync(file, "utf8");
  const lines = text.split("\n");
  const records: Line[] = [];
  lines.forEach((line, i) => {
    if (line === "") return;
    const record = parsed(line);
    if (record) records.push(record);
    else if (i === lines.length - 1)
      note(`${file}: its last line (${i + 1}) is incomplete, as a process that is killed leaves it; it is left out`);
    else throw new Error(`${file} line ${i + 1}: is not a record of a run`);
  });
  const { run } = records.findLast((l) => l.event === "start") ?? {};
  if (run === undefined) return records; // written by an earlier version
  const first = records.find((l) => l.run === run && l.event === "start") as Line;
  const continued = Number(first.from_samples) > 0 || Number(first.from_run_step) > 0;
  const own = records.filter((l) => l.run === run || (continued && l.run === undefined));
  const unnamed = own.filter((l) => l.run === undefined).length;
  if (unnamed > 0)
    note(
      `${file}: ${unnamed} records without a run's id are taken for the beginning of run ${run}, which was continued`,
    );
  const others = records.length - own.length;
  if (others > 0) note(`${file}: ${others} records of other runs are left out; the page shows run ${run}`);
  return own;
}

function parsed(line: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Line) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The records that count. A process says in its record `start` where the run goes on; what earlier processes wrote
 * about later steps and epochs is left out, because this process computes them again.
 */
export function counted(lines: readonly Line[]): readonly Line[] {
  let kept: Line[] = [];
  for (const line of lines) {
    const { from_samples: samples, from_epoch: epoch } = line;
    if (line.event === "start" && typeof samples === "number" && typeof epoch === "number")
      kept = kept.filter((l) =>
        l.event === "train"
          ? (l.samples as number) <= samples
          : l.event === "epoch" || l.event === "evaluate" || l.event === "health"
            ? (l.epoch as number) < epoch
            : true,
      );
    kept.push(line);
  }
  return kept;
}
