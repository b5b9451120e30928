// The table of all ops in docs/api.md, made from their records.

import "../../compiler/ops/index.js";
import { type AnyOp, allOps } from "../../compiler/ops/op.js";

const gradient = (o: AnyOp): string => (o.stops ? "stops" : o.grad ? "yes" : "no");
const code = (names: readonly string[]): string => names.map((n) => `\`${n}\``).join(", ");

/** The table in Markdown, without padding: a row for each op, in the order of their names. */
export function opTable(): string {
  const rows = allOps()
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((o) => [`\`${o.name}\``, code(o.inputs), code(o.attrs ?? []), code(o.outputs), o.kind, gradient(o), o.onnx]);
  const head = ["op", "operands", "attributes", "results", "kind", "gradient", "ONNX"];
  return [head, head.map(() => "---"), ...rows].map((r) => `| ${r.join(" | ")} |`).join("\n");
}

export const BEGIN = "<!-- ops: npm run docs writes what follows -->";
export const END = "<!-- /ops -->";
