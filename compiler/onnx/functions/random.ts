// Counter-based random numbers in standard operators: the rounds of Philox in i64, whose products of 32-bit words are
// taken in two parts so that they fit.

import { fours, threshold } from "../../ops/general/dropout.js";
import { multipliers, ROUNDS, weyl } from "../../ops/general/philox.js";
import * as op from "../../ops/index.js";
import type { In, Ref, Writer } from "../writer.js";
import { type Body, bodyOf, extent } from "./body.js";

const WORD = 2 ** 32;
const HALF = 2 ** 16;

/** The four words of a counter [..., 1] and a key, lowest first, each an i64 below 2^32. */
function philox(w: Writer, counter: readonly Ref[], key: readonly Ref[]): Ref[] {
  const number = (v: number): Ref => w.i64([v], []);
  const [word, half] = [number(WORD), number(HALF)];
  const mod = (x: In, m: Ref): Ref => w.op("Mod", [x, m]);
  const product = (a: Ref, m: Ref): [high: Ref, low: Ref] => {
    const [p0, p1] = [w.mul(mod(a, half), m), w.mul(w.div(a, half), m)];
    const high = w.div(w.add(p1, w.div(p0, half)), half);
    return [high, mod(w.add(w.mul(mod(p1, half), half), p0), word)];
  };
  const xor = (a: Ref, b: Ref, c: Ref): Ref => w.op("BitwiseXor", [w.op("BitwiseXor", [a, b]), c]);
  const [m, step] = [multipliers.map(number), weyl.map(number)];
  let [c0, c1, c2, c3] = counter as [Ref, Ref, Ref, Ref];
  let [k0, k1] = key as [Ref, Ref];
  for (let round = 0; round < ROUNDS; round++) {
    const [a, low0] = product(c0, m[0] as Ref);
    const [b, low1] = product(c2, m[1] as Ref);
    [c0, c1, c2, c3] = [xor(b, c1, k0), low1, xor(a, c3, k1), low0];
    [k0, k1] = [mod(w.add(k0, step[0] as Ref), word), mod(w.add(k1, step[1] as Ref), word)];
  }
  return [c0, c1, c2, c3];
}

export const random: readonly Body[] = [
  bodyOf(op.dropout, (w, { x, row, seed, step }, { attrs: { p, stream } }) => {
    w.need(18, "BitwiseXor");
    const [rows, width] = [extent(x, 0), extent(x, 1)];
    const each = fours(width);
    const word = w.i64([WORD], []);
    const low = (v: In): Ref => w.op("Mod", [v, word]);
    const high = (v: In): Ref => low(w.div(w.sub(v, low(v)), word));
    const four = w.unsqueeze(w.add(w.mul(w.unsqueeze(row, [1]), w.i64([each], [])), w.count(each, [1, each])), [2]);
    const counter = [low(four), high(four), low(step), w.i64([stream], [])];
    const words = philox(w, counter, [low(seed), high(seed)]).map((v) => w.op("Expand", [v, w.i64([rows, each, 1])]));
    const all = w.slice(w.reshape(w.op("Concat", words, { axis: 2 }), [rows, 4 * each]), 1, 0, width);
    const dropped = w.op("Less", [all, w.i64([threshold(p)], [])]);
    return w.where(dropped, 0, w.mul(x, 1 / (1 - p)));
  }),
];
