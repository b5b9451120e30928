// Operators that read or write elements at positions which the program computes, and those that order elements.

import type { Builder } from "../../ir/builder.js";
import { elements, type Value } from "../../ir/types.js";
import { reshaped } from "../../ops/composed/layout.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { elementsOf, numbersOf, scalarOf } from "../model.js";
import { type Build, type Rules, since } from "./rule.js";
import { ranged, takenAt } from "./take.js";

type Shape = readonly number[];

/**
 * The numbers in row-major order, i64[...], of the positions that lie in the last axis of idx, in a space of these
 * extents, whose first `batch` axes are those of idx. A position outside of the space has a number outside of it, too.
 */
function numbered(b: Builder, idx: Value, extents: Shape, batch: number): Value {
  const outer = idx.type.shape.slice(0, -1);
  const last = outer.length;
  const parts = Array.from({ length: extents.length - batch }, (_, j) =>
    reshaped(b, ranged(b, idx, last, j, j + 1), outer),
  );
  const stride = (axis: number): number => elements(extents.slice(axis + 1));
  const terms = parts.map((_, j) => {
    const [x, d] = [`to_i64(x${j})`, extents[batch + j] as number];
    return `mul(where(less(${x},0),add(${x},${d}),${x}),${stride(batch + j)})`;
  });
  const own = Array.from({ length: batch }, (_, axis) => `mul(i${axis},${stride(axis)})`);
  const number = [...own, ...terms].reduce((sum, t) => `add(${sum},${t})`);
  const inside = parts
    .map((_, j) => {
      const [x, d] = [`to_i64(x${j})`, extents[batch + j] as number];
      return `and(greater_equal(${x},${-d}),less(${x},${d}))`;
    })
    .reduce((all, t) => `and(${all},${t})`);
  return op.map(b, parts, { expr: `where(${inside},${number},${elements(extents)})`, shape: outer });
}

/** How many axes the positions of a GatherND or ScatterND name, all but the `batch` first ones. */
function namedAxes(at: At, rank: number, idx: Shape, batch: number): number {
  const named = idx.at(-1) ?? 0;
  if (idx.length === 0 || named < 1 || batch + named > rank || batch < 0 || batch >= idx.length)
    at.refuse(`positions [${idx}] with ${batch} axes of a batch do not fit ${rank} axes`);
  return batch + named;
}

const gatherND: Build = (at) => {
  const [b, x, idx, batch] = [at.builder, at.in(0), at.in(1), at.int("batch_dims", 0)];
  const [from, places] = [x.type.shape, idx.type.shape];
  const named = namedAxes(at, from.length, places, batch);
  if (from.slice(0, batch).some((d, i) => d !== places[i])) at.refuse(`batches of [${from}] and [${places}] differ`);
  const [outer, inner] = [from.slice(0, named), from.slice(named)];
  const rows = reshaped(b, x, [elements(outer), elements(inner)]);
  const at1 = reshaped(b, numbered(b, idx, outer, batch), [elements(places.slice(0, -1))]);
  return reshaped(b, op.gather(b, rows, at1, { axis: 0 }), [...places.slice(0, -1), ...inner]);
};

const combinations = { none: "set", add: "add", mul: "mul", min: "min", max: "max" } as const;
function combination(at: At): (typeof combinations)[keyof typeof combinations] {
  const name = at.text("reduction", "none");
  if (!Object.hasOwn(combinations, name)) at.refuse(`reduction ${name} is not known`);
  return combinations[name as keyof typeof combinations];
}

const scatterND: Build = (at) => {
  const [b, x, idx, updates, of] = [at.builder, at.in(0), at.in(1), at.in(2), combination(at)];
  const [from, places] = [x.type.shape, idx.type.shape];
  const named = namedAxes(at, from.length, places, 0);
  const [outer, inner, n] = [from.slice(0, named), from.slice(named), elements(places.slice(0, -1))];
  if (updates.type.shape.join() !== [...places.slice(0, -1), ...inner].join())
    at.refuse(`updates [${updates.type.shape}] do not fit positions [${places}] of [${from}]`);
  const y = op.scatter_rows(
    b,
    reshaped(b, x, [elements(outer), elements(inner)]),
    reshaped(b, numbered(b, idx, outer, 0), [n]),
    reshaped(b, updates, [n, elements(inner)]),
    { axis: 0, of },
  );
  return reshaped(b, y, from);
};

const scatterElements: Build = (at) => {
  const axis = at.axis(at.int("axis", 0), at.shape(0).length);
  return op.scatter_elements(at.builder, at.in(0), at.in(1), at.in(2), { axis, of: combination(at) });
};

/** `on` where the position along the new axis is the index, `off` elsewhere; negative indices count from the end. */
const oneHot: Build = (at) => {
  const [b, idx, values] = [at.builder, at.in(0), at.in(2)];
  const from = idx.type.shape;
  const depth = Math.trunc(scalarOf(at.constant(1)) ?? at.refuse("its depth is too large"));
  if (depth < 0 || elements(at.shape(1)) !== 1) at.refuse(`its depth is [${at.shape(1)}] numbers, the first ${depth}`);
  if (elements(values.type.shape) !== 2) at.refuse(`its values are [${values.type.shape}], not two numbers`);
  const axis = at.axis(at.int("axis", -1), from.length + 1);
  const [off, on] = [0, 1].map((i) => reshaped(b, ranged(b, values, 0, i, i + 1), [])) as [Value, Value];
  const x = "to_i64(x0)";
  return op.map(b, [reshaped(b, idx, from.toSpliced(axis, 0, 1)), off, on], {
    expr: `where(equal(where(less(${x},0),add(${x},${depth}),${x}),i${axis}),x2,x1)`,
    shape: from.toSpliced(axis, 0, depth),
  });
};

/** The positions whose condition holds; conditions that are missing do not hold. */
const compress: Build = (at) => {
  const [b, x] = [at.builder, at.in(0)];
  const kept = Array.from(elementsOf(at.constant(1)) as Uint8Array).flatMap((v, i) => (v ? [i] : []));
  const { shape } = x.type;
  const flat = !at.given("axis");
  const axis = flat ? 0 : at.axis(at.int("axis", 0), shape.length);
  const extent = flat ? elements(shape) : (shape[axis] as number);
  if (kept.some((i) => i >= extent)) at.refuse(`its condition keeps position ${kept.at(-1)} of ${extent}`);
  return takenAt(b, flat ? reshaped(b, x, [extent]) : x, axis, kept);
};

/** Turns the first `lengths[batch]` positions of each batch around. */
const reverseSequence: Build = (at) => {
  const [b, x, lengths] = [at.builder, at.in(0), at.in(1)];
  const { shape } = x.type;
  const [time, batch] = [at.axis(at.int("time_axis", 0), 2), at.axis(at.int("batch_axis", 1), 2)];
  if (shape.length < 2 || time === batch) at.refuse(`[${shape}] has no axes ${time} of time and ${batch} of batches`);
  if (lengths.type.shape.join() !== String(shape[batch]))
    at.refuse(`lengths [${lengths.type.shape}] do not fit [${shape}]`);
  const own = reshaped(
    b,
    lengths,
    shape.map((d, i) => (i === batch ? d : 1)),
  );
  const t = `i${time}`;
  const from = op.map(b, [own], { expr: `where(less(${t},x0),sub(sub(x0,1),${t}),${t})`, shape });
  return op.gather_elements(b, x, from, { axis: time });
};

/** The k largest or smallest elements along an axis, in order, and their positions. */
const topK =
  (k: (at: At) => number): Build =>
  (at) => {
    at.ignore("sorted"); // in order is one of the orders that an unsorted result may have
    const x = at.in(0);
    const axis = at.axis(at.int("axis", -1), x.type.shape.length);
    const y = op.sort(at.builder, x, { axis, k: k(at), largest: at.int("largest", 1) === 1 });
    return [y.values, y.positions];
  };

const cumulate =
  (of: "sum" | "prod"): Build =>
  (at) => {
    const x = at.in(0);
    const [axis = 0] = numbersOf(at.constant(1));
    const [exclusive, reverse] = [at.int("exclusive", 0) === 1, at.int("reverse", 0) === 1];
    return op.cumulate(at.builder, x, { of, axis: at.axis(axis, x.type.shape.length), exclusive, reverse });
  };

const axisOf = (at: At): { readonly axis: number } => ({ axis: at.axis(at.int("axis", 0), at.shape(0).length) });

export const indexing: Rules = {
  Gather: since(1, (at) => op.gather(at.builder, at.in(0), at.in(1), axisOf(at))),
  GatherElements: since(11, (at) => op.gather_elements(at.builder, at.in(0), at.in(1), axisOf(at))),
  GatherND: since(11, gatherND),
  Scatter: since(9, scatterElements),
  ScatterElements: since(11, scatterElements),
  ScatterND: since(11, scatterND),
  OneHot: since(9, oneHot),
  Compress: since(9, compress),
  ReverseSequence: since(10, reverseSequence),
  TopK: [
    since(
      1,
      topK((at) => at.int("k", 0)),
    ),
    since(
      10,
      topK((at) => at.integers(1)[0] ?? 0),
    ),
  ],
  CumSum: since(11, cumulate("sum")),
  CumProd: since(26, cumulate("prod")),
};
