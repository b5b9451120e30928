// What npm run conformance shows of the results of `moproc run --cases`: counts by folder, and a page by operator.

import type { Result, Status } from "../cli/cases/prepare.js";
import { firstLine, short } from "../cli/cases/tell.js";
import type { GradientResult, GradientStatus } from "./gradients.js";
import { peerCounts } from "./peer_cases.js";

type Gradients = ReadonlyMap<string, GradientResult>;

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

/** The gradients of these results with a status. */
const gradientsWith = (results: readonly Result[], gradients: Gradients, ...of: GradientStatus[]): GradientResult[] =>
  results.flatMap((r) => {
    const g = gradients.get(r.name);
    return g && of.includes(g.status) ? [g] : [];
  });

/** "12 of 13": those that agree, of all that have a differentiable input. */
function agreeing(results: readonly Result[], gradients: Gradients): string {
  const all = gradientsWith(results, gradients, "agrees", "differs", "refused").length;
  return all === 0 ? "" : `${gradientsWith(results, gradients, "agrees").length} of ${all}`;
}

/** Counts by folder and in all, as text for the terminal. */
export function countsText(results: readonly Result[], gradients: Gradients, gpu?: readonly Result[]): string {
  const rows = [...grouped(results, kindOf), ["all", results] as const].map(([name, rs]) => [
    name,
    ...[rs.length, ...statuses.map((s) => count(rs, s))].map(String),
    agreeing(rs, gradients),
  ]);
  const all = [["folder", "cases", ...heads, "gradients"], ...rows];
  const widths = (all[0] as string[]).map((_, i) => Math.max(...all.map((r) => (r[i] as string).length)));
  return all
    .map((r) => r.map((c, i) => (i === 0 ? c.padEnd(widths[i] as number) : c.padStart(widths[i] as number))).join("  "))
    .map((l) => `${l}\n`)
    .concat(gpu ? [`as kernels for GPUs, emulated: ${gpuCounts(gpu)}\n`] : [])
    .join("");
}

/** "310 passed, 0 wrong, 753 have an operator without a kernel" */
function gpuCounts(gpu: readonly Result[]): string {
  const run = gpu.filter((r) => !r.folded);
  const wrong = count(run, "failed") + count(run, "error");
  return (
    `${count(run, "passed")} passed, ${wrong} wrong, ${count(run, "unsupported")} refused ` +
    `(${gpu.length - run.length} more are constants)`
  );
}

/** How the same cases do as CUDA kernels. */
function gpuText(gpu: readonly Result[]): string[] {
  const wrong = gpu.filter((r) => r.status === "failed" || r.status === "error");
  return [
    "## On GPUs",
    "",
    "The same cases, compiled for GPUs in f32 (`--target cuda --precision f32`), whose kernels ran in the emulator",
    `\`test/emulator\` and not on a GPU: ${gpuCounts(gpu)}. A refused case has an operator, an element type or a`,
    "form that only the general template for CPUs computes, or is refused there, too. The column **GPU kernels** has",
    "the passed cases by operator.",
    ...wrong.map((r) => `\n- \`${r.name}\` (${r.operator}), ${r.status}: ${firstLine(r.reason ?? "")}`),
    "",
  ];
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

/** Whether a case passed by running kernels: not all of its outputs are constants of the compiled model. */
export const passedByKernels = (r: Result): boolean => r.status === "passed" && !r.folded;

function operatorRow(
  operator: string,
  results: readonly Result[],
  gradients: Gradients,
  onGpus: ReadonlySet<string> | undefined,
): (string | number)[] {
  const passed = results.filter((r) => r.status === "passed");
  return [
    operator === "several" ? "_several_" : operator,
    ranges(results.map((r) => r.opset)),
    results.length,
    ...statuses.map((s) => count(results, s)),
    passed.filter((r) => r.folded).length,
    ...(onGpus ? [results.filter((r) => onGpus.has(r.name)).length] : []),
    largest(passed.map((r) => r.error ?? 0)),
    largest(passed.map((r) => 100 * (r.share ?? 0))),
    agreeing(results, gradients),
    gradientsWith(results, gradients, "agrees", "differs").reduce((n, g) => n + g.elements, 0) || "",
    gradientsWith(results, gradients, "agrees", "differs").reduce((n, g) => n + g.moved, 0) || "",
    largest(gradientsWith(results, gradients, "agrees").map((g) => g.error)),
    peers.get(operator) ?? "",
  ];
}

const refusedList = (results: readonly Result[]): string => {
  const groups = new Map<string, number>();
  for (const r of results.filter((x) => x.status === "unsupported"))
    for (const o of r.unsupported ?? ["an element type or kind of value"]) groups.set(o, (groups.get(o) ?? 0) + 1);
  const rows = [...groups].toSorted(([a, n], [b, m]) => m - n || a.localeCompare(b, "en"));
  return table(["named in the reason", "cases"], rows);
};

const gradientMethod = [
  "ONNX tags the inputs and outputs of its operators as differentiable or not (`differentiability.tsv` beside the",
  "cases). For each case that passes, is one node, and has a differentiable input and output of floating point, the",
  "loss is the sum of these outputs with fixed weights in -1..1. Its gradient by moproc's rules is compared with",
  "central differences on the case's own inputs: (f(x + h) - f(x - h)) / 2h with h = 1e-5 max(1, |x|). Both are",
  "evaluated in f64 by the references of the ops, so that rounding hides nothing. A derivative agrees if it differs by",
  "at most 1e-5 of the larger of 1 and itself. At most 128 elements of an input are compared, evenly spread, and",
  "fewer, but 4 at least, if one evaluation takes long. An element where the slopes to both sides differ by more than",
  "1e-3, or change with the step, is at a kink or a jump of the function; it is moved by about 0.014 (1 + |x|), up to",
  "four times, and counted under **moved**. An input without a gradient counts as one whose derivative is 0. Outputs",
  "that are infinite, NaN or too large for differences (about 1e6) have no derivative that could be compared; such",
  "cases are left out.",
];

const peers = peerCounts();

/** How the gradients are compared with PyTorch's, and for which operators. */
function peerText(operators: readonly string[]): string[] {
  const functions = [...peers.values()].reduce((sum, n) => sum + n, 0);
  const others = [...peers].filter(([name]) => !operators.includes(name)).map(([name, n]) => `${name} (${n})`);
  return [
    `\`test/onnx/gradients_torch.test.ts\` compares ${functions} functions of ${peers.size} operators with`,
    "PyTorch, which computes the same in f64: the values of the outputs, and the gradient by every differentiable",
    "input of the same weighted sum of the outputs. The inputs are random numbers of its own. Each function is a",
    "model of f32 and one of f64, because the rules of operators choose other ops for f32. A number agrees if it",
    "differs by at most 1e-12 of the larger of 1 and itself; one that differs fails the test. The functions are",
    "listed in `tools/conformance/peer_cases.ts` and `peer_layers.ts`. The column **PyTorch** above has their number",
    `for the operators of the table${others.length > 0 ? ". These operators have no cases there:" : "."}`,
    ...(others.length > 0 ? ["", `${others.join(", ")}.`] : []),
  ];
}

/** The whole page, docs/conformance.md. */
export function conformancePage(
  results: readonly Result[],
  gradients: Gradients,
  command: string,
  gpu?: readonly Result[],
): string {
  const onGpus = gpu && new Set(gpu.filter(passedByKernels).map((r) => r.name));
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
      [
        ...["operator", "operator sets", "cases", ...heads, "constants", ...(gpu ? ["GPU kernels"] : [])],
        ...["largest error", "of tolerance"],
        ...["gradients", "elements", "moved", "error of gradients", "PyTorch"],
      ],
      grouped(results, (r) => r.operator).map(([operator, rs]) => operatorRow(operator, rs, gradients, onGpus)),
    ),
    "",
    ...(gpu ? gpuText(gpu) : []),
    "## Gradients",
    "",
    ...gradientMethod,
    "",
    ...(gradientsWith(results, gradients, "differs", "refused").length > 0
      ? results.flatMap((r) => {
          const g = gradients.get(r.name);
          const odd = g && (g.status === "differs" || g.status === "refused");
          return odd ? [`- \`${r.name}\` ${g.status}: ${firstLine(g.reason ?? "")}`] : [];
        })
      : [`All ${agreeing(results, gradients)} cases agree.`]),
    "",
    "## Gradients beside PyTorch",
    "",
    ...peerText(results.map((r) => r.operator)),
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

/**
 * The text of expected.tsv: a line per case with its status, that of its gradient, and that of its kernels for GPUs;
 * what a case does not have is empty, and left out at the end of the line.
 */
export function expectedText(results: readonly Result[], gradients: Gradients, gpu: readonly Result[]): string {
  const onGpus = new Map(gpu.filter((r) => !r.folded && r.status !== "unsupported").map((r) => [r.name, r.status]));
  return results
    .map((r) => {
      const status = gradients.get(r.name)?.status ?? "none";
      const cells = [r.name, r.status, status === "none" ? "" : status, onGpus.get(r.name) ?? ""];
      return `${cells.join("\t").trimEnd()}\n`;
    })
    .join("");
}
