// Tests of the rules of operators: values that are computed in the test against the imported program's.

import test, { type ExecutionContext } from "ava";
import { NdArray } from "../../compiler/ir/nd.js";
import { array } from "./foreign.js";

/** The operators that the tests of a file cover. */
export const covered = new Set<string>();

/** Notes that there is a test of an operator. */
export const covers = (op: string): Set<string> => covered.add(op);

/** A test of an operator: pairs of a computed array and the one that it should be. */
export function check(
  op: string,
  name: string,
  run: (t: ExecutionContext) => readonly (readonly [NdArray, NdArray])[],
): void {
  covered.add(op);
  test(`${op}: ${name}`, (t) => {
    for (const [got, want] of run(t)) close(t, got, want);
  });
}

/** A test that every operator of a table of rules has a check in the same file, or is among those tested elsewhere. */
export function coversAll(rules: Readonly<Record<string, unknown>>, elsewhere: readonly string[] = []): void {
  test("every operator of the table is covered", (t) => {
    const missing = Object.keys(rules).filter((op) => !covered.has(op) && !elsewhere.includes(op));
    t.deepEqual([missing, [...covered].filter((op) => !Object.hasOwn(rules, op))], [[], []]);
  });
}

/** Fails unless the arrays have one shape and equal elements, up to these errors; infinities and NaN must agree. */
export function close(t: ExecutionContext, got: NdArray, want: NdArray, relative = 1e-6, absolute = 1e-7): void {
  t.deepEqual(got.shape, want.shape);
  const odd = [...want.data].findIndex((w, i) => {
    const g = got.data[i] as number;
    return !(Object.is(g, w) || g === w || Math.abs(g - w) <= absolute + relative * Math.abs(w));
  });
  t.is(odd, -1, `element ${odd} is ${got.data[odd]}, not ${want.data[odd]}`);
}

export const map = (x: NdArray, f: (v: number, i: number) => number): NdArray => new NdArray(x.shape, x.data.map(f));
export const shaped = (x: NdArray, shape: readonly number[]): NdArray => new NdArray(shape, x.data);
export const x23 = array([2, 3], [-2, -0.5, 0, 0.5, 1, 3]);

export const total = (xs: readonly number[]): number => xs.reduce((a, v) => a + v, 0);
