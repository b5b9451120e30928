// What npm run conformance shows of the results of `moproc run --cases`: counts by folder, and a page by operator.

import type { Result, Status } from "../cli/cases/prepare.js";
import { firstLine, short } from "../cli/cases/tell.js";

const statuses: readonly Status[] = ["passed", "unsupported", "failed", "error"];
const heads = ["passed", "refused", "wrong", "errors"];

const count = (results: readonly Result[], status: Status): number => results.filter((r) => r.status === status).length;

/** The results by a key, in the order of keys. */
function grouped(results: readonly Result[], keyOf: (r: Result) => string): [string, Result[]][] {
  const groups = new Map<string, Result[]>();
  for (const r of results) groups.set(keyOf(r), [...(groups.get(keyOf(r)) ?? []), r]);
  return [...groups].toSorted(([a], [b]) => a.localeCompare(b, "en"));
}

const folderOf = (r: Result): string => r.name.split("/").slice(0, -1).join("/") || ".";
/** The folder without the release, which only old cases have. */
const kindOf = (r: Result): string => folderOf(r).split("/")[0] as string;

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "--:"))), ...rows.map(line)].join("\n");
}

/** Counts by folder and in all, as text for the terminal. */
export function countsText(results: readonly Result[]): string {
  const rows = [...grouped(results, kindOf), ["all", results] as const].map(([name, rs]) => [
    name,
    ...[rs.length, ...statuses.map((s) => count(rs, s))].map(String),
  ]);
  const all = [["folder", "cases", ...heads], ...rows];
  const widths = (all[0] as string[]).map((_, i) => Math.max(...all.map((r) => (r[i] as string).length)));
  return all
    .map((r) => r.map((c, i) => (i === 0 ? c.padEnd(widths[i] as number) : c.padStart(widths[i] as number))).join("  "))
    .map((l) => `${l}\n`)
    .join("");
}

/** Whole numbers as ranges: "7, 11-13". */
function ranges(numbers: readonly number[]): string {
  const sorted = [...new Set(numbers)].toSorted((a, b) => a - b);
  const parts: [number, number][] = [];
  for (const n of sorted) {
    const last = parts.at(-1);
    if (last && n === last[1] + 1) last[1] = n;
    else parts.push([n, n]);
  }
  return parts.map(([a, b]) => (a === b ? `${a}` : `${a}-${b}`)).join(", ");
}

const largest = (numbers: readonly number[]): string => (numbers.length === 0 ? "" : short(Math.max(...numbers)));

function operatorRow(operator: string, results: readonly Result[]): (string | number)[] {
  const passed = results.filter((r) => r.status === "passed");
  return [
    operator === "several" ? "_several_" : operator,
    ranges(results.map((r) => r.opset)),
    results.length,
    ...statuses.map((s) => count(results, s)),
    passed.filter((r) => r.folded).length,
    largest(passed.map((r) => r.error ?? 0)),
    largest(passed.map((r) => 100 * (r.share ?? 0))),
  ];
}

const refusedList = (results: readonly Result[]): string => {
  const groups = new Map<string, number>();
  for (const r of results.filter((x) => x.status === "unsupported"))
    for (const o of r.unsupported ?? ["an element type or kind of value"]) groups.set(o, (groups.get(o) ?? 0) + 1);
  const rows = [...groups].toSorted(([a, n], [b, m]) => m - n || a.localeCompare(b, "en"));
  return table(["named in the reason", "cases"], rows);
};

/** The whole page, docs/conformance.md. */
export function conformancePage(results: readonly Result[], command: string): string {
  const wrong = results.filter((r) => r.status === "failed" || r.status === "error");
  return [
    "# Conformance",
    "",
    `\`${command}\` has written this page; do not edit it. The cases are those of the ONNX project in`,
    "[test/fixtures/onnx-conformance](../test/fixtures/onnx-conformance/README.md). Each is imported, compiled for the",
    "CPU and run with its inputs (`moproc run --cases`), and its outputs are compared with the expected ones, with the",
    "ONNX project's own tolerance: |actual - expected| <= 1e-7 + 1e-3 |expected|, unless a case has another one.",
    "",
    "- **passed**: number, shapes, element types and values of the outputs agree.",
    "- **refused**: the importer or the compiler names something that is not supported. Nothing wrong is computed.",
    "- **wrong**: an output differs. **errors**: a case that could not be read, compiled or run.",
    "",
    table(
      ["folder", "cases", ...heads],
      [...grouped(results, kindOf), ["all", results] as const].map(([name, rs]) => [
        name === "all" ? "**all**" : name,
        rs.length,
        ...statuses.map((s) => count(rs, s)),
      ]),
    ),
    "",
    "## By operator",
    "",
    "A case whose name ends in `_expanded` has the operator's body of simpler operators and counts for the operator.",
    "_several_ are whole layers and small graphs. Operator sets are those of the cases. **constants**: passed cases",
    "whose outputs are known when the model is imported, because inputs that decide shapes become constants; no kernel",
    "runs for them. The largest error is absolute, and the next column has the largest error in percent of what the",
    "tolerance allows for its element.",
    "",
    table(
      ["operator", "operator sets", "cases", ...heads, "constants", "largest error", "of tolerance"],
      grouped(results, (r) => r.operator).map(([operator, rs]) => operatorRow(operator, rs)),
    ),
    "",
    "## What is not supported",
    "",
    "A case may name several operators. An operator may be named because it does not support an attribute, a version",
    "or an element type.",
    "",
    refusedList(results),
    "",
    ...(wrong.length > 0
      ? [
          "## What is wrong",
          "",
          ...wrong.map((r) => `- \`${r.name}\` (${r.operator}), ${r.status}: ${firstLine(r.reason ?? "")}`),
          "",
        ]
      : []),
  ].join("\n");
}

/** The text of expected.tsv: a line per case with its status. */
export const expectedText = (results: readonly Result[]): string =>
  results.map((r) => `${r.name}\t${r.status}\n`).join("");
