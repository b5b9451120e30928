// Elementwise computations, reductions and running totals in any element type. They are in one file because their
// gradients need each other. Sums of floating point are added in f64; whole numbers wrap around.

import type { Builder } from "../../ir/builder.js";
import { any, numeric } from "../../ir/element_types.js";
import { NdArray } from "../../ir/nd.js";
import { type DType, elements, sameShape, type TensorType, type Value } from "../../ir/types.js";
import { tryAccessOf } from "../access.js";
import { transpose } from "../move.js";
import { type Batch, defineOp, type Op } from "../op.js";
import { sumTo } from "../reduce.js";
import { reshaped } from "../reshaped.js";
import { broadcastIndex, broadcastShape, dim, wantAxis } from "../shape.js";
import { call, type Expr, x } from "./ast.js";
import { castTo, derive, evaluator, isFloat, keepsBits, parse, show, type Typed, typed, wrap } from "./expression.js";
import { accumulator, type FoldAttrs, foldedShape, foldNest, isArg, keptShape, start } from "./fold_nest.js";
import { inLanes, laneCode } from "./lanes.js";
import { eachPosition, type LoopText, literal, loops, type Nest } from "./nest.js";

export type MapAttrs = { expr: string; shape?: readonly number[] };

const typedOf = (xs: readonly TensorType[], { expr }: MapAttrs): Typed =>
  typed(
    parse(expr),
    xs.map((t) => t.dtype),
  );

const shapeOf = (xs: readonly { readonly shape: readonly number[] }[], { shape = [] }: MapAttrs): readonly number[] =>
  xs.reduce<readonly number[]>((s, t) => broadcastShape(s, t.shape), shape);

/** Each row is computed by itself, unless the expression uses its number. */
function rowsOfMap({ expr, shape }: MapAttrs, shapes: readonly (readonly number[])[]): Batch | undefined {
  const space = shapes.reduce<readonly number[]>(broadcastShape, shape ?? []);
  if (space.length === 0 || usesAxis(parse(expr), 0)) return undefined;
  const own = (s: readonly number[]): boolean => s.length === space.length && s[0] === space[0];
  return { rows: shapes.flatMap((s, i) => (own(s) ? [i] : [])), broadcasts: true };
}

const usesAxis = (e: Expr, axis: number): boolean =>
  (e.kind === "position" && e.axis === axis) || (e.kind === "call" && e.args.some((a) => usesAxis(a, axis)));

const usesPosition = (e: Expr | Typed): boolean =>
  e.kind === "position" || (e.kind === "call" && e.args.some((a) => usesPosition(a)));

/** The C++ of an expression whose operands and position are these C++ expressions. */
export function code(e: Typed, k: LoopText, operands: readonly string[], at: readonly string[]): string {
  const visit = (part: Typed): string => {
    if (part.kind === "operand") return operands[part.index] as string;
    if (part.kind === "position") return `int64_t(${at[part.axis]})`;
    if (part.kind === "number") return literal(part.value, k.type(part.dtype));
    const args = part.args.map(visit);
    if (keepsBits(part.name)) {
      const types = [part.dtype, part.args[0]?.dtype as DType].map((t) => k.stored(t));
      return `bits_<${types.join(", ")}>(${args})`;
    }
    if (castTo(part.name)) return `${part.name}(${args})`;
    return `${part.name}_(${args.join(", ")})`;
  };
  return visit(e);
}

/**
 * The expression `expr` (expression.ts) for each element of operands that broadcast to each other and to `shape`. The
 * gradient passes to operands of floating point. Throws if the types in the expression do not fit together.
 */
export const map: Op<readonly ["...xs"], readonly ["y"], MapAttrs> = defineOp({
  name: "map",
  inputs: ["...xs"],
  outputs: ["y"],
  attrs: ["expr", "shape?"],
  types: { xs: any },
  kind: "kernel",
  onnx: "moproc::Map",
  batch: (attrs, _, shapes) => rowsOfMap(attrs, shapes),
  infer: ({ xs }, attrs: MapAttrs) => {
    const { dtype } = typedOf(xs, attrs);
    const shape = shapeOf(xs, attrs);
    if (attrs.shape && !sameShape(shape, attrs.shape))
      throw new Error(`[${shape}] does not broadcast to [${attrs.shape}]`);
    return { y: { dtype, shape } };
  },
  reference: ({ xs }, attrs, types) => {
    const f = evaluator(typedOf(types.xs, attrs));
    const shape = shapeOf(xs, attrs);
    const index = xs.map((v) => broadcastIndex(v.shape, shape));
    const y = NdArray.fill(shape, () => 0);
    const values = xs.map(() => 0); // one array for all elements
    eachPosition(shape, (at, i) => {
      for (let j = 0; j < values.length; j++)
        values[j] = (xs[j] as NdArray).data[(index[j] as Int32Array)[i] as number] as number;
      y.data[i] = f(values, at);
    });
    return { y };
  },
  grad: (b, p, { expr }) => ({
    xs: p.in.xs.map((_, i) => gradient(b, parse(expr), p.in.xs, p.d.y as Value, i)) as Value[],
  }),
  fuses: (n) => {
    if (n.outputs[0]?.type.dtype !== "f32" || n.inputs.length === 0) return false;
    const types = n.inputs.map((v) => v.type);
    return inLanes(typedOf(types, n.attrs as MapAttrs)) && types.every((_, i) => tryAccessOf(n, i) !== undefined);
  },
  code: (operands, { expr }) => [
    laneCode(
      typed(
        parse(expr),
        operands.map(() => "f32" as const),
      ),
      operands,
    ),
  ],
  nest: ({ xs }, attrs): Nest => {
    const e = typedOf(xs, attrs);
    const space = shapeOf(xs, attrs);
    return {
      space,
      work: 1 + calls(e),
      ...(usesPosition(e) ? {} : { pointwise: true }),
      body: (k, at) => {
        const own = (t: TensorType): readonly string[] =>
          usesPosition(e)
            ? t.shape.map((d, i) => (d === 1 ? "0" : (at[i + space.length - t.shape.length] as string)))
            : at;
        const operands = xs.map((t, i) => k.load(i, own(t)));
        return [k.store(0, at, code(e, k, operands, at))];
      },
    };
  },
});

const calls = (e: Typed): number => (e.kind === "call" ? e.args.reduce((n, a) => n + calls(a), 1) : 0);

/** The gradient of the operand `i`; undefined if it has none. */
function gradient(b: Builder, e: Expr, xs: readonly Value[], dy: Value, i: number): Value | undefined {
  const operand = xs[i] as Value;
  if (!isFloat(operand.type.dtype) || !isFloat(dy.type.dtype)) return undefined;
  const d = derive(e, i);
  if (d.kind === "number" && d.value === 0) return undefined;
  const own = operand.type.dtype;
  const seed: Expr = x(xs.length);
  const chain = dy.type.dtype === own ? call("mul", seed, d) : undefined;
  const made = chain ?? call(`to_${own}`, call("mul", seed, d));
  return sumToAny(b, map(b, [...xs, dy], { expr: show(made) }), operand.type.shape);
}

/**
 * The sum, product, largest or smallest element over `axes`, or the position of the largest or smallest along the one
 * axis, i64. NaN if an element is NaN; its position for arg_max and arg_min. Without elements: 0, 1, the smallest and
 * the largest number of the type, 0.
 */
export const fold: Op<readonly ["x"], readonly ["y"], FoldAttrs> = defineOp({
  name: "fold",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["of", "axes", "keepdims?", "last?"],
  types: { x: any },
  kind: "kernel",
  onnx: "moproc::Fold",
  batch: ({ axes }, rank) => (axes.every((a) => wantAxis(a, rank) !== 0) ? { rows: ["x"] } : undefined),
  infer: ({ x }, attrs: FoldAttrs) => {
    if (!["sum", "prod", "max", "min", "arg_max", "arg_min"].includes(attrs.of)) throw new Error(`no fold ${attrs.of}`);
    if (isArg(attrs.of) && attrs.axes.length !== 1) throw new Error(`${attrs.of} has one axis, not [${attrs.axes}]`);
    return { y: { dtype: isArg(attrs.of) ? "i64" : x.dtype, shape: foldedShape(x.shape, attrs) } };
  },
  reference: ({ x }, attrs, types) => {
    const { of, axes, last = false } = attrs;
    const { dtype } = types.x;
    const kept = keptShape(x.shape, axes);
    const index = broadcastIndex(kept, x.shape);
    const values = NdArray.fill(kept, () =>
      start(of === "arg_max" ? "max" : of === "arg_min" ? "min" : of, dtype),
    ).data;
    const positions = new Float64Array(values.length).fill(-1);
    const axis = wantAxis(axes[0] ?? 0, x.shape.length || 1);
    const inner = elements(x.shape.slice(axis + 1));
    const before = (v: number, m: number): boolean => (of.endsWith("max") ? v > m : v < m);
    x.data.forEach((v, i) => {
      const at = index[i] as number;
      const m = values[at] as number;
      if (of === "sum") values[at] = wrap(dtype, m + v);
      else if (of === "prod") values[at] = wrap(dtype, m * v);
      else if (positions[at] === -1 || (!Number.isNaN(m) && (Number.isNaN(v) || before(v, m) || (last && v === m)))) {
        values[at] = v;
        positions[at] = Math.floor(i / inner) % dim(x, axis);
      }
    });
    return { y: new NdArray(foldedShape(x.shape, attrs), isArg(of) ? positions.map((p) => Math.max(p, 0)) : values) };
  },
  grad: (b, p, attrs) => {
    const { x } = p.in;
    const kept = keptShape(x.type.shape, attrs.axes);
    const dy = reshaped(b, p.d.y as Value, kept);
    if (attrs.of === "sum") return { x: map(b, [dy], { expr: "x0", shape: x.type.shape }) };
    if (attrs.of === "prod") return { x: map(b, [others(b, x, attrs.axes), dy], { expr: "mul(x0,x1)" }) };
    if (isArg(attrs.of)) return {};
    return { x: extremeGradient(b, x, p.out.y, dy, attrs.axes) };
  },
  nest: ({ x }, attrs, { y }) => foldNest(x, y, attrs),
});

/** The gradient of the largest or smallest element y over axes; the elements that are equal to it share dy. */
export function extremeGradient(b: Builder, x: Value, y: Value, dy: Value, axes: readonly number[]): Value {
  const kept = keptShape(x.type.shape, axes);
  const [best, seed] = [reshaped(b, y, kept), reshaped(b, dy, kept)];
  const { dtype } = x.type;
  const hit = map(b, [x, best], { expr: `where(equal(x0,x1),to_${dtype}(1),to_${dtype}(0))` });
  const hits = fold(b, hit, { of: "sum", axes, keepdims: true });
  return map(b, [hit, seed, hits], { expr: "div(mul(x0,x1),x2)" });
}

/** For each element of x the product of the others over `axes`, which is exact if elements are 0. */
function others(b: Builder, x: Value, axes: readonly number[]): Value {
  const { shape } = x.type;
  const reduced = axes.map((a) => wantAxis(a, shape.length));
  const perm = [...shape.keys()].filter((i) => !reduced.includes(i)).concat(reduced);
  const rows = transposed(b, x, perm);
  const flat = reshaped(
    b,
    rows,
    [-1, elements(reduced.map((a) => shape[a] as number))].map((d, _, [, n]) =>
      d === -1 ? elements(shape) / (n as number) : d,
    ),
  );
  const run = (reverse: boolean): Value => cumulate(b, flat, { of: "prod", axis: 1, exclusive: true, reverse });
  const both = map(b, [run(false), run(true)], { expr: "mul(x0,x1)" });
  return transposed(
    b,
    reshaped(b, both, rows.type.shape),
    perm.map((_, i) => perm.indexOf(i)),
  );
}

/** The axes of x in another order. */
export const transposed = (b: Builder, x: Value, perm: readonly number[]): Value =>
  perm.every((a, i) => a === i) ? x : transpose(b, x, { perm });

/** x summed to `shape`, which broadcasts to x's shape; in any floating point type. */
export function sumToAny(b: Builder, x: Value, shape: readonly number[]): Value {
  const from = x.type.shape;
  if (sameShape(from, shape)) return x;
  if (x.type.dtype === "f32") return sumTo(b, x, shape);
  const padded = [...Array<number>(from.length - shape.length).fill(1), ...shape];
  const axes = padded.flatMap((d, i) => (d === from[i] ? [] : [i]));
  const y = axes.length > 0 ? fold(b, x, { of: "sum", axes, keepdims: true }) : x;
  return reshaped(b, y, shape);
}

/**
 * The gradient of running products, exact if elements are 0: that by element i is the product of the elements before
 * it, times the sum over all k from i on of dy at k and the elements between i and k. These products are a matrix for
 * each line of x.
 */
function productsGradient(b: Builder, x: Value, dy: Value, attrs: CumulateAttrs): Value {
  const { axis: a, exclusive = false, reverse = false } = attrs;
  const { shape } = x.type;
  const axis = wantAxis(a, shape.length);
  const n = shape[axis] as number;
  const last = [...shape.keys()].filter((i) => i !== axis).concat(axis);
  const count = elements(shape) / Math.max(n, 1);
  const row = (v: Value): Value => reshaped(b, transposed(b, v, last), [count, 1, n]);
  const after = reverse ? "less(i2,i1)" : "greater(i2,i1)";
  const counted = exclusive ? after : reverse ? "less_equal(i2,i1)" : "greater_equal(i2,i1)";
  const one = `to_${x.type.dtype}(1)`;
  const following = map(b, [row(x)], { expr: `where(${after},x0,${one})`, shape: [count, n, n] });
  const between = cumulate(b, following, { of: "prod", axis: 2, exclusive, reverse });
  const parts = map(b, [between, row(dy)], { expr: `where(${counted},mul(x0,x1),to_${x.type.dtype}(0))` });
  const sums = fold(b, parts, { of: "sum", axes: [2] });
  const before = reshaped(b, cumulate(b, row(x), { of: "prod", axis: 2, exclusive: true, reverse }), [count, n]);
  const dx = reshaped(
    b,
    map(b, [before, sums], { expr: "mul(x0,x1)" }),
    last.map((i) => shape[i] as number),
  );
  return transposed(
    b,
    dx,
    last.map((_, i) => last.indexOf(i)),
  );
}

export type CumulateAttrs = { of: "sum" | "prod"; axis: number; exclusive?: boolean; reverse?: boolean };

/** Running sums or products along an axis; exclusive: without the element itself; reverse: from the end. */
export const cumulate: Op<readonly ["x"], readonly ["y"], CumulateAttrs> = defineOp({
  name: "cumulate",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["of", "axis", "exclusive?", "reverse?"],
  types: { x: numeric },
  kind: "kernel",
  onnx: "moproc::Cumulate",
  batch: ({ axis }, rank) => (wantAxis(axis, rank) !== 0 ? { rows: ["x"] } : undefined),
  infer: ({ x }, { of, axis }: CumulateAttrs) => {
    if (of !== "sum" && of !== "prod") throw new Error(`no running ${of}`);
    wantAxis(axis, x.shape.length);
    return { y: x };
  },
  reference: ({ x }, { of, axis: a, exclusive = false, reverse = false }, types) => {
    const axis = wantAxis(a, x.shape.length);
    const [n, inner] = [dim(x, axis), elements(x.shape.slice(axis + 1))];
    const y = NdArray.fill(x.shape, () => 0);
    for (let line = 0; line < x.data.length / n; line++) {
      const first = Math.floor(line / inner) * n * inner + (line % inner);
      let total = of === "sum" ? 0 : 1;
      for (let j = 0; j < n; j++) {
        const i = first + (reverse ? n - 1 - j : j) * inner;
        const v = x.data[i] as number;
        const next = wrap(types.x.dtype, of === "sum" ? total + v : total * v);
        y.data[i] = exclusive ? total : next;
        total = next;
      }
    }
    return { y };
  },
  grad: (b, p, attrs) => {
    const { of, axis, exclusive = false, reverse = false } = attrs;
    if (of === "prod") return { x: productsGradient(b, p.in.x, p.d.y as Value, attrs) };
    return { x: cumulate(b, p.d.y as Value, { of, axis, exclusive, reverse: !reverse }) };
  },
  nest: ({ x }, { of, axis: a, exclusive = false, reverse = false }): Nest => {
    const axis = wantAxis(a, x.shape.length);
    const n = x.shape[axis] as number;
    return {
      space: x.shape.with(axis, 1),
      work: 1 + n,
      body: (k, at) => {
        const type = accumulator(k, x.dtype);
        const here = at.with(axis, reverse ? `(${n - 1} - j0)` : "j0");
        const next = `m = ${of === "sum" ? "add" : "mul"}_(m, v);`;
        return [
          `${type} m = ${literal(of === "sum" ? 0 : 1, type)};`,
          ...loops([n], "j", () => [
            `const ${type} v = ${type}(${k.load(0, here)});`,
            ...(exclusive ? [k.store(0, here, "m"), next] : [next, k.store(0, here, "m")]),
          ]),
        ];
      },
    };
  },
});
