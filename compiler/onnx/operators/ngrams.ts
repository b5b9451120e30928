// TfIdfVectorizer of whole numbers: how often each sequence of a list occurs in each row.

import type { Builder } from "../../ir/builder.js";
import type { Value } from "../../ir/types.js";
import { converted, filled } from "../../ops/composed/compute.js";
import { reshaped } from "../../ops/composed/layout.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { type Build, type Rules, since } from "./rule.js";
import { joined, numbers, ranged } from "./take.js";

/** How often each of `grams`, of length `n`, begins in a row of x i64[N, C], items this far apart: f32[N, grams]. */
function counts(b: Builder, x: Value, grams: readonly (readonly number[])[], n: number, distance: number): Value {
  const [rows, items] = x.type.shape as [number, number];
  const starts = items - (n - 1) * distance;
  const k = grams.length;
  if (starts < 1) return filled(b, "f32", [rows, k], 0);
  const operands = Array.from({ length: n }, (_, j) => [
    reshaped(b, ranged(b, x, 1, j * distance, j * distance + starts), [rows, starts, 1]),
    op.constant(b, { values: grams.map((g) => g[j] as number), shape: [k], dtype: "i64" }),
  ]);
  const found = operands.map((_, j) => `equal(x${2 * j},x${2 * j + 1})`).reduce((all, e) => `and(${all},${e})`);
  const hits = op.map(b, operands.flat(), { expr: `to_f32(${found})` });
  return op.fold(b, hits, { of: "sum", axes: [1] });
}

/** The sequences of an attribute by their length, from 1 on. */
function gramsOf(at: At): number[][][] {
  const pool = at.ints("pool_int64s") ?? at.refuse("its pool has no whole numbers; other pools are not supported");
  const starts = at.ints("ngram_counts") ?? [];
  return starts.map((start, i) => {
    const list = pool.slice(start, starts[i + 1] ?? pool.length);
    if (list.length % (i + 1) !== 0) at.refuse(`${list.length} items are no sequences of ${i + 1}`);
    return Array.from({ length: list.length / (i + 1) }, (_, g) => list.slice(g * (i + 1), (g + 1) * (i + 1)));
  });
}

const vectorize: Build = (at) => {
  const [b, given] = [at.builder, at.in(0)];
  const { shape } = given.type;
  if (shape.length !== 1 && shape.length !== 2) at.refuse(`[${shape}] are no rows`);
  const x = converted(b, shape.length === 1 ? reshaped(b, given, [1, ...shape]) : given, "i64");
  const grams = gramsOf(at);
  const columns = at.ints("ngram_indexes") ?? [];
  if (columns.length !== grams.flat().length || columns.some((c) => c < 0))
    at.refuse(`${columns.length} indexes do not fit ${grams.flat().length} sequences`);
  const [least, most] = [at.int("min_gram_length", 1), at.int("max_gram_length", 1)];
  const skips = at.int("max_skip_count", 0);
  if (skips < 0) at.refuse(`max_skip_count is ${skips}`);
  const mode = at.text("mode", "TF");
  if (!["TF", "IDF", "TFIDF"].includes(mode)) at.refuse(`mode ${mode} is not known`);
  const size = Math.max(-1, ...columns) + 1;
  const weights = at.floats("weights") ?? columns.map(() => 1);
  const parts = grams.flatMap((list, i): Value[] => {
    const n = i + 1;
    if (list.length === 0) return [];
    if (n < least || n > most) return [filled(b, "f32", [x.type.shape[0] as number, list.length], 0)];
    const far = n === 1 ? 1 : Math.min(skips, x.type.shape[1] as number) + 1; // one item has no distance
    const each = Array.from({ length: far }, (_, d) => counts(b, x, list, n, d + 1));
    return [each.reduce((sum, c) => op.add(b, sum, c))];
  });
  if (parts.length === 0 || weights.length !== columns.length)
    at.refuse(`${weights.length} weights do not fit ${columns.length} sequences`);
  const all = joined(b, parts, 1);
  const weighted = (expr: string): Value => op.map(b, [all, numbers(b, weights, [weights.length], "f32")], { expr });
  const scaled = {
    TF: () => all,
    IDF: () => weighted("where(greater(x0,0),x1,0)"),
    TFIDF: () => weighted("mul(x0,x1)"),
  };
  const places = op.constant(b, { values: columns, shape: [columns.length], dtype: "i64" });
  const empty = filled(b, "f32", [all.type.shape[0] as number, size], 0);
  const y = op.scatter_rows(b, empty, places, scaled[mode as keyof typeof scaled](), { axis: 1, of: "add" });
  return reshaped(b, y, [...shape.slice(0, -1), size]);
};

export const ngrams: Rules = { TfIdfVectorizer: since(9, vectorize) };
