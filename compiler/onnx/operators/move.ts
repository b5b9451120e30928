// Operators that only move elements.

import type { Value } from "../../ir/types.js";
import * as op from "../../ops/index.js";
import { broadcastShape } from "../../ops/shape.js";
import type { At } from "../at.js";
import { around, padded, reshaped, transposed } from "./layout.js";
import { type Rules, since } from "./rule.js";

/** The shape that a Reshape asks for: 0 keeps an extent unless `allowzero`, -1 is computed from the others. */
export function reshapeTo(at: At, from: readonly number[], asked: readonly number[], allowzero: boolean): number[] {
  const shape = asked.map((d, i) => (d === 0 && !allowzero ? (from[i] ?? at.refuse(`there is no extent ${i}`)) : d));
  const size = from.reduce((a, d) => a * d, 1);
  const known = shape.reduce((a, d) => (d === -1 ? a : a * d), 1);
  const open = shape.filter((d) => d === -1).length;
  const full = shape.map((d) => (d === -1 && known !== 0 ? size / known : d));
  if (open > 1 || full.some((d) => !Number.isInteger(d) || d < 0) || full.reduce((a, d) => a * d, 1) !== size)
    at.refuse(`[${from}] cannot be reshaped to [${asked}]`);
  return full;
}

/** The shape of a Squeeze; without axes, all extents of 1 are left out. */
export function squeezed(at: At, from: readonly number[], listed: readonly number[] | undefined): number[] {
  const axes = listed ? at.axes(listed, from.length) : from.flatMap((d, i) => (d === 1 ? [i] : []));
  const odd = axes.find((a) => from[a] !== 1);
  if (odd !== undefined) at.refuse(`axis ${odd} has extent ${from[odd]}, not 1`);
  return from.filter((_, i) => !axes.includes(i));
}

/** The shape of an Unsqueeze. */
export function unsqueezed(at: At, from: readonly number[], listed: readonly number[] | undefined): number[] {
  if (!listed) return at.refuse("it does not name its axes");
  const rank = from.length + listed.length;
  const axes = at.axes(listed, rank);
  const rest = from.values();
  return Array.from({ length: rank }, (_, i) => (axes.includes(i) ? 1 : (rest.next().value as number)));
}

/** The shape of a Flatten. */
export function flattenedShape(at: At, from: readonly number[]): number[] {
  const axis = at.int("axis", 1);
  const first = axis === from.length ? axis : at.axis(axis, from.length);
  const [outer, extent, inner] = around([...from, 1], first);
  return [outer, extent * inner];
}

/** A part of one axis: positions first, first + step, ..., `count` of them. */
export interface Part {
  readonly axis: number;
  readonly first: number;
  readonly step: number;
  readonly count: number;
}

/** The parts of a Slice, whose bounds are attributes before version 10. */
export function sliceParts(at: At, from: readonly number[]): Part[] {
  const inputs = at.version >= 10;
  const starts = inputs ? at.integers(1) : at.ints("starts");
  const ends = inputs ? at.integers(2) : at.ints("ends");
  if (!starts || !ends || starts.length !== ends.length) return at.refuse("starts and ends do not fit together");
  const named = at.integersOf("axes", 3, 10) ?? starts.map((_, i) => i);
  const steps = (inputs && at.has(4) ? at.integers(4) : undefined) ?? starts.map(() => 1);
  if (named.length !== starts.length || steps.length !== starts.length) at.refuse("axes or steps do not fit starts");
  return at.axes(named, from.length).map((axis, i) => {
    const [extent, step] = [from[axis] as number, steps[i] as number];
    if (step === 0) at.refuse("a step is 0");
    const clamp = (x: number, low: number, high: number): number =>
      Math.min(Math.max(x < 0 ? x + extent : x, low), high);
    const down = step < 0 ? 1 : 0;
    const first = clamp(starts[i] as number, 0, extent - down);
    const end = clamp(ends[i] as number, -down, extent - down);
    return { axis, first, step, count: Math.max(0, Math.ceil((end - first) / step)) };
  });
}

function slice(at: At): Value {
  const x = at.in(0);
  return sliceParts(at, x.type.shape).reduce((y, { axis, first, step, count }) => {
    if (count === 0) return op.slice(at.builder, y, { axis, start: 0, end: 0 });
    if (count === y.type.shape[axis] && step === 1) return y;
    if (step !== 1 && count > 1) at.refuse(`a step of ${step} is not supported`);
    return op.slice(at.builder, y, { axis, start: first, end: first + count });
  }, x);
}

function split(at: At): Value[] {
  const x = at.in(0);
  const axis = at.axis(at.int("axis", 0), x.type.shape.length);
  const extent = x.type.shape[axis] as number;
  const parts = at.int("num_outputs", at.node.outputs.length);
  const each = Math.ceil(extent / parts);
  const equal = Array.from({ length: parts }, (_, i) => Math.min(each, extent - i * each));
  const sizes = at.integersOf("split", 1, 13) ?? equal;
  if (sizes.reduce((a, n) => a + n, 0) !== extent || sizes.length !== at.node.outputs.length)
    at.refuse(`[${sizes}] does not divide ${extent} positions into ${at.node.outputs.length} outputs`);
  let start = 0;
  return sizes.map((n) => {
    start += n;
    return op.slice(at.builder, x, { axis, start: start - n, end: start });
  });
}

function pad(at: At, pads: readonly number[], value: Value): Value {
  const mode = at.text("mode", "constant");
  if (mode !== "constant") at.refuse(`mode ${mode} is not supported`);
  if (pads.some((p) => p < 0)) at.refuse(`negative padding [${pads}] is not supported`);
  const x = at.in(0);
  const { length } = x.type.shape;
  const named = at.version >= 18 && at.has(3) ? at.axes(at.integers(3), length) : x.type.shape.map((_, i) => i);
  if (pads.length !== 2 * named.length) at.refuse(`[${pads}] are not two numbers for each of ${named.length} axes`);
  const side = (from: number): number[] =>
    x.type.shape.map((_, i) => (named.includes(i) ? (pads[from + named.indexOf(i)] as number) : 0));
  return padded(at.builder, x, side(0), side(named.length), value);
}

export const move: Rules = {
  Reshape: [
    since(1, (at) => {
      at.ignore("consumed_inputs");
      return reshaped(at.builder, at.in(0), reshapeTo(at, at.shape(0), at.ints("shape") ?? [], false));
    }),
    since(5, (at) => {
      const shape = reshapeTo(at, at.shape(0), at.integers(1), at.int("allowzero", 0) === 1);
      return reshaped(at.builder, at.in(0), shape);
    }),
  ],
  Flatten: since(1, (at) => reshaped(at.builder, at.in(0), flattenedShape(at, at.shape(0)))),
  Squeeze: since(1, (at) => reshaped(at.builder, at.in(0), squeezed(at, at.shape(0), at.integersOf("axes", 1, 13)))),
  Unsqueeze: since(1, (at) =>
    reshaped(at.builder, at.in(0), unsqueezed(at, at.shape(0), at.integersOf("axes", 1, 13))),
  ),
  Transpose: since(1, (at) => {
    const perm = at.ints("perm") ?? at.shape(0).map((_, i, { length }) => length - 1 - i);
    return transposed(at.builder, at.in(0), perm);
  }),
  Concat: [
    since(1, (at) => op.concat(at.builder, at.all(), { axis: at.int("axis", 1) })),
    since(4, (at) => {
      if (!at.given("axis")) at.refuse("it does not name its axis");
      return op.concat(at.builder, at.all(), { axis: at.int("axis", 0) });
    }),
  ],
  Slice: since(1, slice),
  Split: since(2, split),
  Expand: since(8, (at) => {
    const shape = broadcastShape(at.shape(0), at.integers(1));
    return shape.join() === at.shape(0).join() ? at.in(0) : op.broadcast_to(at.builder, at.in(0), { shape });
  }),
  Pad: [
    since(2, (at) => pad(at, at.ints("pads") ?? [], op.scalar(at.builder, at.float("value", 0)))),
    since(11, (at) =>
      pad(at, at.integers(1), at.has(2) ? reshaped(at.builder, at.in(2), []) : op.scalar(at.builder, 0)),
    ),
  ],
};
