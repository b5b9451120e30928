// Elements at computed positions: reading them (gather) and writing them (scatter), in any element type. A negative
// position counts from the end of its axis. A position outside of it reads 0, and nothing is written there.

import type { Builder } from "../../ir/builder.js";
import { any, positions } from "../../ir/element_types.js";
import { NdArray } from "../../ir/nd.js";
import { elements, type TensorType, type Value } from "../../ir/types.js";
import { defineOp, type Op } from "../op.js";
import { reshaped } from "../reshaped.js";
import { dim, wantAxis, wantShape } from "../shape.js";
import { wrap } from "./expression.js";
import { map } from "./map.js";
import { eachPosition, type LoopText, loops, type Nest } from "./nest.js";

type AxisAttrs = { axis: number };
type Shape = readonly number[];

const inside = (i: number, n: number): number => (i < 0 ? i + n : i);
const valid = (i: number, n: number): boolean => i >= 0 && i < n;
/** The tensor of zeros of this type. */
export const zerosOf = (b: Builder, t: TensorType): Value => map(b, [], { expr: `to_${t.dtype}(0)`, shape: t.shape });
/** `if (position of axis is inside) { ... }` around the statements; the position is in the variable `at`. */
const ifInside = (k: LoopText, operand: number, index: readonly string[], n: number, name: string): string =>
  `const int64_t ${name} = inside_(${k.load(operand, index)}, ${n});`;

export type Scatter = "set" | "add" | "mul" | "min" | "max";
type ScatterAttrs = { axis: number; of: Scatter };
const combine = (of: Scatter, old: number, v: number): number => {
  if (of === "add") return old + v;
  if (of === "mul") return old * v;
  return of === "set" ? v : of === "min" ? Math.min(old, v) : Math.max(old, v);
};
/** The statement that combines the element `to` of the result with the update `from`. */
function write(of: Scatter, k: LoopText, to: readonly string[], from: readonly string[]): string {
  const update = k.load(2, from);
  return k.store(0, to, of === "set" ? update : `${of}_(${k.again(0, to)}, ${update})`);
}
const wantScatter = (of: string): void => {
  if (!["set", "add", "mul", "min", "max"].includes(of)) throw new Error(`no scatter ${of}`);
};

interface Combined {
  readonly x: Value;
  readonly updates: Value;
  readonly y: Value;
  readonly dy: Value;
}

/**
 * The gradients of a scatter that combines. `read` returns what a tensor of x's shape has at the updates' positions;
 * `put` scatters. Equal smallest or largest elements share the gradient. A product's derivative by one factor is the
 * product of the others, also if factors are 0.
 */
function combinedGradient(
  b: Builder,
  of: "mul" | "min" | "max",
  { x, updates, y, dy }: Combined,
  read: (v: Value) => Value,
  put: (x: Value, updates: Value, of: Scatter) => Value,
): { x: Value; updates: Value } {
  const one = `to_${x.type.dtype}(1)`;
  const both = (expr: string): [Value, Value] => [map(b, [x], { expr }), map(b, [updates], { expr })];
  if (of !== "mul") {
    const expr = `where(equal(x0,x1),${one},0)`;
    const [own, others] = [map(b, [x, y], { expr }), map(b, [updates, read(y)], { expr })];
    const share = map(b, [dy, put(own, others, "add")], { expr: "where(equal(x1,0),0,div(x0,x1))" });
    const product = "mul(x0,x1)";
    return { x: map(b, [own, share], { expr: product }), updates: map(b, [others, read(share)], { expr: product }) };
  }
  const zeros = put(...both(`where(equal(x0,0),${one},0)`), "add");
  const rest = put(...both("where(equal(x0,0),1,x0)"), "mul"); // the product of those that are not 0
  const expr = "mul(x3,where(equal(x0,0),where(equal(x1,1),x2,0),where(equal(x1,0),div(x2,x0),0)))";
  return {
    x: map(b, [x, zeros, rest, dy], { expr }),
    updates: map(b, [updates, read(zeros), read(rest), read(dy)], { expr }),
  };
}

/**
 * y[a, i, c] = x[a, idx[i], c], where a are the axes of x before `axis`, i those of idx, and c those of x after `axis`.
 */
export const gather: Op<readonly ["x", "idx"], readonly ["y"], AxisAttrs> = defineOp({
  name: "gather",
  inputs: ["x", "idx"],
  outputs: ["y"],
  attrs: ["axis"],
  types: { x: any, idx: positions },
  kind: "kernel",
  onnx: "Gather",
  batch: ({ axis }, rank, shapes) => {
    if (wantAxis(axis, rank) !== 0) return { rows: ["x"] };
    return shapes[1]?.length === 0 ? undefined : { rows: ["idx"] }; // rows of a table
  },
  infer: ({ x, idx }, { axis: a }: AxisAttrs) => ({
    y: { dtype: x.dtype, shape: gatheredShape(x, idx, wantAxis(a, x.shape.length)) },
  }),
  reference: ({ x, idx }, { axis: a }) => {
    const axis = wantAxis(a, x.shape.length);
    const [inner, n, m] = [elements(x.shape.slice(axis + 1)), dim(x, axis), idx.data.length];
    return {
      y: NdArray.fill(gatheredShape(x, idx, axis), (i) => {
        const at = inside(idx.data[Math.floor(i / inner) % m] as number, n);
        const outer = Math.floor(i / inner / m);
        return valid(at, n) ? (x.data[(outer * n + at) * inner + (i % inner)] as number) : 0;
      }),
    };
  },
  grad: (b, p, { axis: a }) => {
    const axis = wantAxis(a, p.in.x.type.shape.length);
    return { x: scatter_rows(b, zerosOf(b, p.in.x.type), p.in.idx, p.d.y as Value, { axis, of: "add" }) };
  },
  nest: ({ x, idx }, { axis: a }, { y }): Nest => {
    const axis = wantAxis(a, x.shape.length);
    const last = axis + idx.shape.length;
    return {
      space: y.shape,
      work: 2,
      body: (k, at) => [
        ifInside(k, 1, at.slice(axis, last), x.shape[axis] as number, "j"),
        k.store(0, at, `j < 0 ? ${k.type(x.dtype)}(0) : ${k.load(0, [...at.slice(0, axis), "j", ...at.slice(last)])}`),
      ],
    };
  },
});

const gatheredShape = (x: { readonly shape: Shape }, idx: { readonly shape: Shape }, axis: number): Shape => [
  ...x.shape.slice(0, axis),
  ...idx.shape,
  ...x.shape.slice(axis + 1),
];

/** The inverse of gather: y = x, then y[a, idx[i], c] is combined by `of` with updates[a, i, c] in the order of i. */
export const scatter_rows: Op<readonly ["x", "idx", "updates"], readonly ["y"], ScatterAttrs> = defineOp({
  name: "scatter_rows",
  inputs: ["x", "idx", "updates"],
  outputs: ["y"],
  attrs: ["axis", "of"],
  types: { x: any, idx: positions, updates: any },
  oneType: ["x", "updates"],
  kind: "kernel",
  onnx: "moproc::ScatterRows",
  infer: ({ x, idx, updates }, { axis: a, of }: ScatterAttrs) => {
    wantScatter(of);
    const shape = gatheredShape(x, idx, wantAxis(a, x.shape.length));
    wantShape("updates", updates, shape);
    return { y: x };
  },
  reference: ({ x, idx, updates }, { axis: a, of }, types) => {
    const axis = wantAxis(a, x.shape.length);
    const [inner, n, m] = [elements(x.shape.slice(axis + 1)), dim(x, axis), idx.data.length];
    const y = new NdArray(x.shape, x.data.slice());
    updates.data.forEach((v, i) => {
      const at = inside(idx.data[Math.floor(i / inner) % m] as number, n);
      const to = (Math.floor(i / inner / m) * n + at) * inner + (i % inner);
      if (valid(at, n)) y.data[to] = wrap(types.x.dtype, combine(of, y.data[to] as number, v));
    });
    return { y };
  },
  grad: (b, p, { axis, of }) => {
    const dy = p.d.y as Value;
    const { x, idx, updates } = p.in;
    if (of !== "add" && of !== "set")
      return combinedGradient(
        b,
        of,
        { x, updates, y: p.out.y, dy },
        (v) => gather(b, v, idx, { axis }),
        (v, u, by) => scatter_rows(b, v, idx, u, { axis, of: by }),
      );
    const read = gather(b, dy, idx, { axis });
    if (of === "add") return { x: dy, updates: read };
    // of several updates of one row, the last has set it
    const at = wantAxis(axis, x.type.shape.length);
    const strides = idx.type.shape.map((_, i) => elements(idx.type.shape.slice(i + 1)));
    const number = strides.reduce((e, s, i) => `add(${e},mul(i${i},${s}))`, "to_i64(0)");
    const order = map(b, [], { expr: number, shape: idx.type.shape });
    const nobody = zerosOf(b, { dtype: "i64", shape: [x.type.shape[at] as number] });
    const owner = gather(b, scatter_rows(b, nobody, idx, order, { axis: 0, of: "set" }), idx, { axis: 0 });
    const own = map(b, [owner, order], { expr: "equal(x0,x1)" });
    const mask = reshaped(b, own, [...idx.type.shape, ...x.type.shape.slice(at + 1).map(() => 1)]);
    return {
      x: scatter_rows(b, dy, idx, zerosOf(b, updates.type), { axis, of }),
      updates: map(b, [mask, read], { expr: "where(x0,x1,0)" }),
    };
  },
  nest: ({ x, idx }, { axis: a, of }): Nest => {
    const axis = wantAxis(a, x.shape.length);
    const n = x.shape[axis] as number;
    return {
      space: x.shape.with(axis, 1),
      work: n + 2 * elements(idx.shape),
      body: (k, at) => {
        const to = (j: string): string[] => at.with(axis, j);
        return [
          ...loops([n], "j", ([j]) => [k.store(0, to(j as string), k.load(0, to(j as string)))]),
          ...loops(idx.shape, "i", (i) => [
            ifInside(k, 1, i, n, "to"),
            `if (to >= 0) ${write(of, k, to("to"), [...at.slice(0, axis), ...i, ...at.slice(axis + 1)])}`,
          ]),
        ];
      },
    };
  },
});

/** y[..., i, ...] = x[..., idx[..., i, ...], ...] along `axis`, for the positions of idx, which has x's rank. */
export const gather_elements: Op<readonly ["x", "idx"], readonly ["y"], AxisAttrs> = defineOp({
  name: "gather_elements",
  inputs: ["x", "idx"],
  outputs: ["y"],
  attrs: ["axis"],
  types: { x: any, idx: positions },
  kind: "kernel",
  onnx: "GatherElements",
  infer: ({ x, idx }, { axis }: AxisAttrs) => {
    checkInside(x, idx, wantAxis(axis, x.shape.length));
    return { y: { dtype: x.dtype, shape: idx.shape } };
  },
  reference: ({ x, idx }, { axis: a }) => {
    const axis = wantAxis(a, x.shape.length);
    const y = NdArray.fill(idx.shape, () => 0);
    eachPosition(idx.shape, (at, i) => {
      const from = inside(idx.data[i] as number, dim(x, axis));
      y.data[i] = valid(from, dim(x, axis)) ? x.at(...at.with(axis, from)) : 0;
    });
    return { y };
  },
  grad: (b, p, { axis }) => ({
    x: scatter_elements(b, zerosOf(b, p.in.x.type), p.in.idx, p.d.y as Value, { axis, of: "add" }),
  }),
  nest: ({ x, idx }, { axis: a }): Nest => {
    const axis = wantAxis(a, x.shape.length);
    return {
      space: idx.shape,
      work: 2,
      body: (k, at) => [
        ifInside(k, 1, at, x.shape[axis] as number, "j"),
        k.store(0, at, `j < 0 ? ${k.type(x.dtype)}(0) : ${k.load(0, at.with(axis, "j"))}`),
      ],
    };
  },
});

function checkInside(x: TensorType, idx: TensorType, axis: number): void {
  if (idx.shape.length !== x.shape.length || idx.shape.some((d, i) => i !== axis && d > dim(x, i)))
    throw new Error(`positions [${idx.shape}] leave [${x.shape}] beside axis ${axis}`);
}

/** y = x, then y[..., idx[..., i, ...], ...] is combined by `of` with updates[..., i, ...] in the order of i. */
export const scatter_elements: Op<readonly ["x", "idx", "updates"], readonly ["y"], ScatterAttrs> = defineOp({
  name: "scatter_elements",
  inputs: ["x", "idx", "updates"],
  outputs: ["y"],
  attrs: ["axis", "of"],
  types: { x: any, idx: positions, updates: any },
  oneType: ["x", "updates"],
  kind: "kernel",
  onnx: "ScatterElements",
  infer: ({ x, idx, updates }, { axis, of }: ScatterAttrs) => {
    wantScatter(of);
    checkInside(x, idx, wantAxis(axis, x.shape.length));
    wantShape("updates", updates, idx.shape);
    return { y: x };
  },
  reference: ({ x, idx, updates }, { axis: a, of }, types) => {
    const axis = wantAxis(a, x.shape.length);
    const y = new NdArray(x.shape, x.data.slice());
    eachPosition(idx.shape, (at, i) => {
      const n = inside(idx.data[i] as number, dim(x, axis));
      const to = at.with(axis, n);
      if (valid(n, dim(x, axis))) y.set(to, wrap(types.x.dtype, combine(of, y.at(...to), updates.data[i] as number)));
    });
    return { y };
  },
  grad: (b, p, { axis, of }) => {
    const dy = p.d.y as Value;
    const { x, idx, updates } = p.in;
    if (of !== "add" && of !== "set")
      return combinedGradient(
        b,
        of,
        { x, updates, y: p.out.y, dy },
        (v) => gather_elements(b, v, idx, { axis }),
        (v, u, by) => scatter_elements(b, v, idx, u, { axis, of: by }),
      );
    const read = gather_elements(b, dy, idx, { axis });
    if (of === "add") return { x: dy, updates: read };
    const number = `i${wantAxis(axis, x.type.shape.length)}`;
    const order = map(b, [], { expr: number, shape: idx.type.shape });
    const nobody = zerosOf(b, { dtype: "i64", shape: x.type.shape });
    const owner = gather_elements(b, scatter_elements(b, nobody, idx, order, { axis, of }), idx, { axis });
    return {
      x: scatter_elements(b, dy, idx, zerosOf(b, updates.type), { axis, of }),
      updates: map(b, [owner, order, read], { expr: "where(equal(x0,x1),x2,0)" }),
    };
  },
  nest: ({ x, idx }, { axis: a, of }): Nest => {
    const axis = wantAxis(a, x.shape.length);
    const [n, m] = [x.shape[axis] as number, idx.shape[axis] as number];
    return {
      space: x.shape.with(axis, 1),
      work: n + 2 * m,
      body: (k, at) => {
        const here = (j: string): string[] => at.with(axis, j);
        const within = at.flatMap((i, ax) =>
          ax !== axis && (idx.shape[ax] as number) < (x.shape[ax] as number) ? [`${i} < ${idx.shape[ax]}`] : [],
        );
        return [
          ...loops([n], "j", ([j]) => [k.store(0, here(j as string), k.load(0, here(j as string)))]),
          `if (${within.join(" && ") || "true"}) {`,
          ...loops([m], "i", ([i]) => [
            ifInside(k, 1, here(i as string), n, "to"),
            `if (to >= 0) ${write(of, k, here("to"), here(i as string))}`,
          ]),
          "}",
        ];
      },
    };
  },
});
