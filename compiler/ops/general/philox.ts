// The counter-based random numbers Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2,
// 3; SC 2011). kernels/common/philox.h computes the same in compiled code, and onnx/functions/random.ts in ONNX.

/** What a round multiplies by, and what it adds to the key. */
export const multipliers = [0xd2511f53, 0xcd9e8d57] as const;
export const weyl = [0x9e3779b9, 0xbb67ae85] as const;
export const ROUNDS = 10;

export type Counter = readonly [number, number, number, number];

/** The high and low word of a product of 32-bit words. */
function product(a: number, m: number): [high: number, low: number] {
  const [p0, p1] = [(a & 0xffff) * m, (a >>> 16) * m]; // both below 2^48, so they are exact
  const high = Math.floor((p1 + Math.floor(p0 / 0x10000)) / 0x10000);
  return [high >>> 0, Math.imul(a, m) >>> 0];
}

/** The four words of a counter, whose words come lowest first, and a key. */
export function philox4x32(counter: Counter, key: readonly [number, number]): Counter {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const [a, low0] = product(c0, multipliers[0]);
    const [b, low1] = product(c2, multipliers[1]);
    [c0, c1, c2, c3] = [(b ^ c1 ^ k0) >>> 0, low1, (a ^ c3 ^ k1) >>> 0, low0];
    [k0, k1] = [(k0 + weyl[0]) >>> 0, (k1 + weyl[1]) >>> 0];
  }
  return [c0, c1, c2, c3];
}

/** The low and high word of a whole number, which wraps around. */
const words = (v: number): [number, number] => {
  const bits = BigInt.asUintN(64, BigInt(v));
  return [Number(bits & 0xffffffffn), Number(bits >> 32n)];
};

/** The words of four neighbouring elements in one step of the stream of one layer. */
export function philoxOf(four: number, step: number, stream: number, seed: number): Counter {
  const [low, high] = words(four);
  return philox4x32([low, high, words(step)[0], stream], words(seed));
}
