// Finds the first value of a step, in execution order, in which two dumps differ.

import { tolerance } from "./compare.mjs";
import { tensorError } from "./numbers.mjs";
import { BadFile, readSafetensors } from "./safetensors.mjs";

const allowedOf = (name) =>
  name.startsWith("loss") ? tolerance.loss : name.startsWith("grad.") ? tolerance.gradient : tolerance.state;

/**
 * Returns {compared, onlyA, onlyB, first, beyond, worst} and, with `all`, the list of all values. Throws BadFile, also
 * if no value is in both dumps.
 */
export function bisect(pathA, pathB, { tolerance: given, all } = {}) {
  const fixed = given === undefined ? undefined : Number(given);
  if (fixed !== undefined && !(fixed >= 0)) throw new BadFile(`--tolerance ${given}: must be a number of at least 0`);
  const [a, b] = [readSafetensors(pathA).tensors, readSafetensors(pathB).tensors];
  const both = [...a.keys()].filter((name) => b.has(name));
  if (both.length === 0) throw new BadFile(`${pathA} and ${pathB} have no value of the same name`);
  const list = both.map((tensor) => {
    const [x, y] = [a.get(tensor), b.get(tensor)];
    const exact = y.data instanceof BigInt64Array || y.data instanceof Uint8Array;
    return { tensor, allowed: exact ? 0 : (fixed ?? allowedOf(tensor)), ...tensorError(x, y) };
  });
  const share = (q) => (q.allowed > 0 ? q.error / q.allowed : q.error === 0 ? 0 : Number.POSITIVE_INFINITY);
  return {
    compared: both.length,
    onlyA: [...a.keys()].filter((name) => !b.has(name)),
    onlyB: [...b.keys()].filter((name) => !a.has(name)),
    first: list.find((q) => q.error !== 0),
    beyond: list.find((q) => !(q.error <= q.allowed)),
    worst: list.reduce((w, q) => (share(q) > share(w) ? q : w)),
    ...(all && { list }),
  };
}
