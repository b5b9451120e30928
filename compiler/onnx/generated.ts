// Operators whose output's shape depends on the values of their inputs, evaluated when a model is imported; and tables
// that operators of signals make of a few numbers.

import { elements } from "../ir/types.js";
import type { At } from "./at.js";
import { suppressed } from "./boxes.js";
import { arrays, type Elements, type ElementType, elementsOf, type Tensor, tensorOf } from "./model.js";
import { decoder, encoder, numbersIn, tensorFrom } from "./numbers.js";
import { typeNamed } from "./operators/generate.js";
import { unique } from "./unique.js";

type Shape = readonly number[];

/** An array for the elements of a constant. Throws Refused if it is too large, or all constants are together. */
export function room(at: At, type: ElementType, shape: Shape): Elements {
  at.memory.reserve(type, shape);
  return new arrays[type](elements(shape));
}

/** The number that input `i` is, which must be a constant of one number. */
export function numberAt(at: At, i: number): number {
  const t = at.constant(i);
  if (elements(t.dims) !== 1) at.refuse(`input ${i} is [${t.dims}], not a number`);
  return numbersIn(t)[0] as number;
}

function range(at: At): Tensor {
  const parts = [0, 1, 2].map((i) => at.constant(i));
  at.ignore("stash_type"); // f16 and bf16 are computed as f32
  const { type } = parts[0] as Tensor;
  if (parts.some((p) => p.type !== type || elements(p.dims) !== 1)) at.refuse("its bounds do not fit");
  const [decode, encode] = [decoder(type), encoder(type)];
  const [start, limit, delta] = parts.map((p) => decode(elementsOf(p)[0] as number)) as [number, number, number];
  const isFloat = /f\d/.test(type);
  if (delta === 0 || ![start, limit, delta].every((x) => (isFloat ? Number.isFinite(x) : Number.isSafeInteger(x))))
    at.refuse(`its step is ${delta}, from ${start} to ${limit}`);
  const n = Math.max(0, Math.ceil((limit - start) / delta));
  const out = room(at, type, [n]) as Float64Array;
  const round = isFloat && type !== "f64" ? Math.fround : (x: number): number => x;
  for (let i = 0; i < n; i++) out[i] = encode(round(start + round(i * delta))) as number;
  return tensorOf("", type, [n], out);
}

function fill(at: At): Tensor {
  const dims = at.integers(0);
  const value = at.tensor("value") ?? tensorOf("", "f32", [1], Float32Array.of(0));
  if (elements(value.dims) !== 1 || dims.some((d) => d < 0)) at.refuse(`[${dims}] of [${value.dims}] values`);
  const out = room(at, value.type, dims) as Float64Array;
  const [element] = elementsOf(value) as Float64Array;
  const isZero = Object.is(Number(element), 0); // as the array is; it then takes no memory until it is written
  return tensorOf("", value.type, dims, isZero ? out : out.fill(element as number));
}

/** The positions of all elements that are not 0, i64[rank, count], in row-major order. A number counts as one axis. */
function nonZero(at: At): Tensor {
  const t = at.constant(0);
  const dims = t.dims.length === 0 ? [1] : t.dims;
  const size = elements(dims);
  at.memory.reserve("f64", [size]);
  const values = numbersIn(t);
  const count = values.reduce((n, v) => (v === 0 ? n : n + 1), 0);
  const out = room(at, "i64", [dims.length, count]) as BigInt64Array;
  let found = 0;
  for (let i = 0; i < size; i++) {
    if (values[i] === 0) continue;
    for (let axis = 0, inner = size; axis < dims.length; axis++) {
      const d = dims[axis] as number;
      inner /= d;
      out[axis * count + found] = BigInt(Math.floor(i / inner) % d);
    }
    found++;
  }
  return tensorOf("", "i64", [dims.length, count], out);
}

/** A window of signals: a sum of cosines. */
const window =
  (...factors: readonly number[]) =>
  (at: At): Tensor => {
    const [size, type] = [numberAt(at, 0), typeNamed(at, "output_datatype", 1)];
    if (!Number.isSafeInteger(size) || size < 0) at.refuse(`its size is ${size}`);
    const period = at.int("periodic", 1) === 1 ? size : Math.max(size - 1, 1);
    room(at, "f64", [size]);
    const value = (n: number): number =>
      factors.reduce((sum, f, k) => sum + f * Math.cos((2 * Math.PI * n * k) / period), 0);
    return tensorFrom(
      type,
      [size],
      Array.from({ length: size }, (_, n) => value(n)),
    );
  };

/** Triangles over the bins of a spectrum, [bins of the spectrum, bands], whose corners are even on the mel scale. */
function melWeights(at: At): Tensor {
  const [bands, length, rate, lower, upper] = [0, 1, 2, 3, 4].map((i) => numberAt(at, i)) as [
    ...[number, number, number, number, number],
  ];
  const type = typeNamed(at, "output_datatype", 1);
  const dims = [Math.floor(length / 2) + 1, bands];
  if (dims.some((d) => !Number.isSafeInteger(d) || d < 1)) at.refuse(`its shape is [${dims}]`);
  if (!(rate > 0)) at.refuse(`its sample rate is ${rate}`);
  const values = new Float64Array(room(at, "f64", dims).length);
  const [low, high] = [lower, upper].map((hertz) => 2595 * Math.log10(1 + hertz / 700)) as [number, number];
  const corner = (i: number): number => {
    const hertz = 700 * (10 ** ((low + (i * (high - low)) / (bands + 2)) / 2595) - 1);
    return Math.floor(((length + 1) * hertz) / rate);
  };
  for (let band = 0; band < bands; band++) {
    const [left, centre, right] = [corner(band), corner(band + 1), corner(band + 2)];
    const set = (bin: number, v: number): void => {
      if (bin >= 0 && bin < (dims[0] as number)) values[bin * bands + band] = v;
    };
    if (left === centre) set(centre, 1);
    const last = dims[0] as number; // bins are beyond it if a frequency is above half the rate
    for (let bin = Math.max(left, 0); left < centre && bin <= Math.min(centre, last); bin++)
      set(bin, (bin - left) / (centre - left));
    for (let bin = Math.max(centre, 0); bin < Math.min(right, last); bin++) set(bin, (right - bin) / (right - centre));
  }
  return tensorFrom(type, dims, values);
}

export const generated = {
  ConstantOfShape: fill,
  Range: range,
  NonZero: nonZero,
  Unique: unique,
  NonMaxSuppression: suppressed,
  HannWindow: window(0.5, -0.5),
  HammingWindow: window(25 / 46, -21 / 46),
  BlackmanWindow: window(0.42, -0.5, 0.08),
  MelWeightMatrix: melWeights,
} as const;
