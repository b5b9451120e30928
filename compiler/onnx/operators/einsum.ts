// Einsum: the operands are multiplied two by two, each time as one product of stacks of matrices. What only one operand
// has, and nothing later needs, is added up before.

import { elements, type Value } from "../../ir/types.js";
import { converted, spread } from "../../ops/composed/compute.js";
import { reshaped, transposed } from "../../ops/composed/layout.js";
import { wider } from "../../ops/composed/reduce.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { product } from "./products.js";
import { type Build, type Rules, since } from "./rule.js";

/** A value with a label for each axis, no label twice. */
interface Labelled {
  readonly x: Value;
  readonly labels: readonly string[];
}

/** The labels of one term of an equation; "..." becomes `ellipsis` labels, ".0" being that of the last axis. */
function labelsOf(at: At, term: string, ellipsis: number): string[] {
  const parts = term.split("...");
  if (parts.length > 2 || !/^[A-Za-z]*$/.test(parts.join(""))) return at.refuse(`the term ${term} has other signs`);
  const dots = Array.from({ length: parts.length === 2 ? ellipsis : 0 }, (_, i) => `.${ellipsis - 1 - i}`);
  return [...(parts[0] as string), ...dots, ...(parts[1] ?? "")];
}

/** The labels of the operands and of the result. Without one in the equation, that has the labels that occur once. */
function equationOf(at: At): { terms: string[][]; result: string[] } {
  const text = at.text("equation", "").replace(/\s/g, "");
  const [left, right, ...more] = text.split("->") as [string, ...string[]];
  const names = left.split(",");
  if (more.length > 0 || names.length !== at.count) at.refuse(`the equation "${text}" is not for ${at.count} operands`);
  const terms = names.map((term, i) => {
    const letters = term.replace("...", "").length;
    const rank = at.shape(i).length;
    if (term.includes("...") ? letters > rank : letters !== rank) at.refuse(`${term} does not name ${rank} axes`);
    return labelsOf(at, term, rank - letters);
  });
  const all = terms.flat();
  const dots = labelsOf(at, "...", Math.max(0, ...terms.map((term) => term.filter((l) => l.startsWith(".")).length)));
  const once = [...new Set(all)].filter((l) => !l.startsWith(".") && all.filter((k) => k === l).length === 1);
  const result = right === undefined ? [...dots, ...once.toSorted()] : labelsOf(at, right, dots.length);
  if (new Set(result).size !== result.length || result.some((l) => !all.includes(l)))
    at.refuse(`the result ${right} has a label twice, or one that no operand has`);
  return { terms, result };
}

/** x with the elements at equal positions of the axes that share a label. */
function diagonals(at: At, x: Value, labels: readonly string[]): Labelled {
  const b = at.builder;
  const again = labels.findIndex((l, i) => labels.indexOf(l) !== i);
  if (again < 0) return { x, labels };
  const first = labels.indexOf(labels[again] as string);
  const { shape } = x.type;
  const n = shape[first] as number;
  if (shape[again] !== n) at.refuse(`the axes ${labels[again]} have extents ${n} and ${shape[again]}`);
  const rest = labels.flatMap((_, i) => (i === first || i === again ? [] : [i]));
  const last = transposed(b, x, [...rest, first, again]);
  const outer = rest.map((i) => shape[i] as number);
  const squares = reshaped(b, last, [...outer, n * n]);
  const y = op.gather(b, squares, op.map(b, [], { expr: `mul(i0,${n + 1})`, shape: [n] }), { axis: outer.length });
  return diagonals(
    at,
    y,
    [...rest, first].map((i) => labels[i] as string),
  );
}

/** v without the axes that are not needed, whose elements are added. */
function reduced(at: At, v: Labelled, needed: ReadonlySet<string>): Labelled {
  const axes = v.labels.flatMap((l, i) => (needed.has(l) ? [] : [i]));
  if (axes.length === 0) return v;
  const labels = v.labels.filter((l) => needed.has(l));
  return { x: op.fold(at.builder, v.x, { of: "sum", axes }), labels };
}

/** v with its axes in this order; an axis that it does not have has extent 1. */
function arranged(at: At, v: Labelled, labels: readonly string[]): Value {
  const own = labels.filter((l) => v.labels.includes(l));
  const perm = own.map((l) => v.labels.indexOf(l));
  const y = transposed(at.builder, v.x, perm);
  const sizes = own.map((_, i) => y.type.shape[i] as number).values();
  return reshaped(
    at.builder,
    y,
    labels.map((l) => (own.includes(l) ? (sizes.next().value as number) : 1)),
  );
}

/** The product of p and q, added over the labels that are not needed. */
function contracted(at: At, p: Labelled, q: Labelled, needed: ReadonlySet<string>): Labelled {
  const b = at.builder;
  const [x, y] = [reduced(at, p, new Set([...needed, ...q.labels])), reduced(at, q, new Set([...needed, ...p.labels]))];
  const size = new Map<string, number>();
  for (const v of [x, y])
    v.labels.forEach((l, i) => {
      const [d, known] = [v.x.type.shape[i] as number, size.get(l) ?? 1];
      if (d !== known && d !== 1 && known !== 1) at.refuse(`the axes ${l} have extents ${known} and ${d}`);
      size.set(l, d === 1 ? known : d);
    });
  const both = x.labels.filter((l) => y.labels.includes(l));
  const [stack, inner] = [both.filter((l) => needed.has(l)), both.filter((l) => !needed.has(l))];
  const [rows, columns] = [x.labels.filter((l) => !both.includes(l)), y.labels.filter((l) => !both.includes(l))];
  const extents = (labels: readonly string[]): number[] => labels.map((l) => size.get(l) as number);
  const full = (v: Labelled, labels: readonly string[]): Value => spread(b, arranged(at, v, labels), extents(labels));
  const [o, m, k, n] = [stack, rows, inner, columns].map((l) => elements(extents(l))) as [
    number,
    number,
    number,
    number,
  ];
  const left = reshaped(b, full(x, [...stack, ...rows, ...inner]), [o, m, k]);
  const right = reshaped(b, full(y, [...stack, ...inner, ...columns]), [o, k, n]);
  const labels = [...stack, ...rows, ...columns];
  return { x: reshaped(b, product(at, left, right), extents(labels)), labels };
}

const einsum: Build = (at) => {
  const b = at.builder;
  const { terms, result } = equationOf(at);
  const xs = at.all();
  const { dtype } = xs[0]?.type ?? at.refuse("it has no operand");
  const half = dtype === "f16" || dtype === "bf16";
  return wider(b, xs[0] as Value, (first) => {
    const own = xs.map((x, i) => (i === 0 ? first : half ? converted(b, x, "f32") : x));
    const parts = own.map((x, i) => diagonals(at, x, terms[i] as string[]));
    const total = parts.reduce((p, q, i) => {
      const later = parts.slice(i + 1).flatMap((v) => v.labels);
      return contracted(at, p, q, new Set([...result, ...later]));
    });
    const y = reduced(at, total, new Set(result));
    return arranged(at, y, result);
  });
};

export const einsums: Rules = { Einsum: since(12, einsum) };
