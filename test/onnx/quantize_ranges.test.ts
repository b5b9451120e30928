// Ranges of values and their scales: by hand, and the least square error beside that of all ranges tried on the values.

import test from "ava";
import { Histogram, type Range, type RangeMethod, rangeMethods, scaleOf } from "../../compiler/onnx/quantize_ranges.js";
import { uniform } from "../support/random.js";

function rangeOf(values: readonly number[], method: RangeMethod, parts = 1): Range {
  const h = new Histogram("v");
  const size = Math.ceil(values.length / parts);
  for (let i = 0; i < values.length; i += size) h.add(Float32Array.from(values.slice(i, i + size)));
  return h.range(method);
}

/** Sums of twelve uniform numbers are nearly normal. */
function normal(count: number, seed: number): number[] {
  const draw = uniform(seed);
  return Array.from({ length: count }, () => Array.from({ length: 12 }, draw).reduce((a, b) => a + b, -6));
}

/** The mean square of what quantising to a range changes. */
function squareError(values: readonly number[], r: Range): number {
  const { scale, zero } = scaleOf(r);
  const sum = values.reduce((s, v) => {
    const q = Math.min(255, Math.max(0, Math.round(v / scale) + zero));
    return s + (v - scale * (q - zero)) ** 2;
  }, 0);
  return sum / values.length;
}

test("minmax is all that occurs, with 0, in however many parts and orders", (t) => {
  const f = Math.fround;
  for (const parts of [1, 2, 5]) {
    t.deepEqual(rangeOf([1e-20, 3, -0.1, 700, 2], "minmax", parts), { low: f(-0.1), high: 700 });
    t.deepEqual(rangeOf([5, 6, 7, 8, 9], "minmax", parts), { low: 0, high: 9 });
    t.deepEqual(rangeOf([-5, -6, -7], "minmax", parts), { low: -7, high: 0 });
  }
});

test("only zeros, and one value alone, by every method", (t) => {
  for (const method of rangeMethods) {
    t.deepEqual(rangeOf([0, 0, 0], method), { low: 0, high: 0 });
    t.deepEqual(rangeOf(Array(9).fill(2.5), method), { low: 0, high: 2.5 }, method);
    t.deepEqual(rangeOf(Array(9).fill(-2.5), method), { low: -2.5, high: 0 }, method);
    t.deepEqual(rangeOf(Array(9).fill(1e-40), method), { low: 0, high: Math.fround(1e-40) }, method);
  }
});

test("a value that is not finite is named", (t) => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    t.throws(() => rangeOf([1, bad, 2], "mse"), { message: new RegExp(`the value v has the element ${bad}`) });
});

test("percentile cuts one in ten thousand off at each end", (t) => {
  const values = Array.from({ length: 100_000 }, (_, i) => i / 100_000 - 0.25);
  const { low, high } = rangeOf([...values, 1000, -1000], "percentile", 7);
  // bins are 1000 / 4096 wide, so the ends are within two of them
  t.true(Math.abs(low + 0.25) < 0.5 && Math.abs(high - 0.75) < 0.5, `${low} ${high}`);
  const fine = rangeOf(values, "percentile");
  t.true(Math.abs(fine.low - (1e-4 - 0.25)) < 1e-3 && Math.abs(fine.high - (0.75 - 1e-4)) < 1e-3, JSON.stringify(fine));
});

test("mse: no other range has a mean square error that is more than a few percent less", (t) => {
  const relu = (xs: readonly number[]): number[] => xs.map((x) => Math.max(0, x));
  const cubes = normal(20_000, 3).map((x) => x ** 3);
  const uneven = cubes.map((x) => (x < 0 ? x / 5 : x));
  const sparse = relu(cubes).flatMap((x) => [x, ...Array<number>(29).fill(0)]);
  const samples = {
    normal: normal(20_000, 1),
    relu: relu(normal(20_000, 2)),
    cubes,
    tails: relu(cubes),
    uneven,
    sparse,
  };
  for (const [name, values] of Object.entries(samples)) {
    const all = rangeOf(values, "minmax");
    const chosen = rangeOf(values, "mse", 3);
    let least = Number.POSITIVE_INFINITY;
    for (let h = 1; h <= 40; h++)
      for (let l = all.low < 0 ? 1 : 40; l <= 40; l++)
        least = Math.min(least, squareError(values, { low: (all.low * l) / 40, high: (all.high * h) / 40 }));
    const own = squareError(values, chosen);
    t.true(own < 1.05 * least, `${name}: ${own} beside ${least}`);
  }
  const draw = uniform(4);
  const rare = [...Array.from({ length: 500_000 }, () => 2 * draw() - 1), 4];
  const [wide, clipped] = [squareError(rare, rangeOf(rare, "minmax")), squareError(rare, rangeOf(rare, "mse"))];
  const mirrored = rangeOf(
    rare.map((x) => -x),
    "mse",
  );
  const { low, high } = rangeOf(rare, "mse");
  t.true(
    Math.abs(mirrored.low + high) < 0.1 && Math.abs(mirrored.high + low) < 0.1,
    JSON.stringify([low, high, mirrored]),
  );
  t.true(clipped < 0.8 * wide, `one value of 500,000 is 4: ${clipped} beside ${wide}`);
});

test("scales: 0 is exact, the range fits, steps are those of 255", (t) => {
  t.deepEqual(scaleOf({ low: 0, high: 0 }), { scale: 1, zero: 0 });
  t.deepEqual(scaleOf({ low: 0, high: 255 }), { scale: 1, zero: 0 });
  t.deepEqual(scaleOf({ low: -255, high: 0 }), { scale: 1, zero: 255 });
  t.deepEqual(scaleOf({ low: -1, high: 2 }), { scale: Math.fround(3 / 255), zero: 85 });
  t.deepEqual(scaleOf({ low: 0, high: 1e-45 }), { scale: 2 ** -126, zero: 0 });
});
