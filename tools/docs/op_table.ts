// The table of all ops in docs/api.md, made from their records.

import { any, inWords } from "../../compiler/ir/element_types.js";
import type { DType } from "../../compiler/ir/types.js";
import "../../compiler/ops/index.js";
import { type AnyOp, allOps } from "../../compiler/ops/op.js";

const gradient = (o: AnyOp): string => (o.stops ? "stops" : o.grad ? "yes" : "no");
const code = (names: readonly string[]): string => names.map((n) => `\`${n}\``).join(", ");

/** "float" if all operands accept that, otherwise the names with their types: "`x`: any; `idx`: i64". */
function elementTypes(o: AnyOp): string {
  const operands = (o.inputs as readonly string[]).map((name) => name.replace("...", ""));
  const names = new Map<string, string[]>(); // by the types, in words
  for (const [name, types] of Object.entries(o.types as Readonly<Record<string, readonly DType[]>>)) {
    const words = types.length === any.length ? "any" : inWords(types, "float", "integer");
    names.set(words, [...(names.get(words) ?? []), name]);
  }
  const [[all, its] = ["", []], ...others] = names;
  const alike = others.length === 0 && its.every((name) => operands.includes(name));
  const cell = alike ? all : [...names].map(([words, its]) => `${code(its)}: ${words}`).join("; ");
  if (Array.isArray(o.oneType)) return `${cell}; ${o.oneType.map((n) => `\`${n}\``).join(" and ")} the same`;
  return o.oneType ? `${cell}, all the same` : cell;
}

/** The table in Markdown, without padding: a row for each op, in the order of their names. */
export function opTable(): string {
  const rows = allOps()
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((o) => [
      `\`${o.name}\``,
      code(o.inputs),
      elementTypes(o),
      code(o.attrs ?? []),
      code(o.outputs),
      o.kind,
      gradient(o),
      o.onnx,
    ]);
  const head = ["op", "operands", "element types", "attributes", "results", "kind", "gradient", "ONNX"];
  return [head, head.map(() => "---"), ...rows].map((r) => `| ${r.join(" | ")} |`).join("\n");
}

export const BEGIN = "<!-- ops: npm run docs writes what follows -->";
export const END = "<!-- /ops -->";
