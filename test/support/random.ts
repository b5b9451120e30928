// Random numbers for tests: a function of the seed alone, the same on every machine.

import { NdArray } from "../../compiler/ir/nd.js";

/** Uniform numbers in [0, 1), rounded to f32 so that references and kernels start from equal values. */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let v = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    v = Math.imul(v ^ (v >>> 13), 0xc2b2ae35);
    return Math.fround(((v ^ (v >>> 16)) >>> 8) / 2 ** 24);
  };
}

/** An array of f32 values drawn uniformly from [low, high). */
export function randomArray(shape: readonly number[], seed: number, low = -1, high = 1): NdArray {
  const next = uniform(seed);
  return NdArray.fill(shape, () => Math.fround(low + (high - low) * next()));
}
