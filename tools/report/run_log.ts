// Reads a run's metrics.jsonl. A run that was restarted has lines of several processes, some of them about steps that a
// later process computed again.

import { readFileSync } from "node:fs";

export type Line = Readonly<Record<string, string | number | boolean>>;

/**
 * The records of the run that the log is about: of its last record `start`. Those of other runs in the same file are
 * left out, and `note` is called with their number. Records of versions that gave runs no id are the beginning of the
 * run if its first record `start` says that it was continued, and otherwise those of another run. Lines that are no
 * records, as a killed process or a full disk leaves them, are left out, and `note` is called with a sentence that says
 * so. Throws, naming the file, if it has lines and none is a record.
 */
export function readLog(file: string, note: (text: string) => void): readonly Line[] {
  const lines = readFileSync(file, "utf8").split("\n");
  const records: Line[] = [];
  const torn: number[] = []; // numbers of lines
  lines.forEach((line, i) => {
    if (line.trim() === "") return;
    const record = parsed(line);
    if (record) records.push(record);
    else torn.push(i + 1);
  });
  const [first] = torn;
  if (records.length === 0 && first !== undefined)
    throw new Error(`${file} line ${first}: is not a record of a run, and no other line is one`);
  if (torn.length === 1 && first === lines.length)
    note(`${file}: its last line (${first}) is incomplete, as a process that is killed leaves it; it is left out`);
  else if (torn.length > 0)
    note(
      `${file}: ${torn.length} of its lines are no records, as a killed process or a full disk leaves them (the ` +
        `first is line ${first}); they are left out`,
    );
  const { run } = records.findLast((l) => l.event === "start") ?? {};
  if (run === undefined) return records; // written by an earlier version
  const begun = records.find((l) => l.run === run && l.event === "start") as Line;
  const continued = Number(begun.from_samples) > 0 || Number(begun.from_run_step) > 0;
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
    return typeof (value as Line | null)?.event === "string" ? (value as Line) : undefined;
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
