// Recurrent layers, written out step by step: the length of a sequence is an extent. X is [steps, batch, inputs], or
// [batch, steps, inputs] with layout 1. A row of the batch whose sequence is shorter keeps its state after its end, and
// its results are 0 there.

import type { Builder } from "../../ir/builder.js";
import type { Value } from "../../ir/types.js";
import { compute, filled } from "../../ops/composed/compute.js";
import { reshaped, transposed } from "../../ops/composed/layout.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { type Rules, since } from "./rule.js";

/** An activation as an expression of its argument. */
type Activation = (x: string) => string;

/** The activations by their names in lower case, with the defaults of alpha and beta. */
const activations: Readonly<Record<string, readonly [number, number, (a: number, b: number) => Activation]>> = {
  relu: [0, 0, () => (x) => `max(${x},0)`],
  tanh: [0, 0, () => (x) => `tanh(${x})`],
  sigmoid: [0, 0, () => (x) => `sigmoid(${x})`],
  affine: [1, 0, (a, b) => (x) => `add(mul(${x},${a}),${b})`],
  leakyrelu: [0.01, 0, (a) => (x) => `where(less(${x},0),mul(${x},${a}),${x})`],
  thresholdedrelu: [1, 0, (a) => (x) => `where(less(${x},${a}),0,${x})`],
  scaledtanh: [1, 1, (a, b) => (x) => `mul(tanh(mul(${x},${b})),${a})`],
  hardsigmoid: [0.2, 0.5, (a, b) => (x) => `min(max(add(mul(${x},${a}),${b}),0),1)`],
  elu: [1, 0, (a) => (x) => `where(less(${x},0),mul(sub(exp(${x}),1),${a}),${x})`],
  softsign: [0, 0, () => (x) => `div(${x},add(1,abs(${x})))`],
  softplus: [0, 0, () => (x) => `add(max(${x},0),log1p(exp(neg(abs(${x})))))`],
};

/** The activations of all directions: `each` for each of them. */
function activationsOf(at: At, directions: number, defaults: readonly string[]): Activation[][] {
  const names = at.texts("activations") ?? Array.from({ length: directions }, () => defaults).flat();
  const [alphas, betas] = [[...(at.floats("activation_alpha") ?? [])], [...(at.floats("activation_beta") ?? [])]];
  const clip = at.given("clip") ? at.float("clip", 0) : undefined;
  if (names.length !== directions * defaults.length)
    at.refuse(`${names.length} activations for ${directions} directions of ${defaults.length}`);
  const all = names.map((name) => {
    const known = activations[name.toLowerCase()];
    if (!known) return at.refuse(`the activation ${name} is not known`);
    const [alpha, beta, make] = known;
    const f = make(alpha === 0 ? 0 : (alphas.shift() ?? alpha), beta === 0 ? 0 : (betas.shift() ?? beta));
    return clip === undefined ? f : (x: string) => f(`min(max(${x},${-clip}),${clip})`);
  });
  return Array.from({ length: directions }, (_, d) => all.slice(d * defaults.length, (d + 1) * defaults.length));
}

/** x [M, K] times the transpose of w [N, K]. */
const product = (b: Builder, x: Value, w: Value): Value =>
  x.type.dtype === "f32" ? op.matmul(b, x, w, { tb: true }) : op.batch_matmul(b, x, transposed(b, w, [1, 0]));

/** One direction of a layer. */
interface Layer {
  readonly w: Value; // [gates * hidden, inputs]
  readonly r: Value; // [gates * hidden, hidden]
  readonly wb: Value; // [1, gates * hidden], the bias of w
  readonly rb: Value;
  readonly f: readonly Activation[];
}

interface Sequence {
  readonly b: Builder;
  readonly x: Value; // [steps, batch, inputs]
  readonly steps: number;
  readonly hidden: number;
  readonly batchFirst: boolean; // whether the results have the axes of layout 1
  readonly reverse: readonly boolean[]; // for each direction
  readonly layers: readonly Layer[];
  readonly lengths: Value | undefined; // [batch, 1], i64
  readonly initial: (i: number) => readonly Value[]; // of input i, [batch, hidden] for each direction
}

function rows(b: Builder, v: Value, i: number): Value {
  return reshaped(b, op.slice(b, v, { axis: 0, start: i, end: i + 1 }), v.type.shape.slice(1));
}

function sequenceOf(at: At, gates: number, defaults: readonly string[]): Sequence {
  const b = at.builder;
  const direction = at.text("direction", "forward");
  const reverse = { forward: [false], reverse: [true], bidirectional: [false, true] }[direction];
  if (!reverse) return at.refuse(`direction ${direction} is not known`);
  const batchFirst = at.int("layout", 0) === 1;
  const x = batchFirst ? transposed(b, at.in(0), [1, 0, 2]) : at.in(0);
  const [steps, batch] = x.type.shape as [number, number, number];
  const hidden = at.shape(2)[2] as number;
  if (at.given("hidden_size") && at.int("hidden_size", 0) !== hidden)
    at.refuse(`hidden_size is not that of the weights, ${hidden}`);
  const [w, r] = [at.in(1), at.in(2)];
  const size = gates * hidden;
  const bias = at.has(3) ? at.in(3) : undefined;
  const f = activationsOf(at, reverse.length, defaults);
  const zero = (shape: readonly number[]): Value => filled(b, x.type.dtype, shape, 0);
  const layers = reverse.map((_, d): Layer => {
    const part = (begin: number): Value => {
      if (!bias) return zero([1, size]);
      return reshaped(b, op.slice(b, rows(b, bias, d), { axis: 0, start: begin, end: begin + size }), [1, size]);
    };
    return { w: rows(b, w, d), r: rows(b, r, d), wb: part(0), rb: part(size), f: f[d] as Activation[] };
  });
  const lengths = at.has(4) ? reshaped(b, op.map(b, [at.in(4)], { expr: "to_i64(x0)" }), [batch, 1]) : undefined;
  const initial = (i: number): Value[] => {
    if (!at.has(i)) return reverse.map(() => zero([batch, hidden]));
    const v = batchFirst ? transposed(b, at.in(i), [1, 0, 2]) : at.in(i);
    return reverse.map((_, d) => rows(b, v, d));
  };
  return { b, x, steps, hidden, batchFirst, reverse, layers, lengths, initial };
}

/**
 * Runs the steps of all directions. `step` returns the states after a step, of which the first is the result. Returns
 * the outputs Y, Y_h and, with two states, Y_c.
 */
function unrolled(
  s: Sequence,
  states: number,
  step: (l: Layer, x: Value, before: readonly Value[], direction: number) => readonly Value[],
): Value[] {
  const { b, batchFirst } = s;
  const starts = Array.from({ length: states }, (_, i) => s.initial(5 + i));
  const ends: Value[][] = [];
  const results: Value[][] = []; // by direction and time
  for (const [d, l] of s.layers.entries()) {
    let state = starts.map((of) => of[d] as Value);
    const made: Value[] = [];
    for (let i = 0; i < s.steps; i++) {
      const time = s.reverse[d] ? s.steps - 1 - i : i;
      const next = step(l, rows(b, s.x, time), state, d);
      if (!s.lengths) {
        state = [...next];
        made[time] = next[0] as Value;
        continue;
      }
      const lengths = s.lengths;
      const kept = (a: Value, z: Value): Value =>
        op.map(b, [lengths, a, z], { expr: `where(greater(x0,${time}),x1,x2)` });
      made[time] = kept(next[0] as Value, filled(b, s.x.type.dtype, [], 0));
      state = next.map((v, k) => kept(v, state[k] as Value));
    }
    results.push(made);
    ends.push(state);
  }
  const stack = (parts: readonly Value[], axis: number): Value =>
    op.concat(
      b,
      parts.map((v) => reshaped(b, v, v.type.shape.toSpliced(axis, 0, 1))),
      { axis },
    );
  const y = stack(
    results.map((made) => stack(made, 0)),
    1,
  ); // [steps, directions, batch, hidden]
  const last = Array.from({ length: states }, (_, k) =>
    stack(
      ends.map((e) => e[k] as Value),
      0,
    ),
  );
  if (!batchFirst) return [y, ...last];
  return [transposed(b, y, [2, 0, 1, 3]), ...last.map((v) => transposed(b, v, [1, 0, 2]))];
}

/** The columns of one gate of [batch, gates * hidden]. */
const gate = (b: Builder, v: Value, g: number, hidden: number): Value =>
  op.slice(b, v, { axis: 1, start: g * hidden, end: (g + 1) * hidden });

/** w x + its bias, for all gates. */
const driven = (b: Builder, l: Layer, x: Value): Value => compute(b, "add(x0,x1)", product(b, x, l.w), l.wb);
const recurred = (b: Builder, l: Layer, h: Value): Value => compute(b, "add(x0,x1)", product(b, h, l.r), l.rb);

function rnn(at: At): Value[] {
  const s = sequenceOf(at, 1, ["Tanh"]);
  const { b } = s;
  return unrolled(s, 1, (l, x, [h]) => {
    const [f] = l.f as [Activation];
    return [op.map(b, [driven(b, l, x), recurred(b, l, h as Value)], { expr: f("add(x0,x1)") })];
  });
}

/** Gates z, r, h. */
function gru(at: At): Value[] {
  const after = at.int("linear_before_reset", 0) !== 0;
  const s = sequenceOf(at, 3, ["Sigmoid", "Tanh"]);
  const { b, hidden } = s;
  return unrolled(s, 1, (l, x, [h]) => {
    const [f, g] = l.f as [Activation, Activation];
    const [wx, before] = [driven(b, l, x), h as Value];
    const rh = recurred(b, l, before);
    const sum = (k: number): Value =>
      op.map(b, [gate(b, wx, k, hidden), gate(b, rh, k, hidden)], { expr: f("add(x0,x1)") });
    const [z, r] = [sum(0), sum(1)];
    const own = gate(b, wx, 2, hidden);
    const new_ = after
      ? op.map(b, [own, r, gate(b, rh, 2, hidden)], { expr: g("add(x0,mul(x1,x2))") })
      : op.map(
          b,
          [
            own,
            product(
              b,
              compute(b, "mul(x0,x1)", r, before),
              op.slice(b, l.r, { axis: 0, start: 2 * hidden, end: 3 * hidden }),
            ),
            gate(b, l.rb, 2, hidden),
          ],
          { expr: g("add(x0,add(x1,x2))") },
        );
    return [compute(b, "add(mul(sub(1,x0),x1),mul(x0,x2))", z, new_, before)];
  });
}

/** Gates i, o, f, c; peepholes of i, o, f. */
function lstm(at: At): Value[] {
  const coupled = at.int("input_forget", 0) !== 0;
  const s = sequenceOf(at, 4, ["Sigmoid", "Tanh", "Tanh"]);
  const { b, hidden } = s;
  const peepholes = at.has(7) ? at.in(7) : undefined;
  const peephole = (d: number, k: number): Value =>
    peepholes
      ? reshaped(b, op.slice(b, rows(b, peepholes, d), { axis: 0, start: k * hidden, end: (k + 1) * hidden }), [
          1,
          hidden,
        ])
      : filled(b, s.x.type.dtype, [1, hidden], 0);
  return unrolled(s, 2, (l, x, [h, c], d) => {
    const [f, g, out] = l.f as [Activation, Activation, Activation];
    const sum = compute(b, "add(x0,x1)", driven(b, l, x), recurred(b, l, h as Value));
    const open = (k: number, peep: number, cell: Value): Value => {
      const own = gate(b, sum, k, hidden);
      if (!peepholes) return op.map(b, [own], { expr: f("x0") });
      return op.map(b, [own, peephole(d, peep), cell], { expr: f("add(x0,mul(x1,x2))") });
    };
    const i = open(0, 0, c as Value);
    const forget = coupled ? compute(b, "sub(1,x0)", i) : open(2, 2, c as Value);
    const fresh = op.map(b, [gate(b, sum, 3, hidden)], { expr: g("x0") });
    const cell = compute(b, "add(mul(x0,x1),mul(x2,x3))", forget, c as Value, i, fresh);
    const o = open(1, 1, cell);
    return [op.map(b, [o, cell], { expr: `mul(x0,${out("x1")})` }), cell];
  });
}

export const recurrent: Rules = { RNN: since(7, rnn), GRU: since(7, gru), LSTM: since(7, lstm) };
