// docs/benchmarks/cpu.md: the results of npm run bench as tables.

import type { Entry } from "./main.js";

export interface Machine {
  readonly cpu: string;
  readonly threads: number;
  readonly others: number; // share of the cores that other processes used, in nine of ten comparisons at most
  readonly date: string;
  readonly command: string;
}

const number = (x: number | null, digits = 2): string => (x === null ? "" : x.toFixed(digits));
const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

function table(entries: readonly Entry[]): string[] {
  const lines = entries.map((e) =>
    row([
      e.name,
      `${number(e.ours, e.unit === "MB" ? 0 : 2)} ${e.unit}`,
      e.peer === null ? "" : `${number(e.peer, e.unit === "MB" ? 0 : 2)} ${e.unit}`,
      number(e.ratio),
      e.goal === null ? "" : `${e.goal}`,
      e.spread === null ? "" : `${Math.round(100 * e.spread)} %`,
    ]),
  );
  const peer = entries.find((e) => e.peer_name)?.peer_name ?? "peer";
  return [row(["", "moproc", peer, "ratio", "goal", "spread"]), "| --- | --: | --: | --: | --: | --: |", ...lines];
}

/** `sections`: titles with their results. */
export function benchPage(sections: ReadonlyMap<string, readonly Entry[]>, m: Machine): string {
  const share = `up to ${Math.round(100 * m.others)} % of the cores meanwhile`;
  return [
    "# Measured on CPUs",
    "",
    `\`${m.command}\` wrote this page on ${m.date}.`,
    "",
    `- CPU: ${m.cpu}, ${m.threads} threads`,
    m.others < 0.1
      ? `- other processes used ${share}`
      : `- **other processes used ${share}: these numbers mean little**`,
    "",
    "Both sides ran in turns in one process on the same data. A ratio is the median of the peer's time divided by",
    "ours, so above 1 we are faster; for memory it is the peer's peak divided by ours. The spread is the distance",
    "between the quartiles of the ratio, relative to it. Times contain what a caller waits for: inputs and outputs",
    "are copied.",
    "",
    ...[...sections].flatMap(([title, entries]) => [`## ${title}`, "", ...table(entries), ""]),
  ].join("\n");
}
