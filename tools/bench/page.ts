// docs/benchmarks/cpu.md: the results of npm run bench as tables.

import type { Entry } from "./compare.js";

export interface Machine {
  readonly cpu: string;
  readonly threads: number;
  readonly others: number; // share of the cores that other processes used, in nine of ten comparisons at most
  readonly date: string;
  readonly command: string;
}

const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

/** What was measured: a title, what the first column of numbers is, and the results. */
export interface Section {
  readonly title: string;
  readonly ours: string;
  readonly entries: readonly Entry[];
  readonly shown?: readonly string[]; // what the page has instead of a table of the entries
}

function table({ ours, entries }: Section): string[] {
  const several = new Set(entries.map((e) => e.peer_name)).size > 1;
  const lines = entries.map((e) =>
    row([
      e.name,
      ...[e.ours, e.peer].map((x) => `${x.toFixed(["MB", "pairs/s"].includes(e.unit) ? 0 : 2)} ${e.unit}`),
      e.ratio.toFixed(2),
      e.goal === null ? "" : `${e.goal}`,
      e.spread === null ? "" : `${Math.round(100 * e.spread)} %`,
      ...(several ? [e.peer_name] : []),
    ]),
  );
  return [
    row([
      "",
      ours,
      several ? "peer" : (entries[0]?.peer_name ?? "peer"),
      "ratio",
      "goal",
      "spread",
      ...(several ? ["peer"] : []),
    ]),
    `| --- | --: | --: | --: | --: | --: |${several ? " --- |" : ""}`,
    ...lines,
  ];
}

export function benchPage(sections: readonly Section[], m: Machine): string {
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
    "Both sides ran in turns, ONNX Runtime in the same process on the same data, PyTorch in another. A ratio is the",
    "median of the peer's time divided by ours, so above 1 we are faster; for memory it is the peer's peak divided by",
    "ours, for rates ours divided by the peer's. The spread is the distance between the quartiles of the ratio,",
    "relative to it. Times contain what a caller waits for: inputs and outputs are copied. Of several peers the",
    "fastest counts; beside our bf16 that may be one in f32.",
    "",
    ...sections.flatMap((s) => [`## ${s.title}`, "", ...(s.shown ?? table(s)), ""]),
  ].join("\n");
}
