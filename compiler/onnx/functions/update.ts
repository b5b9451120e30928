// The ops that update state. There are no branches: both outcomes are computed, and Where selects one.

import { elements } from "../../ir/types.js";
import * as op from "../../ops/index.js";
import type { Operand, Ref } from "../writer.js";
import { type Body, bodyOf, extent } from "./body.js";

const largest = 3.4028234663852886e38; // the largest finite f32 number

export const update: readonly Body[] = [
  bodyOf(op.sgd, (w, { p, v, g, lr, momentum, weight_decay, finite }, { attrs: { grad_scale } }) => {
    const pull = w.add(w.mul(g, grad_scale), w.mul(p, weight_decay));
    const ok = w.isSet(finite);
    const v_new = w.where(ok, w.add(w.mul(v, momentum), pull), v);
    return { v_new, p_new: w.where(ok, w.sub(p, w.mul(v_new, lr)), p) };
  }),
  bodyOf(op.adamw, (w, { p, m, v, g, finite, ...o }, { attrs: { grad_scale } }) => {
    const h = w.mul(w.mul(g, grad_scale), o.clip);
    const ok = w.isSet(finite);
    const moved = (old: Ref | Operand, next: Ref, beta: Operand): Ref =>
      w.where(ok, w.add(w.mul(old, beta), w.mul(next, w.sub(1, beta))), old);
    const m_new = moved(m, h, o.beta1);
    const v_new = moved(v, w.mul(h, h), o.beta2);
    const direction = w.div(w.div(m_new, o.c1), w.add(w.sqrt(w.div(v_new, o.c2)), o.eps));
    const step = w.mul(w.add(w.mul(p, o.weight_decay), direction), o.lr);
    return { m_new, v_new, p_new: w.where(ok, w.sub(p, step), p) };
  }),
  bodyOf(op.running_average, (w, { previous, batch, finite }, { attrs: { momentum } }) => {
    const next = w.add(w.mul(previous, 1 - momentum), w.mul(batch, momentum));
    return w.where(w.isSet(finite), next, previous);
  }),
  bodyOf(op.ema, (w, { k, q, m }) => w.add(w.mul(k, m), w.mul(q, w.sub(1, m)))),
  bodyOf(op.queue_push, (w, { queue, ptr, keys, finite }) => {
    const [n, size] = [extent(keys, 0), extent(queue, 1)];
    const first = Math.max(0, n - size); // earlier keys are left out, because later ones overwrite them
    const mod = (x: Ref): Ref => w.op("Mod", [x, w.i64([size])]);
    const columns = mod(w.add(ptr, w.count(n - first, [n - first], first))); // [n - first]
    const pushed = w.op("ScatterND", [
      w.transpose(queue, [1, 0]),
      w.unsqueeze(columns, [1]),
      w.slice(keys, 0, first, n),
    ]);
    const ok = w.isSet(finite);
    return {
      queue_new: w.where(ok, w.transpose(pushed, [1, 0]), queue),
      ptr_new: w.where(ok, mod(w.add(ptr, w.i64([n]))), ptr),
    };
  }),
  bodyOf(op.prototype_update, (w, { prototypes, q, target, kept, m, finite }) => {
    const [n, classes] = [extent(q, 0), extent(prototypes, 0)];
    // After the n rows of a class the prototype is m^n p + (1 - m) * the sum of m^(number of later rows) q.
    const hot = w.equal(w.unsqueeze(target, [1]), w.count(classes));
    const member = w.toFloat(w.and(hot, w.unsqueeze(w.isSet(kept), [1]))); // [N, K]
    // [N, N]: 1 if the column comes after the row
    const later = w.toFloat(w.less(w.count(n, [n, 1]), w.count(n, [1, n])));
    const after = w.reduce("Sum", w.mul(member, w.op("MatMul", [later, member])), [1], true); // [N, 1]
    const share = w.mul(w.pow(m, after), w.sub(1, m));
    const added = w.op("Gemm", [member, w.mul(q, share)], { transA: 1 }); // [K, D]
    const count = w.unsqueeze(w.reduce("Sum", member, [0]), [1]); // [K, 1]
    const moved = w.add(w.mul(prototypes, w.pow(m, count)), added);
    const length = w.sqrt(w.reduce("Sum", w.mul(moved, moved), [1], true));
    return w.where(w.isSet(finite), w.div(moved, w.max(length, 1e-12)), prototypes);
  }),
  bodyOf(op.increment, (w, { x, finite }) => w.add(x, w.op("Cast", [w.isSet(finite)], { to: 7 }))),
  bodyOf(op.all_finite, (w, { xs }) => {
    const flags = xs.map((x) => {
      const ok = w.toFloat(w.op("LessOrEqual", [w.op("Abs", [x]), largest])); // 0 for a NaN
      return elements(x.type.shape) === 1 ? w.reshape(ok, []) : w.op("ReduceMin", [ok], { keepdims: 0 });
    });
    return flags.length === 1 ? (flags[0] as Ref) : w.op("Min", flags);
  }),
];
