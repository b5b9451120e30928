// Rules of arithmetic, activations and reductions, in the old and the new forms of the operators.

import { NdArray } from "../../compiler/ir/nd.js";
import { tensorOf } from "../../compiler/onnx/model.js";
import { elementwise } from "../../compiler/onnx/operators/elementwise.js";
import { reduce } from "../../compiler/onnx/operators/reduce.js";
import { array, f32, i64, one, some } from "../support/foreign.js";
import { ortRules } from "../support/ort_rules.js";
import { check, coversAll, map, total, x23 } from "../support/rule_tests.js";

const positive = array([2, 3], [0.25, 0.5, 1, 2, 3, 4]);
const ends = array([3], [Infinity, -Infinity, Number.NaN]);

const unaries: Readonly<Record<string, (x: number) => number>> = {
  Relu: (x) => Math.max(0, x),
  Neg: (x) => -x,
  Exp: Math.exp,
  Log: Math.log,
  Sqrt: Math.sqrt,
  Tanh: Math.tanh,
  Sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  Abs: Math.abs,
  Reciprocal: (x) => 1 / x,
  Softplus: (x) => (x === Infinity ? x : Math.log(1 + Math.exp(x))),
  Softsign: (x) => x / (1 + Math.abs(x)),
};
for (const [op, f] of Object.entries(unaries))
  check(op, "the old form and the new one, infinities and NaN", () => [
    [one(op, 5, positive, { consumed_inputs: [0] }), map(positive, f)],
    [one(op, 13, positive), map(positive, f)],
    ...(/Log|Sqrt/.test(op) ? [] : ([[one(op, 13, x23), map(x23, f)]] as const)),
    [one(op, 13, ends), op === "Softsign" ? map(ends, () => Number.NaN) : map(ends, f)],
  ]);

const pieces: Readonly<Record<string, readonly [Readonly<Record<string, string>>, (x: number) => number, number]>> = {
  LeakyRelu: [{ alpha: "0.25" }, (x) => (x < 0 ? 0.25 * x : x), 6],
  Elu: [{ alpha: "2.0" }, (x) => (x < 0 ? 2 * (Math.exp(x) - 1) : x), 6],
  Selu: [{ alpha: "2.0", gamma: "3.0" }, (x) => 3 * (x <= 0 ? 2 * (Math.exp(x) - 1) : x), 6],
  Celu: [{ alpha: "2.0" }, (x) => Math.max(0, x) + Math.min(0, 2 * (Math.exp(x / 2) - 1)), 12],
};
for (const [op, [attrs, f, since]] of Object.entries(pieces))
  check(op, "both sides of 0, infinities and NaN", () => [
    [one(op, since, x23, attrs), map(x23, f)],
    [one(op, since, ends, attrs), map(ends, f)],
  ]);
check("LeakyRelu", "its defaults", () => [
  [one("LeakyRelu", 16, x23), map(x23, (x) => (x < 0 ? Math.fround(0.01) * x : x))],
]);
check("Swish", "values", () => [
  [one("Swish", 24, x23, { alpha: "0.5" }), map(x23, (x) => x / (1 + Math.exp(-x / 2)))],
]);
check("Mish", "values", () => [[one("Mish", 18, x23), map(x23, (x) => x * Math.tanh(Math.log(1 + Math.exp(x))))]]);
check("PRelu", "slopes by channel, and by numpy's rules", () => {
  const x = some([2, 3, 2]);
  const slope = [0.5, 2, -1];
  const want = map(x, (v, i) => (v < 0 ? v * (slope[Math.floor(i / 2) % 3] as number) : v));
  return [
    [one("PRelu", 6, x, {}, [f32([3], slope)]), want],
    [one("PRelu", 9, x, {}, [f32([3, 1], slope)]), want],
  ];
});

const arithmetic: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
};
for (const [op, f] of Object.entries(arithmetic))
  check(op, "equal shapes; an axis of the old form; numpy's rules", () => {
    const x = some([2, 3, 2]);
    const b = f32([3], [1, -2, 4]);
    const want = map(x, (v, i) => f(v, [1, -2, 4][Math.floor(i / 2) % 3] as number));
    const last = map(x, (v, i) => f(v, [8, -2][i % 2] as number));
    return [
      [one(op, 6, x, { broadcast: 1, axis: 1 }, [b]), want],
      [one(op, 6, x, { broadcast: 1 }, [f32([2], [8, -2])]), last],
      [one(op, 6, x23, {}, [f32([2, 3], [1, 2, 4, 1, 2, 4])]), map(x23, (v, i) => f(v, [1, 2, 4][i % 3] as number))],
      [one(op, 14, x, {}, [f32([3, 1], [1, -2, 4])]), want],
    ];
  });
for (const [op, by] of [
  ["Sum", 1],
  ["Mean", 3],
] as const)
  check(op, "several operands, also broadcast", () => [
    [
      one(op, 6, x23, {}, [f32([2, 3], [1, 2, 3, 4, 5, 6]), f32([2, 3], [1, 1, 1, 1, 1, 1])]),
      map(x23, (v, i) => (v + i + 2) / by),
    ],
    [one(op, 13, x23, {}, [f32([1, 3], [1, 2, 3]), f32([], [1])]), map(x23, (v, i) => (v + (i % 3) + 2) / by)],
  ]);
check("Pow", "squares", () => [[one("Pow", 13, x23, {}, [f32([], [2])]), map(x23, (v) => v * v)]]);
check("Clip", "below 0 only, or not at all", () => [
  [one("Clip", 6, x23, { min: "0.0" }), map(x23, (v) => Math.max(0, v))],
  [one("Clip", 6, x23), x23],
  [one("Clip", 13, x23, {}, [f32([], [0])]), map(x23, (v) => Math.max(0, v))],
]);
check("Identity", "an input that is returned", () => [[one("Identity", 13, x23), x23]]);
check("Cast", "to the same type", () => [
  [one("Cast", 5, x23, { to: "FLOAT" }), x23],
  [one("Cast", 13, x23, { to: 1 }), x23],
]);
check("Dropout", "inference in its three forms", () => [
  [one("Dropout", 6, x23, { is_test: 1, ratio: "0.5" }), x23],
  [one("Dropout", 10, x23, { ratio: "0.5" }, [], ["y"]), x23],
  [one("Dropout", 13, x23, {}, [f32([], [0.5]), tensorOf("", "bool", [], Uint8Array.of(0))]), x23],
]);

/** The elements of x that lie on the same place of the axes that are kept, one list for each place. */
function places(x: NdArray, axes: readonly number[]): number[][] {
  const lists = new Map<string, number[]>();
  x.data.forEach((v, i) => {
    let rest = i;
    const at = x.shape.map(() => 0);
    for (let a = x.shape.length - 1; a >= 0; a--) {
      at[a] = axes.includes(a) ? 0 : rest % (x.shape[a] as number);
      rest = Math.floor(rest / (x.shape[a] as number));
    }
    lists.set(at.join(), [...(lists.get(at.join()) ?? []), v]);
  });
  return [...lists.values()];
}
const folds: Readonly<Record<string, (xs: readonly number[]) => number>> = {
  ReduceSum: total,
  ReduceMean: (xs) => total(xs) / xs.length,
  ReduceMax: (xs) => Math.max(...xs),
  ReduceMin: (xs) => Math.min(...xs),
  ReduceL1: (xs) => total(xs.map(Math.abs)),
  ReduceL2: (xs) => Math.hypot(...xs),
  ReduceSumSquare: (xs) => total(xs.map((v) => v * v)),
  ReduceLogSum: (xs) => Math.log(total(xs)),
  ReduceLogSumExp: (xs) => Math.log(total(xs.map(Math.exp))),
};
for (const [op, f] of Object.entries(folds))
  check(op, "axes as attribute and as input, kept or not, all of them, none", () => {
    const x = map(some([2, 3, 2, 2]), (v) => (op === "ReduceLogSum" ? Math.abs(v) : v));
    const over = (axes: readonly number[], shape: readonly number[]): NdArray => array(shape, places(x, axes).map(f));
    const inputs = op === "ReduceSum" ? 13 : 18;
    return [
      [one(op, 11, x, { axes: [1, -1] }), over([1, 3], [2, 1, 2, 1])],
      [one(op, 11, x, { axes: [2, 3], keepdims: 0 }), over([2, 3], [2, 3])],
      [one(op, 11, x, { axes: [1], keepdims: 0 }), over([1], [2, 2, 2])],
      [one(op, 11, x, { keepdims: 0 }), over([0, 1, 2, 3], [])],
      [one(op, inputs, x, { keepdims: 0 }, [i64([0, 2])]), over([0, 2], [3, 2])],
      [one(op, inputs, x), over([0, 1, 2, 3], [1, 1, 1, 1])],
    ];
  });
check("ReduceSum", "no axes, as told", () => [[one("ReduceSum", 13, x23, { noop_with_empty_axes: 1 }), x23]]);

for (const op of ["Softmax", "LogSoftmax"])
  check(op, "along an axis, and of old over all axes from one on; large numbers", () => {
    const x = some([2, 3, 2, 2]);
    const over = (axes: readonly number[]): NdArray => {
      const y = NdArray.fill(x.shape, () => 0);
      const positions = places(
        map(x, (_, i) => i),
        axes,
      );
      for (const list of positions) {
        const sum = total(list.map((i) => Math.exp(x.data[i] as number)));
        for (const i of list) y.data[i] = Math.exp(x.data[i] as number) / sum;
      }
      return op === "Softmax" ? y : map(y, Math.log);
    };
    const large = array([1, 2], [1000, 1001]);
    const p = 1 / (1 + Math.E);
    return [
      [one(op, 13, x), over([3])],
      [one(op, 13, x, { axis: 1 }), over([1])],
      [one(op, 13, x, { axis: 0 }), over([0])],
      [one(op, 11, x), over([1, 2, 3])],
      [one(op, 11, x, { axis: 3 }), over([3])],
      [one(op, 11, x, { axis: 0 }), over([0, 1, 2, 3])],
      [one(op, 13, large), map(array([1, 2], [p, 1 - p]), op === "Softmax" ? (v) => v : Math.log)],
    ];
  });

coversAll(
  { ...elementwise, ...reduce },
  [...ortRules.map((r) => r.op), "BitCast"], // bit_cast.test.ts
);
