// Padding and cropping.

import type { Builder } from "../../ir/builder.js";
import type { Value } from "../../ir/types.js";
import { filled } from "../../ops/composed/compute.js";
import { padded, reshaped } from "../../ops/composed/layout.js";
import type { At } from "../at.js";
import { type Rules, since } from "./rule.js";
import { listed, ranged, takenAt } from "./take.js";

type Shape = readonly number[];

/** x without `before[i]` and `after[i]` elements at the ends of axis i. */
const cropped = (b: Builder, x: Value, before: Shape, after: Shape): Value =>
  x.type.shape.reduce((y, d, axis) => ranged(b, y, axis, before[axis] ?? 0, d - (after[axis] ?? 0)), x);

/** The position in an axis of `extent` elements that position p, which may lie outside of it, repeats. */
function repeated(mode: string, p: number, extent: number): number {
  if (mode === "edge") return Math.min(Math.max(p, 0), extent - 1);
  const period = mode === "wrap" ? extent : Math.max(2 * extent - 2, 1);
  const within = ((p % period) + period) % period;
  return mode === "wrap" || within < extent ? within : period - within;
}

function pad(at: At, pads: Shape, value: () => Value): Value {
  const [b, x] = [at.builder, at.in(0)];
  const mode = at.text("mode", "constant");
  const { shape } = x.type;
  const named = at.version >= 18 && at.has(3) ? at.axes(at.integers(3), shape.length) : [...shape.keys()];
  if (pads.length !== 2 * named.length) at.refuse(`[${pads}] are not two numbers for each of ${named.length} axes`);
  const side = (from: number): number[] =>
    shape.map((_, i) => (named.includes(i) ? (pads[from + named.indexOf(i)] as number) : 0));
  const [before, after] = [side(0), side(named.length)];
  const most = (list: Shape, sign: number): number[] => list.map((p) => Math.max(0, sign * p));
  if (shape.some((d, i) => d + Math.min(before[i] as number, 0) + Math.min(after[i] as number, 0) < 0))
    at.refuse(`[${shape}] has fewer elements than [${pads}] take away`);
  const inner = cropped(b, x, most(before, -1), most(after, -1));
  const [more, behind] = [most(before, 1), most(after, 1)];
  if (mode === "constant") return padded(b, inner, more, behind, value());
  if (at.has(2)) at.typeOnly(2);
  if (!["edge", "reflect", "wrap"].includes(mode)) at.refuse(`mode ${mode} is not known`);
  return inner.type.shape.reduce((y, d, axis) => {
    const [p, q] = [more[axis] as number, behind[axis] as number];
    if (p + q === 0) return y;
    if (d === 0) at.refuse(`axis ${axis} has no elements that mode ${mode} could repeat`);
    const list = listed(p + d + q, (i) => repeated(mode, i - p, d));
    return takenAt(b, y, axis, list);
  }, inner);
}

/** The middle of x, with zeros around it where x is smaller than what is asked for. */
function centerCropPad(at: At): Value {
  const [b, x] = [at.builder, at.in(0)];
  const { shape, dtype } = x.type;
  const asked = at.integers(1);
  const axes = at.axes(at.ints("axes") ?? [...shape.keys()], shape.length);
  if (asked.length !== axes.length || asked.some((d) => d < 0))
    at.refuse(`[${asked}] is no extent for each of axes [${axes}]`);
  const more = shape.map((d, i) => (axes.includes(i) ? (asked[axes.indexOf(i)] as number) - d : 0));
  const first = more.map((n) => Math.floor(Math.abs(n) / 2));
  const rest = more.map((n, i) => Math.abs(n) - (first[i] as number));
  const only = (list: Shape, sign: number): number[] => list.map((n, i) => (sign * (more[i] as number) > 0 ? n : 0));
  const inner = cropped(b, x, only(first, -1), only(rest, -1));
  return padded(b, inner, only(first, 1), only(rest, 1), filled(b, dtype, [], 0));
}

export const pads: Rules = {
  Pad: [
    ...(["paddings", "pads"] as const).map((name, i) =>
      since(i + 1, (at: At) => {
        const value = at.float("value", 0);
        return pad(at, at.ints(name) ?? [], () => filled(at.builder, at.type(0).dtype, [], value));
      }),
    ),
    since(11, (at) =>
      pad(at, at.integers(1), () =>
        at.has(2) ? reshaped(at.builder, at.in(2), []) : filled(at.builder, at.type(0).dtype, [], 0),
      ),
    ),
  ],
  CenterCropPad: since(18, centerCropPad),
};
