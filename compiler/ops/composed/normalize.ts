// Normalisation by statistics of the values themselves, over axes, in f32 or f64.

import type { Builder } from "../../ir/builder.js";
import { elements, type Value } from "../../ir/types.js";
import { compute } from "./compute.js";
import { reshaped } from "./layout.js";
import * as reduce from "./reduce.js";

type Axes = readonly number[];

const mean = (b: Builder, x: Value, axes: Axes): Value =>
  axes.length === 0 ? x : reduce.mean(b, x, { axes, keepdims: true });

export interface Moments {
  readonly mean: Value;
  readonly centred: Value; // x - mean
  readonly variance: Value; // the mean of the squares of `centred`
}
/** The statistics of x, f32 or f64, over axes, which stay with extent 1. */
export function moments(b: Builder, x: Value, axes: Axes): Moments {
  const m = mean(b, x, axes);
  const centred = compute(b, "sub(x0,x1)", x, m);
  return { mean: m, centred, variance: mean(b, compute(b, "mul(x0,x0)", centred), axes) };
}

export const root = (eps: number): string => `sqrt(add(x1,${eps}))`;
/** x / sqrt(variance + eps) */
export const byDeviation = (b: Builder, x: Value, variance: Value, eps: number): Value =>
  compute(b, `div(x0,${root(eps)})`, x, variance);

/** x [N, C, ...] with each of `groups` groups of channels of each image normalised. */
export function grouped(b: Builder, x: Value, groups: number, eps: number): Value {
  const { shape } = x.type;
  const rows = (shape[0] as number) * groups;
  const m = moments(b, reshaped(b, x, [rows, elements(shape) / rows]), [1]);
  return reshaped(b, byDeviation(b, m.centred, m.variance, eps), shape);
}
