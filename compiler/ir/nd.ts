// Dense arrays for the references of ops: always f64, always row-major in logical order, and slow. Integers up to 2^53
// are exact.

import { elements } from "./types.js";

export class NdArray {
  constructor(
    readonly shape: readonly number[],
    readonly data: Float64Array,
  ) {
    if (data.length !== elements(shape)) throw new Error(`internal: ${data.length} values for shape [${shape}]`);
  }

  /** An array whose i-th element in row-major order is f(i). */
  static fill(shape: readonly number[], f: (i: number) => number): NdArray {
    const data = new Float64Array(elements(shape));
    for (let i = 0; i < data.length; i++) data[i] = f(i);
    return new NdArray(shape, data);
  }

  static scalar(x: number): NdArray {
    return new NdArray([], Float64Array.of(x));
  }

  /** The element at the given index, one number per dimension. */
  at(...index: readonly number[]): number {
    return this.data[this.offset(index)] as number;
  }

  set(index: readonly number[], x: number): void {
    this.data[this.offset(index)] = x;
  }

  private offset(index: readonly number[]): number {
    return this.shape.reduce((o, d, i) => o * d + (index[i] as number), 0);
  }
}

/** The elements of x in storage order: channels-last for a 4-D tensor, row-major for all others. Returns a copy. */
export function toStorage(x: NdArray): Float64Array {
  return permute(x, (n, c, s) => (i, j, p) => ({ from: (i * c + j) * s + p, to: (i * s + p) * c + j, n }));
}

/** The array of this shape from its elements in storage order: the inverse of `toStorage`. */
export function fromStorage(shape: readonly number[], data: Float64Array): NdArray {
  const x = new NdArray(shape, data);
  return new NdArray(
    shape,
    permute(x, (n, c, s) => (i, j, p) => ({ from: (i * s + p) * c + j, to: (i * c + j) * s + p, n })),
  );
}

type Move = (i: number, j: number, p: number) => { from: number; to: number };

function permute(x: NdArray, make: (n: number, c: number, s: number) => Move): Float64Array {
  if (x.shape.length !== 4) return x.data.slice();
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const out = new Float64Array(x.data.length);
  const move = make(n, c, h * w);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < c; j++)
      for (let p = 0; p < h * w; p++) {
        const { from, to } = move(i, j, p);
        out[to] = x.data[from] as number;
      }
  return out;
}
