// Ops that only move elements. Shapes are logical, but a 4-D tensor is stored channels-last. A reshape is a view, so it
// throws if the stored order would have to change.

import type { Builder } from "../ir/builder.js";
import { any, floats, i64 } from "../ir/element_types.js";
import { NdArray } from "../ir/nd.js";
import { elements, sameShape, type TensorType, type Value } from "../ir/types.js";
import { constant } from "./constant.js";
import { defineOp, type Op } from "./op.js";
import { broadcastIndex, broadcastShape, dim, wantAxis, wantInteger, wantRank } from "./shape.js";

type ShapeAttrs = { shape: readonly number[] };

/** Whether the storage order is the logical order: true of 4-D tensors only with one channel or one pixel. */
const isPlain = (s: readonly number[]): boolean =>
  s.length !== 4 || s[1] === 1 || (s[2] as number) * (s[3] as number) === 1;
const sameOrder = (a: readonly number[], b: readonly number[]): boolean =>
  sameShape(a, b) || (isPlain(a) && isPlain(b)) || (a.length === 4 && b.length === 4 && a[0] === b[0] && a[1] === b[1]);

/**
 * The same elements, in row-major order, with another shape. One extent of `shape` may be -1; it is computed from the
 * others. Throws if the numbers of elements differ or the elements would have to move in memory.
 */
export const reshape: Op<readonly ["x"], readonly ["y"], ShapeAttrs> = defineOp({
  name: "reshape",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["shape"],
  types: { x: any },
  kind: "view",
  onnx: "Reshape",
  batch: { rows: ["x"] },
  infer: ({ x }, { shape }: ShapeAttrs) => {
    const y = resolve(x, shape);
    if (!sameOrder(x.shape, y)) {
      throw new Error(`[${x.shape}] to [${y}] reorders memory: 4-D tensors are stored channels-last`);
    }
    return { y: { dtype: x.dtype, shape: y } };
  },
  reference: ({ x }, { shape }) => ({ y: new NdArray(resolve(x, shape), x.data) }),
  grad: (b, p) => ({ x: reshape(b, p.d.y as Value, { shape: p.in.x.type.shape }) }),
});

function resolve(x: { readonly shape: readonly number[] }, shape: readonly number[]): number[] {
  const size = elements(x.shape);
  const known = elements(shape.filter((d) => d !== -1));
  const free = shape.filter((d) => d === -1).length;
  if (free > 1) throw new Error(`shape [${shape}] leaves ${free} extents open`);
  const y = shape.map((d) => (d === -1 ? size / known : d));
  for (const d of y) if (!Number.isInteger(d) || d < 0) throw new Error(`${size} elements do not fill [${shape}]`);
  if (elements(y) !== size) throw new Error(`[${x.shape}] has ${size} elements, [${shape}] ${elements(y)}`);
  return y;
}

type PermAttrs = { perm: readonly number[] };
/** Axis i of the result is axis perm[i] of x. */
export const transpose: Op<readonly ["x"], readonly ["y"], PermAttrs> = defineOp({
  name: "transpose",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["perm"],
  types: { x: any },
  kind: "kernel",
  onnx: "Transpose",
  batch: ({ perm }) => (perm[0] === 0 ? { rows: ["x"] } : undefined),
  infer: ({ x }, { perm }: PermAttrs) => {
    if (perm.length !== x.shape.length || perm.toSorted((a, b) => a - b).some((a, i) => a !== i)) {
      throw new Error(`[${perm}] is no permutation of ${x.shape.length} axes`);
    }
    return { y: { dtype: x.dtype, shape: perm.map((a) => dim(x, a)) } };
  },
  reference: ({ x }, { perm }) => {
    const shape = perm.map((a) => dim(x, a));
    const stride = perm.map((a) => elements(x.shape.slice(a + 1)));
    return {
      y: NdArray.fill(shape, (i) => {
        let rest = i;
        let from = 0;
        for (let axis = shape.length - 1; axis >= 0; axis--) {
          from += (rest % (shape[axis] as number)) * (stride[axis] as number);
          rest = Math.floor(rest / (shape[axis] as number));
        }
        return x.data[from] as number;
      }),
    };
  },
  grad: (b, p, { perm }) => ({
    x: transpose(b, p.d.y as Value, { perm: perm.map((_, i) => perm.indexOf(i)) }),
  }),
});

/** The products of the extents before and after `axis`: concat and slice see a tensor as [outer, extent, inner]. */
const around = (shape: readonly number[], axis: number): { outer: number; inner: number } => ({
  outer: elements(shape.slice(0, axis)),
  inner: elements(shape.slice(axis + 1)),
});

type AxisAttrs = { axis: number };
/** The operands one after the other along `axis`. Throws if dtypes or other extents differ, or there is no operand. */
export const concat: Op<readonly ["...xs"], readonly ["y"], AxisAttrs> = defineOp({
  name: "concat",
  inputs: ["...xs"],
  outputs: ["y"],
  attrs: ["axis"],
  types: { xs: any },
  oneType: true,
  kind: "kernel",
  onnx: "Concat",
  batch: ({ axis }, rank) => (wantAxis(axis, rank) !== 0 ? { rows: ["xs"] } : undefined),
  infer: ({ xs }, attrs: AxisAttrs): { y: TensorType } => {
    const first = xs[0];
    if (!first) throw new Error("nothing to concatenate");
    const axis = wantAxis(attrs.axis, first.shape.length);
    for (const x of xs) {
      if (
        !sameShape(x.shape.toSpliced(axis, 1), first.shape.toSpliced(axis, 1)) ||
        x.shape.length !== first.shape.length
      ) {
        throw new Error(`[${first.shape}] and [${x.shape}] differ outside axis ${axis}`);
      }
    }
    const extent = xs.reduce((s, x) => s + dim(x, axis), 0);
    return { y: { dtype: first.dtype, shape: first.shape.with(axis, extent) } };
  },
  reference: ({ xs }, attrs) => {
    const first = xs[0] as NdArray;
    const axis = wantAxis(attrs.axis, first.shape.length);
    const { outer } = around(first.shape, axis);
    const shape = first.shape.with(
      axis,
      xs.reduce((s, x) => s + dim(x, axis), 0),
    );
    const parts = Array.from({ length: outer }, (_, o) =>
      xs.flatMap((x) => [...x.data.subarray((o * x.data.length) / outer, ((o + 1) * x.data.length) / outer)]),
    );
    return { y: new NdArray(shape, Float64Array.from(parts.flat())) };
  },
  grad: (b, p, attrs) => {
    const axis = wantAxis(attrs.axis, p.out.y.type.shape.length);
    let end = 0;
    return {
      xs: p.in.xs.map((x) => {
        const start = end;
        end += dim(x.type, axis);
        return slice(b, p.d.y as Value, { axis, start, end });
      }),
    };
  },
});

type ChannelsAttrs = { channels: number };
/** x [N, C, H, W] -> y [N, channels, H, W], channels >= C: the channels that x does not have are 0. */
export const pad_channels: Op<readonly ["x"], readonly ["y"], ChannelsAttrs> = defineOp({
  name: "pad_channels",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["channels"],
  types: { x: floats },
  kind: "kernel",
  onnx: "Pad",
  batch: { rows: ["x"] },
  infer: ({ x }, { channels }: ChannelsAttrs) => {
    wantRank("x", x, 4);
    wantInteger("channels", channels, dim(x, 1));
    return { y: { dtype: x.dtype, shape: x.shape.with(1, channels) } };
  },
  reference: ({ x }, { channels }) => {
    const [from, to] = [x.data.length, (x.data.length / dim(x, 1)) * channels].map((size) => size / dim(x, 0));
    const y = NdArray.fill(x.shape.with(1, channels), () => 0);
    for (let n = 0; n < dim(x, 0); n++) {
      y.data.set(x.data.subarray(n * (from as number), (n + 1) * (from as number)), n * (to as number));
    }
    return { y };
  },
  grad: (b, p) => ({ x: slice(b, p.d.y as Value, { axis: 1, start: 0, end: dim(p.in.x.type, 1) }) }),
});

/** Zeros of the element type of x. Those that are not f32 are made by the op `map`, whose file imports this one. */
const zerosLike = (b: Builder, { type: { dtype } }: Value, shape: readonly number[]): Value =>
  dtype === "f32"
    ? constant(b, { values: [0], shape })
    : (b.emit("map", [], { expr: `to_${dtype}(0)`, shape })[0] as Value);

type SliceAttrs = { axis: number; start: number; end: number };
/** The positions start <= i < end of `axis`. Throws if the range leaves the tensor. */
export const slice: Op<readonly ["x"], readonly ["y"], SliceAttrs> = defineOp({
  name: "slice",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["axis", "start", "end"],
  types: { x: any },
  kind: "kernel",
  onnx: "Slice",
  batch: ({ axis }, rank) => (wantAxis(axis, rank) !== 0 ? { rows: ["x"] } : undefined),
  infer: ({ x }, { axis: a, start, end }: SliceAttrs) => {
    const axis = wantAxis(a, x.shape.length);
    wantInteger("start", start, 0);
    if (!Number.isInteger(end) || end < start || end > dim(x, axis)) {
      throw new Error(`[${start}, ${end}) is no range of axis ${axis} with ${dim(x, axis)} positions`);
    }
    return { y: { dtype: x.dtype, shape: x.shape.with(axis, end - start) } };
  },
  reference: ({ x }, { axis: a, start, end }) => {
    const axis = wantAxis(a, x.shape.length);
    const { outer, inner } = around(x.shape, axis);
    const extent = dim(x, axis);
    const parts = Array.from({ length: outer }, (_, o) => [
      ...x.data.subarray((o * extent + start) * inner, (o * extent + end) * inner),
    ]);
    return { y: new NdArray(x.shape.with(axis, end - start), Float64Array.from(parts.flat())) };
  },
  grad: (b, p, { axis: a, start, end }) => {
    const shape = p.in.x.type.shape;
    const axis = wantAxis(a, shape.length);
    const zeros = (n: number): Value[] => (n > 0 ? [zerosLike(b, p.d.y as Value, shape.with(axis, n))] : []);
    const parts = [...zeros(start), p.d.y as Value, ...zeros((shape[axis] as number) - end)];
    return { x: parts.length === 1 ? (p.d.y as Value) : concat(b, parts, { axis }) };
  },
});

function checkRows(x: TensorType, idx: TensorType): void {
  wantRank("idx", idx, 1);
  if (x.shape.length === 0) throw new Error("x has no rows");
  if (dim(x, 0) !== dim(idx, 0)) throw new Error(`idx permutes ${dim(idx, 0)} rows, x has ${dim(x, 0)}`);
}

/** Throws unless idx contains each row number once; otherwise the two ops would not be inverse to each other. */
function checkPermutation(idx: NdArray): void {
  const seen = new Set(idx.data);
  if (seen.size !== idx.data.length || !idx.data.every((i) => i >= 0 && i < idx.data.length)) {
    throw new Error(`idx [${[...idx.data]}] is no permutation`);
  }
}

type Permutation = Op<readonly ["x", "idx"], readonly ["y"], Record<never, never>>;

/**
 * An op that permutes the rows of x [N, ...] by idx i64[N]: for each i, row `to` of the result is row `from` of x, both
 * given by rowsAt(i, idx[i]). Its gradient is the op that `inverse` returns.
 */
function rowPermutation(
  name: string,
  onnx: string,
  rowsAt: (i: number, idx: number) => { readonly to: number; readonly from: number },
  inverse: () => Permutation,
): Permutation {
  return defineOp({
    name,
    inputs: ["x", "idx"],
    outputs: ["y"],
    types: { x: any, idx: i64 },
    kind: "kernel",
    onnx,
    permutation: "idx",
    infer: ({ x, idx }, _: Record<never, never>) => {
      checkRows(x, idx);
      return { y: x };
    },
    reference: ({ x, idx }) => {
      checkPermutation(idx);
      const width = elements(x.shape.slice(1));
      const y = NdArray.fill(x.shape, () => 0);
      idx.data.forEach((at, i) => {
        const { to, from } = rowsAt(i, at);
        y.data.set(x.data.subarray(from * width, (from + 1) * width), to * width);
      });
      return { y };
    },
    grad: (b, p) => ({ x: inverse()(b, p.d.y as Value, p.in.idx) }),
  });
}

/** y[i] = x[idx[i]] for the rows of x [N, ...]; idx i64[N] is a permutation. */
export const take_rows: Permutation = rowPermutation(
  "take_rows",
  "Gather",
  (i, idx) => ({ to: i, from: idx }),
  () => put_rows,
);

/** y[idx[i]] = x[i] for the rows of x [N, ...]; idx i64[N] is a permutation. The inverse of take_rows. */
export const put_rows: Permutation = rowPermutation(
  "put_rows",
  "moproc::PutRows",
  (i, idx) => ({ to: idx, from: i }),
  () => take_rows,
);

/**
 * A copy of x broadcast to `shape`, for the few broadcasts that the body of a kernel cannot express. The pass `expand`
 * inserts it; models use broadcast_to. Throws if x does not broadcast to `shape`.
 */
export const broadcast_copy: Op<readonly ["x"], readonly ["y"], ShapeAttrs> = defineOp({
  name: "broadcast_copy",
  inputs: ["x"],
  outputs: ["y"],
  attrs: ["shape"],
  types: { x: any },
  kind: "kernel",
  onnx: "Expand",
  infer: ({ x }, { shape }: ShapeAttrs) => {
    if (!sameShape(broadcastShape(x.shape, shape), shape))
      throw new Error(`[${x.shape}] does not broadcast to [${shape}]`);
    return { y: { dtype: x.dtype, shape } };
  },
  reference: ({ x }, { shape }) => {
    const index = broadcastIndex(x.shape, shape);
    return { y: NdArray.fill(shape, (i) => x.data[index[i] as number] as number) };
  },
});
