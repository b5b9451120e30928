// Operators that only move elements.

import type { Value } from "../../ir/types.js";
import { spread } from "../../ops/composed/compute.js";
import { around, reshaped, transposed } from "../../ops/composed/layout.js";
import { broadcastShape } from "../../ops/shape.js";
import type { At } from "../at.js";
import { type Build, type Rules, since } from "./rule.js";
import { joined, listed, ranged, takenAt } from "./take.js";

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

const MOST_AXES = 64;

/** The shape of an Unsqueeze. */
export function unsqueezed(at: At, from: readonly number[], listed: readonly number[] | undefined): number[] {
  if (!listed) return at.refuse("it does not name its axes");
  const rank = from.length + listed.length;
  if (rank > MOST_AXES) return at.refuse(`its output would have ${rank} axes`);
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

const slice: Build = (at) => {
  const x = at.in(0);
  return sliceParts(at, x.type.shape).reduce(
    (y, { axis, first, step, count }) =>
      step === 1
        ? ranged(at.builder, y, axis, first, first + count)
        : takenAt(
            at.builder,
            y,
            axis,
            listed(count, (i) => first + i * step),
          ),
    x,
  );
};

/** The axis of a Split and the extents of its outputs. */
export function splitSizes(
  at: At,
  from: readonly number[],
): { readonly axis: number; readonly sizes: readonly number[] } {
  const axis = at.axis(at.int("axis", 0), from.length);
  const [extent, { length }] = [from[axis] as number, at.node.outputs];
  const listed = at.version < 2 && at.has(1) ? at.integers(1) : at.integersOf("split", 1, 13);
  const parts = at.int("num_outputs", length);
  if (parts !== length) at.refuse(`attribute num_outputs is ${parts}, but it has ${length} outputs`);
  const each = Math.ceil(extent / parts);
  const sizes = listed ?? Array.from({ length: parts }, (_, i) => (i < parts - 1 ? each : extent - i * each));
  if (sizes.some((n) => n < 0) || sizes.reduce((a, n) => a + n, 0) !== extent || sizes.length !== length)
    at.refuse(`[${sizes}] does not divide ${extent} positions into ${length} outputs`);
  return { axis, sizes };
}

const split: Build = (at) => {
  const x = at.in(0);
  const { axis, sizes } = splitSizes(at, x.type.shape);
  let end = 0;
  return sizes.map((n) => {
    end += n;
    return ranged(at.builder, x, axis, end - n, end);
  });
};

const concat = (at: At, axis: number): Value => {
  const parts = at.all();
  return joined(at.builder, parts, at.axis(axis, parts[0]?.type.shape.length ?? 0));
};

/** How often a Tile repeats each axis. Version 1 repeats one axis. */
export function repeats(at: At, rank: number): number[] {
  if (at.version < 6) {
    const [times, axis] = [at.integers(1)[0] ?? 1, at.axis(at.integers(2)[0] ?? 0, rank)];
    return Array.from({ length: rank }, (_, i) => (i === axis ? times : 1));
  }
  const times = at.integers(1);
  if (times.length !== rank || times.some((n) => n < 0)) at.refuse(`repeats [${times}] do not fit ${rank} axes`);
  return times;
}

const tile: Build = (at) => {
  const x = at.in(0);
  return repeats(at, x.type.shape.length).reduce((y, times, axis) => {
    const extent = y.type.shape[axis] as number;
    if (times === 1) return y;
    return takenAt(
      at.builder,
      y,
      axis,
      listed(extent * times, (i) => i % extent),
    );
  }, x);
};

/** Channels that become blocks of pixels. DCR: the channels are divided as [blocks, depth], CRD: [depth, blocks]. */
const depthToSpace: Build = (at) => {
  const [b, x, size] = [at.builder, at.in(0), at.int("blocksize", 0)];
  const mode = at.text("mode", "DCR");
  if (mode !== "DCR" && mode !== "CRD") at.refuse(`mode ${mode} is not known`);
  const [n, c, h, w] = images(at, x);
  const depth = c / size ** 2;
  if (!Number.isInteger(depth)) at.refuse(`blocks of ${size} by ${size} do not divide ${c} channels`);
  const [inner, perm] =
    mode === "DCR"
      ? [[n, size, size, depth, h, w], [0, 3, 4, 1, 5, 2] as const]
      : [[n, depth, size, size, h, w], [0, 1, 4, 2, 5, 3] as const];
  return reshaped(b, transposed(b, reshaped(b, x, inner), perm), [n, depth, h * size, w * size]);
};

/** Blocks of pixels that become channels, [blocks, depth]. */
const spaceToDepth: Build = (at) => {
  const [b, x, size] = [at.builder, at.in(0), at.int("blocksize", 0)];
  const [n, c, h, w] = images(at, x);
  const [rows, columns] = [h / size, w / size];
  if (!Number.isInteger(rows) || !Number.isInteger(columns))
    at.refuse(`blocks of ${size} by ${size} do not divide ${h} by ${w} pixels`);
  const blocks = transposed(b, reshaped(b, x, [n, c, rows, size, columns, size]), [0, 3, 5, 1, 2, 4]);
  return reshaped(b, blocks, [n, c * size ** 2, rows, columns]);
};

const images = (at: At, x: Value): readonly [number, number, number, number] =>
  x.type.shape.length === 4
    ? (x.type.shape as unknown as [number, number, number, number])
    : at.refuse(`[${x.type.shape}] are no images`);

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
    since(1, (at) => concat(at, at.int("axis", 1))),
    since(4, (at) => {
      if (!at.given("axis")) at.refuse("it does not name its axis");
      return concat(at, at.int("axis", 0));
    }),
  ],
  Slice: since(1, slice),
  Split: since(1, split),
  Tile: since(1, tile),
  Expand: since(8, (at) => spread(at.builder, at.in(0), broadcastShape(at.shape(0), at.integers(1)))),
  DepthToSpace: since(1, depthToSpace),
  SpaceToDepth: since(1, spaceToDepth),
};
