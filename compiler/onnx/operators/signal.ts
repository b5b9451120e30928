// Discrete Fourier transforms: products with a matrix of cosines and sines, in f64, rounded once.

import type { Builder } from "../../ir/builder.js";
import { elements, type Value } from "../../ir/types.js";
import { converted } from "../../ops/composed/compute.js";
import { reshaped, transposed } from "../../ops/composed/layout.js";
import * as op from "../../ops/index.js";
import { type Build, type Rules, since } from "./rule.js";
import { ranged } from "./take.js";

interface Transform {
  readonly length: number;
  readonly inverse: boolean;
  readonly onesided: boolean; // only the first half of the frequencies is there, because the signal is real
}

/** The angle of a product of two positions: 2 pi times its remainder, divided by the length. */
const angle = (p: string, q: string, length: number): string =>
  `mul(to_f64(mod(mul(${p},${q}),${length})),${(2 * Math.PI) / length})`;

/**
 * The matrix of a transform, f64[from * parts, to * parts of the result]: rows are real, or real and imaginary parts in
 * turn, and so are the columns.
 */
function matrix(b: Builder, from: number, parts: number, to: number, { length, inverse, onesided }: Transform): Value {
  const [row, part] = [`div(i0,${parts})`, `mod(i0,${parts})`];
  if (inverse && onesided) {
    const turn = angle(row, "i1", length);
    const twice = `where(or(equal(${row},0),equal(mul(${row},2),${length})),to_f64(1),to_f64(2))`;
    const value = `where(equal(${part},0),cos(${turn}),neg(sin(${turn})))`;
    return op.map(b, [], { expr: `div(mul(${twice},${value}),${length})`, shape: [from * parts, to] });
  }
  const turn = angle(row, "div(i1,2)", length);
  const sine = inverse ? `sin(${turn})` : `neg(sin(${turn}))`;
  const real = `where(equal(${part},0),cos(${turn}),neg(${sine}))`;
  const imaginary = `where(equal(${part},0),${sine},cos(${turn}))`;
  const value = `where(equal(mod(i1,2),0),${real},${imaginary})`;
  return op.map(b, [], { expr: inverse ? `div(${value},${length})` : value, shape: [from * parts, to * 2] });
}

/** Rows of samples, f64[..., samples, 1 or 2], transformed along the samples: [..., frequencies, 2], or [..., n, 1]. */
function transformed(b: Builder, x: Value, t: Transform): Value {
  const real = t.inverse && t.onesided;
  const half = Math.floor(t.length / 2) + 1;
  const [rank, to] = [x.type.shape.length, t.onesided && !real ? half : t.length];
  const used = Math.min(x.type.shape.at(-2) as number, real ? half : t.length);
  const cut = ranged(b, x, rank - 2, 0, used);
  const [outer, parts] = [x.type.shape.slice(0, -2), x.type.shape.at(-1) as number];
  const rows = reshaped(b, cut, [elements(outer), used * parts]);
  const y = op.batch_matmul(b, rows, matrix(b, used, parts, to, t));
  return reshaped(b, y, [...outer, to, real ? 1 : 2]);
}

const dft: Build = (at) => {
  const [b, x] = [at.builder, at.in(0)];
  const { shape, dtype } = x.type;
  const rank = shape.length;
  const named = at.version < 20 ? at.int("axis", 1) : at.has(2) ? (at.integers(2)[0] ?? -2) : -2;
  const axis = at.axis(named, rank);
  const parts = shape.at(-1);
  if (rank < 2 || axis === rank - 1 || (parts !== 1 && parts !== 2))
    at.refuse(`[${shape}] has no signals along axis ${axis}`);
  const [inverse, onesided] = [at.int("inverse", 0) === 1, at.int("onesided", 0) === 1];
  const extent = shape[axis] as number;
  const length = at.has(1) ? (at.integers(1)[0] ?? 0) : inverse && onesided ? 2 * (extent - 1) : extent;
  if (length < 1) at.refuse(`its length is ${length}`);
  const perm = [...[...shape.keys()].filter((i) => i !== axis && i !== rank - 1), axis, rank - 1];
  const last = transposed(b, converted(b, x, "f64"), perm);
  const y = transformed(b, last, { length, inverse, onesided });
  return converted(
    b,
    transposed(
      b,
      y,
      perm.map((_, i) => perm.indexOf(i)),
    ),
    dtype,
  );
};

/** The transforms of frames of a signal [batch, samples, 1 or 2], each multiplied by a window. */
const stft: Build = (at) => {
  const [b, x] = [at.builder, at.in(0)];
  const { shape, dtype } = x.type;
  const [step = 0] = at.integers(1);
  const window = at.has(2) ? at.in(2) : undefined;
  const taken = window?.type.shape[0];
  const length = at.has(3) ? at.integers(3)[0] : taken;
  if (
    length === undefined ||
    length < 1 ||
    step < 1 ||
    shape.length !== 3 ||
    (window && window.type.shape.length !== 1)
  )
    return at.refuse(`frames of ${length} samples every ${step} do not fit signals [${shape}]`);
  const frames = Math.floor(((shape[1] as number) - length) / step) + 1;
  if (frames < 1) at.refuse(`[${shape}] has no frame of ${length} samples`);
  // a position behind the signal is read as 0
  const places = op.map(b, [], { expr: `add(mul(i0,${step}),i1)`, shape: [frames, taken ?? length] });
  const cut = op.gather(b, converted(b, x, "f64"), places, { axis: 1 });
  const weights = window && reshaped(b, converted(b, window, "f64"), [taken as number, 1]);
  const weighted = weights ? op.map(b, [cut, weights], { expr: "mul(x0,x1)" }) : cut;
  const onesided = at.int("onesided", 1) === 1;
  return converted(b, transformed(b, weighted, { length, inverse: false, onesided }), dtype);
};

export const signal: Rules = {
  DFT: since(17, dft),
  STFT: since(17, stft),
};
