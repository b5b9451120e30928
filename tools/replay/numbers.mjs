// The differences of numbers and tensors: absolute, relative, and in units in the last place of f32.

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** The position of x among the f32 numbers, so that neighbours differ by 1. */
function ordinal(x) {
  float[0] = x;
  return bits[0] >= 0 ? bits[0] : -2147483648 - bits[0];
}

/** The number of f32 numbers from a to b; Infinity if one of them is not finite. */
export const ulps = (a, b) =>
  Number.isFinite(a) && Number.isFinite(b) ? Math.abs(ordinal(a) - ordinal(b)) : Number.POSITIVE_INFINITY;

/**
 * Returns {error: relative to b, absolute, ulp, a, b}. The difference of NaN or an infinity to every other number is
 * infinite.
 */
export function scalarError(a, b) {
  if (Object.is(a, b) || a === b) return { error: 0, absolute: 0, ulp: 0, a, b };
  const absolute = Math.abs(a - b);
  const error = Number.isFinite(absolute) ? absolute / Math.abs(b) : Number.POSITIVE_INFINITY;
  return { error, absolute, ulp: ulps(a, b), a, b };
}

/**
 * The same for two tensors {shape, data}: `error` is |a - b| / |b| in the 2-norm (Infinity if only b is 0). The other
 * members belong to the element that differs most, at `index`.
 */
export function tensorError(x, y) {
  if (x.data.length !== y.data.length || x.shape.join() !== y.shape.join())
    return {
      error: Number.POSITIVE_INFINITY,
      absolute: Number.POSITIVE_INFINITY,
      ulp: Number.POSITIVE_INFINITY,
      a: `[${x.shape}]`,
      b: `[${y.shape}]`,
    };
  let [difference, norm, worst, at] = [0, 0, -1, 0];
  for (let i = 0; i < y.data.length; i++) {
    const [a, b] = [Number(x.data[i]), Number(y.data[i])];
    const d = a === b || (Number.isNaN(a) && Number.isNaN(b)) ? 0 : Math.abs(a - b);
    difference += d * d;
    norm += Number.isNaN(b) ? 0 : b * b;
    if (d > worst || Number.isNaN(d)) [worst, at] = [Number.isNaN(d) ? Number.POSITIVE_INFINITY : d, i];
  }
  const [a, b] = [Number(x.data[at]), Number(y.data[at])];
  const error = difference === 0 ? 0 : Math.sqrt(difference) / Math.sqrt(norm);
  return {
    error: Number.isNaN(error) ? Number.POSITIVE_INFINITY : error,
    absolute: Math.max(0, worst),
    ulp: worst > 0 ? ulps(a, b) : 0,
    a,
    b,
    index: place(at, y.shape),
  };
}

/** The indices of the i-th element. */
function place(i, shape) {
  const at = [];
  for (const d of shape.toReversed()) {
    at.unshift(i % d);
    i = Math.floor(i / d);
  }
  return at;
}

export const exponent = (x) => (x === 0 ? "0" : Number.isFinite(x) ? x.toExponential(1) : String(x));
