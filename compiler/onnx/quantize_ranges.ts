// The ranges of activations, from histograms of the values that they had on images, and the whole numbers of 8 bits
// that stand for the numbers in a range.

import { roundEven } from "../util/float.js";

/** A range with 0 in it. */
export interface Range {
  readonly low: number; // at most 0
  readonly high: number; // at least 0
}

/** How the range of an activation follows from its values; the first is the default of `moproc export`. */
export const rangeMethods = ["mse", "minmax", "percentile"] as const;
export type RangeMethod = (typeof rangeMethods)[number];

/** What `percentile` cuts off at each end, as a share of all values. */
const CUT = 1e-4;
const HALF = 4096; // bins on each side of 0
const STEPS = 128; // ends of ranges that `mse` tries on each side of 0
const LEVELS = 255;

/** Counts the values of one activation in bins whose width is a power of two, and doubles if a value is beyond them. */
export class Histogram {
  private bins = new Float64Array(2 * HALF);
  private width = 0;
  private low = 0;
  private high = 0;
  private count = 0; // of all values, also the zeros, which no bin counts because any range has them exactly

  constructor(readonly name: string) {}

  /** Throws, naming the activation, if a value is not finite. */
  add(values: Float32Array): void {
    let low = this.low;
    let high = this.high;
    let zeros = 0;
    let odd = 0;
    for (let i = 0; i < values.length; i++) {
      const x = values[i] as number;
      if (x < low) low = x;
      if (x > high) high = x;
      if (x === 0) zeros++;
      odd += x * 0; // NaN if x is not finite
    }
    if (odd !== 0) {
      const x = values.find((v) => !Number.isFinite(v));
      throw new Error(`the value ${this.name} has the element ${x} on the images, which no range holds`);
    }
    this.count += values.length;
    [this.low, this.high] = [low, high];
    const most = Math.max(-low, high);
    if (most === 0) return;
    this.widen(most);
    const scale = 1 / this.width;
    const counts = new Uint32Array(2 * HALF);
    for (let i = 0; i < values.length; i++) {
      const bin = ((values[i] as number) * scale + HALF) | 0; // at least 0, so that this is the floor
      (counts[bin] as number)++;
    }
    (counts[HALF] as number) -= zeros;
    for (let i = 0; i < 2 * HALF; i++) (this.bins[i] as number) += counts[i] as number;
  }

  /** The range by a method. A value that was always 0 has [0, 0]. */
  range(method: RangeMethod): Range {
    const { low, high } = this;
    if (method === "minmax" || (low === 0 && high === 0)) return { low, high };
    return method === "mse" ? this.leastSquares() : this.percentile();
  }

  /** Makes the bins so wide that they hold numbers up to `most`. */
  private widen(most: number): void {
    if (this.width === 0) this.width = 2 ** Math.max(-1000, Math.floor(Math.log2(most / HALF)) - 1);
    while (most >= this.width * HALF) {
      const wider = new Float64Array(2 * HALF);
      for (let i = -HALF; i < HALF; i++) (wider[Math.floor(i / 2) + HALF] as number) += this.bins[i + HALF] as number;
      this.bins = wider;
      this.width *= 2;
    }
  }

  private percentile(): Range {
    const most = this.count * CUT;
    const end = (from: number, step: number): number => {
      let seen = 0;
      for (let i = from; i >= 0 && i < 2 * HALF; i += step) {
        seen += this.bins[i] as number;
        if (seen > most) return (i - HALF + (step < 0 ? 1 : 0)) * this.width;
      }
      return 0;
    };
    return {
      low: Math.max(this.low, Math.min(0, end(0, 1))),
      high: Math.min(this.high, Math.max(0, end(2 * HALF - 1, -1))),
    };
  }

  /**
   * The range with the least mean square of the error: of what is inside, a twelfth of the square of a step; of what is
   * outside, the square of its distance to the range.
   */
  private leastSquares(): Range {
    const outside = { high: this.beyond(this.high, 1), low: this.beyond(-this.low, -1) };
    let best = { low: this.low, high: this.high, error: Number.POSITIVE_INFINITY };
    for (let h = this.high > 0 ? STEPS : 0; h >= (this.high > 0 ? 1 : 0); h--)
      for (let l = this.low < 0 ? STEPS : 0; l >= (this.low < 0 ? 1 : 0); l--) {
        const [high, low] = [(this.high * h) / STEPS, (this.low * l) / STEPS];
        const step = (high - low) / LEVELS;
        const [above, below] = [outside.high[h] as Tail, outside.low[l] as Tail];
        const inside = outside.high[0]?.count as number;
        const all = inside + (outside.low[0]?.count as number);
        const error = ((all - above.count - below.count) * (step * step)) / 12 + above.square + below.square;
        if (error < best.error) best = { low, high, error };
      }
    return { low: best.low, high: best.high };
  }

  /** For each end k / STEPS of `most`, on one side of 0: the values beyond it, with their squared distances. */
  private beyond(most: number, sign: 1 | -1): Tail[] {
    const tails: Tail[] = Array.from({ length: STEPS + 1 }, () => ({ count: 0, square: 0 }));
    let [count, sum, squares] = [0, 0, 0];
    let bin = HALF - 1;
    for (let k = STEPS; k >= 0; k--) {
      const end = (most * k) / STEPS;
      for (; bin >= 0 && (bin + 0.5) * this.width > end; bin--) {
        const n = this.bins[sign > 0 ? HALF + bin : HALF - 1 - bin] as number;
        const x = Math.min((bin + 0.5) * this.width, most);
        count += n;
        sum += n * x;
        squares += n * x * x;
      }
      tails[k] = { count, square: Math.max(0, squares - 2 * end * sum + end * end * count) };
    }
    return tails;
  }
}

interface Tail {
  readonly count: number;
  readonly square: number;
}

/** q stands for scale * (q - zero). */
export interface Scale {
  readonly scale: number; // an f32
  readonly zero: number;
}

const LEAST = 2 ** -126; // the least f32 that is stored with all its digits

/** Numbers in the range as u8. 0 is exact; a range of 0 alone has the scale 1. */
export function scaleOf({ low, high }: Range): Scale {
  if (low === 0 && high === 0) return { scale: 1, zero: 0 };
  const scale = Math.fround(Math.max((high - low) / LEVELS, LEAST));
  return { scale, zero: Math.min(LEVELS, Math.max(0, roundEven(-low / scale))) };
}
