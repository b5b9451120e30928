// Evaluates nodes of foreign models whose inputs are constants, in the element's own type: 64-bit integers exactly, f32
// rounded after each operation. So shapes that a model computes, and weights that it makes, are known when it is
// imported.

import { elements, sameShape } from "../ir/types.js";
import { around } from "../ops/composed/layout.js";
import { broadcastShape } from "../ops/shape.js";
import type { At } from "./at.js";
import { generated, room } from "./generated.js";
import {
  dataTypes,
  type Elements,
  type ElementType,
  elementBytes,
  elementsOf,
  type Tensor,
  tensorOf,
} from "./model.js";
import { decoder, encoder } from "./numbers.js";
import { flattenedShape, repeats, reshapeTo, sliceParts, splitSizes, squeezed, unsqueezed } from "./operators/move.js";
import { listed } from "./operators/take.js";

type Shape = readonly number[];
/** The outputs, in order. */
type Evaluate = (at: At) => Tensor | readonly Tensor[];

const isBig = (t: ElementType): boolean => t === "i64" || t === "u64";
const isFloat = (t: ElementType): boolean => /^b?f/.test(t);

/** The same elements in another shape. */
const withShape = (t: Tensor, dims: Shape): Tensor => ({ ...t, dims });

/** Fills `to` with from[index(i)], in order. */
function gathered(to: Elements, from: Elements, index: (i: number) => number): Elements {
  const [out, source] = [to as Float64Array, from as Float64Array]; // all kinds of elements are only copied
  for (let i = 0; i < out.length; i++) out[i] = source[index(i)] as number;
  return to;
}

/** The given positions of an axis, in this order. */
function take(at: At, t: Tensor, axis: number, positions: readonly number[]): Tensor {
  const [outer, extent, inner] = around(t.dims, axis);
  const dims = t.dims.with(axis, positions.length);
  const from = elementsOf(t) as Float64Array;
  const to = room(at, t.type, dims) as Float64Array;
  if (to.length === 0) return tensorOf("", t.type, dims, to);
  const run = positions.every((p, i) => p === (positions[0] as number) + i); // one block
  for (let o = 0, end = 0; o < outer; o++)
    for (let i = 0; i < positions.length; i += run ? positions.length : 1) {
      const start = (o * extent + (positions[i] as number)) * inner;
      const block = from.subarray(start, start + inner * (run ? positions.length : 1));
      to.set(block, end);
      end += block.length;
    }
  return tensorOf("", t.type, dims, to);
}

function tile(at: At, t: Tensor, times: Shape): Tensor {
  return times.reduce((x, n, axis) => {
    if (n === 1) return x;
    const [outer, extent, inner] = around(x.dims, axis);
    const dims = x.dims.with(axis, extent * n);
    const [from, to] = [elementsOf(x) as Float64Array, room(at, x.type, dims) as Float64Array];
    for (let o = 0; o < outer && to.length > 0; o++) {
      const block = from.subarray(o * extent * inner, (o + 1) * extent * inner);
      for (let r = 0; r < n; r++) to.set(block, (o * n + r) * extent * inner);
    }
    return tensorOf("", x.type, dims, to);
  }, t);
}

function concat(at: At, parts: readonly Tensor[], axis: number): Tensor {
  const [first] = parts as [Tensor];
  const odd = parts.find((p) => p.type !== first.type || !sameShape(p.dims.with(axis, 0), first.dims.with(axis, 0)));
  if (odd) at.refuse(`${odd.type}[${odd.dims}] does not fit ${first.type}[${first.dims}] along axis ${axis}`);
  const dims = first.dims.with(
    axis,
    parts.reduce((s, p) => s + (p.dims[axis] as number), 0),
  );
  const to = room(at, first.type, dims) as Float64Array;
  const blocks = parts.map((p) => ({ x: elementsOf(p) as Float64Array, size: elements(p.dims.slice(axis)) }));
  for (let o = 0, end = 0; end < to.length; o++)
    for (const { x, size } of blocks) {
      to.set(x.subarray(o * size, (o + 1) * size), end);
      end += size;
    }
  return tensorOf("", first.type, dims, to);
}

/** For each element of a tensor of `dims`, in order, where it is in another tensor with a stride for each axis. */
function walk(dims: Shape, strides: Shape): () => number {
  const position = dims.map(() => 0);
  let from = 0;
  return () => {
    const now = from;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      const [p, d, s] = [(position[axis] as number) + 1, dims[axis] as number, strides[axis] as number];
      position[axis] = p % d;
      from += p < d ? s : s - d * s;
      if (p < d) break;
    }
    return now;
  };
}

/** The same for a tensor `from` that is broadcast to `dims`. */
const broadcastWalk = (from: Shape, dims: Shape): (() => number) =>
  walk(
    dims,
    dims.map((_, i) => {
      const axis = i - dims.length + from.length;
      return axis < 0 || from[axis] === 1 ? 0 : elements(from.slice(axis + 1));
    }),
  );

function transpose(at: At, t: Tensor, perm: Shape): Tensor {
  if (perm.length !== t.dims.length) at.refuse(`[${perm}] is no permutation of ${t.dims.length} axes`);
  const axes = at.axes(perm, t.dims.length);
  const dims = axes.map((a) => t.dims[a] as number);
  const strides = axes.map((a) => elements(t.dims.slice(a + 1)));
  return tensorOf("", t.type, dims, gathered(room(at, t.type, dims), elementsOf(t), walk(dims, strides)));
}

function expand(at: At, t: Tensor, to: Shape): Tensor {
  const dims = broadcastShape(t.dims, to);
  const out = room(at, t.type, dims);
  return tensorOf("", t.type, dims, gathered(out, elementsOf(t), broadcastWalk(t.dims, dims)));
}

/** The arithmetic of an operator on two numbers; floats are rounded when they are stored. */
interface Arithmetic {
  readonly float: (x: number, y: number) => number;
  readonly whole: (x: bigint, y: bigint) => bigint;
}
const arithmetic: Readonly<Record<string, Arithmetic>> = {
  Add: { float: (x, y) => x + y, whole: (x, y) => x + y },
  Sub: { float: (x, y) => x - y, whole: (x, y) => x - y },
  Mul: { float: (x, y) => x * y, whole: (x, y) => x * y },
  Div: { float: (x, y) => x / y, whole: (x, y) => x / y },
};

/** A whole number as an element: of the numbers that are equal modulo 2^bits, the one that the type has. */
const wrapped = (type: ElementType, x: bigint): number | bigint => {
  const bits = Number(type.slice(1));
  const y = type.startsWith("i") ? BigInt.asIntN(bits, x) : BigInt.asUintN(bits, x);
  return isBig(type) ? y : Number(y);
};

function binary(at: At, { float, whole }: Arithmetic): Tensor {
  const [a, b] = [at.constant(0), at.constant(1)];
  if (a.type !== b.type || a.type === "bool") at.refuse(`constants ${a.type} and ${b.type}`);
  if (at.version < 7) {
    at.ignore("consumed_inputs");
    if (!sameShape(a.dims, b.dims)) at.refuse("constants of different shapes before version 7");
    at.ignore("axis", "broadcast");
  }
  const dims = broadcastShape(a.dims, b.dims);
  const [out, x, y] = [room(at, a.type, dims), elementsOf(a), elementsOf(b)];
  const position = (t: Tensor): ((i: number) => number) => {
    if (sameShape(t.dims, dims)) return (i) => i;
    if (elements(t.dims) === 1) return () => 0;
    return broadcastWalk(t.dims, dims);
  };
  const [ia, ib] = [position(a), position(b)];
  const [decode, encode] = [decoder(a.type), encoder(a.type)];
  if (isFloat(a.type))
    for (let i = 0; i < out.length; i++)
      out[i] = encode(float(decode(x[ia(i)] as number), decode(y[ib(i)] as number))) as number;
  else
    for (let i = 0; i < out.length; i++) {
      const [p, q] = [BigInt(x[ia(i)] as number), BigInt(y[ib(i)] as number)];
      if (q === 0n && whole === arithmetic.Div?.whole) at.refuse("a division by 0");
      out[i] = wrapped(a.type, whole(p, q)) as number;
    }
  return tensorOf("", a.type, dims, out);
}

function negative(at: At): Tensor {
  const t = at.constant(0);
  at.ignore("consumed_inputs"); // before version 6
  if (t.type === "bool") at.refuse("a constant bool");
  const [x, out] = [elementsOf(t), room(at, t.type, t.dims)];
  for (let i = 0; i < out.length; i++) {
    const v = x[i] as number | bigint;
    if (t.type === "f16" || t.type === "bf16")
      out[i] = Number(v) ^ 0x8000; // the sign
    else out[i] = (isFloat(t.type) ? -Number(v) : wrapped(t.type, -BigInt(v))) as number;
  }
  return tensorOf("", t.type, t.dims, out);
}

function cast(at: At): Tensor {
  const t = at.constant(0);
  at.ignore("saturate", "round_mode");
  const to = dataTypes[at.int("to", 0)];
  if (!to) return at.refuse(`a constant ${t.type} as this type`);
  const [decode, encode] = [decoder(t.type), encoder(to)];
  const [from, out] = [elementsOf(t), room(at, to, t.dims)];
  for (let i = 0; i < out.length; i++) {
    const stored = from[i] as number | bigint;
    const x = typeof stored === "bigint" ? stored : decode(stored);
    if (isFloat(to)) out[i] = encode(Number(x)) as number;
    else if (to === "bool") out[i] = Number(Number(x) !== 0);
    else if (typeof x === "bigint" || Number.isFinite(x))
      out[i] = wrapped(to, BigInt(typeof x === "bigint" ? x : Math.trunc(x))) as number;
    else at.refuse(`${x} as ${to}`);
  }
  return tensorOf("", to, t.dims, out);
}

/** The same bytes as elements of another type. */
function bitCast(at: At): Tensor {
  const [t, to] = [at.constant(0), dataTypes[at.int("to", 0)]];
  if (!to || elementBytes[to] !== elementBytes[t.type])
    return at.refuse(`${t.type} has not as many bits as ${to ?? "this type"}`);
  if (to === "bool" && (elementsOf(t) as Uint8Array).some((x) => x !== 0 && x !== 1))
    at.refuse(`a constant ${t.type} has elements that are no truth values`);
  return { ...t, type: to };
}

/** The value that a Constant has as an attribute. */
function constantOf(at: At): Tensor {
  const vector = (xs: readonly number[] | undefined, type: "f32" | "i64", dims: Shape): Tensor | undefined =>
    xs && tensorOf("", type, dims, type === "f32" ? Float32Array.from(xs) : BigInt64Array.from(xs, (x) => BigInt(x)));
  const one = <T>(name: string, get: (name: string) => T): readonly T[] | undefined =>
    at.given(name) ? [get(name)] : undefined;
  const [floats, ints] = [at.floats("value_floats"), at.ints("value_ints")];
  return (
    at.tensor("value") ??
    vector(
      one("value_float", (n) => at.float(n, 0)),
      "f32",
      [],
    ) ??
    vector(
      one("value_int", (n) => at.int(n, 0)),
      "i64",
      [],
    ) ??
    vector(floats, "f32", [floats?.length ?? 0]) ??
    vector(ints, "i64", [ints?.length ?? 0]) ??
    at.refuse("its value is no tensor and no number")
  );
}

const integers = (xs: readonly number[], dims: Shape): Tensor =>
  tensorOf(
    "",
    "i64",
    dims,
    BigInt64Array.from(xs, (x) => BigInt(x)),
  );

function gather(at: At): Tensor {
  const [t, index] = [at.constant(0), at.constant(1)];
  const axis = at.axis(at.int("axis", 0), t.dims.length);
  const extent = t.dims[axis] as number;
  const positions = at.integers(1).map((i) => (i < 0 ? i + extent : i));
  if (positions.some((p) => p < 0 || p >= extent)) at.refuse(`[${positions}] leaves axis ${axis} of [${t.dims}]`);
  return withShape(take(at, t, axis, positions), [...t.dims.slice(0, axis), ...index.dims, ...t.dims.slice(axis + 1)]);
}

const clamped = (at: At, name: string, otherwise: number, rank: number): number => {
  const a = at.int(name, otherwise);
  return Math.min(Math.max(a < 0 ? a + rank : a, 0), rank);
};

/** Operators that need only the type of their input. */
const ofTypes: Readonly<Record<string, Evaluate>> = {
  Shape: (at) => {
    const { shape } = at.typeOnly(0);
    const part = shape.slice(clamped(at, "start", 0, shape.length), clamped(at, "end", shape.length, shape.length));
    return integers(part, [part.length]);
  },
  Size: (at) => integers([elements(at.typeOnly(0).shape)], []),
};

/** Operators on constants. */
const ofConstants: Readonly<Record<string, Evaluate>> = {
  Constant: constantOf,
  Identity: (at) => at.constant(0),
  Cast: cast,
  BitCast: bitCast,
  Neg: negative,
  ...generated,
  Gather: gather,
  ...Object.fromEntries(Object.entries(arithmetic).map(([name, a]) => [name, (at: At) => binary(at, a)])),
  Concat: (at) => {
    const parts = Array.from({ length: at.count }, (_, i) => at.constant(i));
    return concat(at, parts, at.axis(at.int("axis", 1), parts[0]?.dims.length ?? 0));
  },
  Slice: (at) => {
    const t = at.constant(0);
    return sliceParts(at, t.dims).reduce(
      (x, { axis, first, step, count }) =>
        take(
          at,
          x,
          axis,
          listed(count, (i) => first + i * step),
        ),
      t,
    );
  },
  Reshape: (at) => {
    const t = at.constant(0);
    const asked = at.version < 5 ? (at.ints("shape") ?? []) : at.integers(1);
    return withShape(t, reshapeTo(at, t.dims, asked, at.int("allowzero", 0) === 1));
  },
  Flatten: (at) => withShape(at.constant(0), flattenedShape(at, at.shape(0))),
  Squeeze: (at) => withShape(at.constant(0), squeezed(at, at.shape(0), at.integersOf("axes", 1, 13))),
  Unsqueeze: (at) => withShape(at.constant(0), unsqueezed(at, at.shape(0), at.integersOf("axes", 1, 13))),
  Transpose: (at) =>
    transpose(at, at.constant(0), at.ints("perm") ?? at.shape(0).map((_, i, { length }) => length - 1 - i)),
  Tile: (at) => tile(at, at.constant(0), repeats(at, at.shape(0).length)),
  Split: (at) => {
    const t = at.constant(0);
    const { axis, sizes } = splitSizes(at, t.dims);
    let end = 0;
    return sizes.map((n) => {
      end += n;
      return take(
        at,
        t,
        axis,
        listed(n, (i) => end - n + i),
      );
    });
  },
  Expand: (at) => expand(at, at.constant(0), at.integers(1)),
};

/** How an operator is evaluated; `typesOnly`: if only the types of its inputs are known. undefined: it is not. */
export function evaluatorOf(operator: string, typesOnly: boolean): Evaluate | undefined {
  if (Object.hasOwn(ofTypes, operator)) return ofTypes[operator];
  return !typesOnly && Object.hasOwn(ofConstants, operator) ? ofConstants[operator] : undefined;
}

/** Whether an operator is supported on constants at least. */
export const isEvaluated = (operator: string): boolean => evaluatorOf(operator, false) !== undefined;

/** The operators that are evaluated. */
export const evaluated: readonly string[] = Object.keys({ ...ofTypes, ...ofConstants });
