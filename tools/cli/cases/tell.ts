// What a run of test cases prints: a line per case on stdout, and on stderr how far it is.

import { progressLine } from "../progress.js";
import type { Result, Status } from "./prepare.js";

const EVERY = 10_000; // ms between lines of progress where there is no terminal
const statuses: readonly Status[] = ["passed", "failed", "unsupported", "error"];

/** The number of results of each status. */
export const summaryOf = (results: readonly Result[]): Readonly<Record<Status, number>> =>
  Object.fromEntries(statuses.map((s) => [s, results.filter((r) => r.status === s).length])) as Record<Status, number>;

/** A number with two digits, as in 1.2e-7. */
export const short = (x: number): string => (x === 0 ? "0" : Number(x.toPrecision(2)).toString());

/** The line of a reason that says most: a compiler's message begins with its command. */
export function firstLine(reason: string): string {
  const lines = reason.split("\n");
  return lines.find((l) => /\berror\b/i.test(l)) ?? (lines[0] as string);
}

/** The line of a case. */
export function lineOf(r: Result): string {
  const constants = r.constants ? `; inputs as constants: ${r.constants.join(", ")}` : "";
  const said =
    r.status === "passed"
      ? `largest error ${short(r.error ?? 0)}, ${short(100 * (r.share ?? 0))} % of the tolerance${constants}`
      : `${r.operator}: ${firstLine(r.reason ?? "")}${constants}`;
  return `${r.status.padEnd(11)} ${r.name}: ${said}\n`;
}

export class Teller {
  readonly results: Result[] = [];
  private readonly progress = progressLine("cases");
  private told = Date.now();

  constructor(private readonly count: number) {}

  add(r: Result): void {
    this.results.push(r);
    process.stdout.write(lineOf(r));
    if (process.stderr.isTTY && !process.stdout.isTTY) this.progress.update(this.results.length, this.count);
    if (process.stderr.isTTY || Date.now() - this.told < EVERY) return;
    this.told = Date.now();
    process.stderr.write(`${this.results.length} of ${this.count} cases\n`);
  }

  end(): void {
    this.progress.end();
  }
}
