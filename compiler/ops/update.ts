// The ops that update state: optimizer, moving averages, the queue of keys, the prototypes. All except ema and
// all_finite take `finite` f32[] and return the old state if it is 0. Surprising: ema takes no `finite`, so a step that
// diverges still moves the key encoder, by query weights from before the step.

import { f32, floats, i64 } from "../ir/element_types.js";
import { NdArray } from "../ir/nd.js";
import { sameShape, type TensorType } from "../ir/types.js";
import { floatLiteral } from "../util/float.js";
import { defineOp, type Op } from "./op.js";
import { dim, wantRank, wantScalar, wantShape } from "./shape.js";

type NoAttrs = Record<never, never>;
type SgdAttrs = { grad_scale: number };

function checkSame(operands: Readonly<Record<string, TensorType>>): void {
  const [[firstName, first], ...others] = Object.entries(operands) as [[string, TensorType], ...[string, TensorType][]];
  for (const [name, t] of others) {
    if (!sameShape(t.shape, first.shape))
      throw new Error(`${name} must have the shape of ${firstName}, not [${t.shape}]`);
  }
}

function checkScalars(operands: Readonly<Record<string, TensorType>>): void {
  for (const [name, t] of Object.entries(operands)) wantScalar(name, t);
}

/** y = (1 - momentum) previous + momentum batch; y = previous if finite is 0. */
export const running_average: Op<readonly ["previous", "batch", "finite"], readonly ["y"], { momentum: number }> =
  defineOp({
    name: "running_average",
    inputs: ["previous", "batch", "finite"],
    outputs: ["y"],
    attrs: ["momentum"],
    types: { previous: floats, batch: floats, finite: f32 },
    kind: "elementwise",
    onnx: "moproc::RunningAverage",
    flat: true,
    inPlace: { y: "previous" },
    access: { finite: "scalar" },
    infer: ({ previous, batch, finite }, _: { momentum: number }) => {
      checkSame({ previous, batch });
      checkScalars({ finite });
      return { y: previous };
    },
    reference: ({ previous, batch, finite }, { momentum }) => ({
      y: NdArray.fill(previous.shape, (i) => {
        const old = previous.data[i] as number;
        return finite.at() === 0 ? old : (1 - momentum) * old + momentum * (batch.data[i] as number);
      }),
    }),
    code: ([previous, batch, finite], { momentum }) => {
      const next = `fma(${batch}, Vec(${floatLiteral(momentum)}), ${previous} * Vec(${floatLiteral(1 - momentum)}))`;
      return [`select(${finite} == Vec(0.0f), ${previous}, ${next})`];
    },
  });

/**
 * v_new = momentum v + (grad_scale g + weight_decay p); p_new = p - lr v_new. If finite is 0, v_new = v and p_new = p.
 */
export const sgd: Op<
  readonly ["p", "v", "g", "lr", "momentum", "weight_decay", "finite"],
  readonly ["v_new", "p_new"],
  SgdAttrs
> = defineOp({
  name: "sgd",
  inputs: ["p", "v", "g", "lr", "momentum", "weight_decay", "finite"],
  outputs: ["v_new", "p_new"],
  attrs: ["grad_scale"],
  types: { p: floats, v: floats, g: floats, lr: f32, momentum: f32, weight_decay: f32, finite: f32 },
  kind: "elementwise",
  onnx: "moproc::Sgd",
  flat: true,
  inPlace: { v_new: "v", p_new: "p" },
  access: { lr: "scalar", momentum: "scalar", weight_decay: "scalar", finite: "scalar" },
  infer: ({ p, v, g, lr, momentum, weight_decay, finite }, _: SgdAttrs) => {
    checkSame({ p, v, g });
    checkScalars({ lr, momentum, weight_decay, finite });
    return { v_new: v, p_new: p };
  },
  reference: ({ p, v, g, lr, momentum, weight_decay, finite }, { grad_scale }) => {
    if (finite.at() === 0) return { v_new: v, p_new: p };
    const [ps, vs, gs] = [p.data, v.data, g.data];
    const v_new = NdArray.fill(
      v.shape,
      (i) => momentum.at() * (vs[i] as number) + grad_scale * (gs[i] as number) + weight_decay.at() * (ps[i] as number),
    );
    return {
      v_new,
      p_new: NdArray.fill(p.shape, (i) => (ps[i] as number) - lr.at() * (v_new.data[i] as number)),
    };
  },
  code: ([p, v, g, lr, momentum, wd, finite], { grad_scale }, [v_new]) => {
    const step = `fma(${momentum}, ${v}, fma(${wd}, ${p}, ${g} * Vec(${floatLiteral(grad_scale)})))`;
    const unless = (next: string, old: string | undefined): string => `select(${finite} == Vec(0.0f), ${old}, ${next})`;
    return [unless(step, v), unless(`${p} - ${lr} * ${v_new}`, p)];
  },
});

/** k_new = m k + (1 - m) q: moves the key encoder towards the query encoder. Takes no `finite`. Stops gradients. */
export const ema: Op<readonly ["k", "q", "m"], readonly ["k_new"], NoAttrs> = defineOp({
  name: "ema",
  inputs: ["k", "q", "m"],
  outputs: ["k_new"],
  types: { k: floats, q: floats, m: f32 },
  kind: "elementwise",
  stops: true, // the key encoder follows the query encoder, and its keys are constants of the loss
  onnx: "moproc::Ema",
  flat: true,
  inPlace: { k_new: "k" },
  access: { m: "scalar" },
  infer: ({ k, q, m }, _: NoAttrs) => {
    checkSame({ k, q });
    checkScalars({ m });
    return { k_new: k };
  },
  reference: ({ k, q, m }) => ({
    k_new: NdArray.fill(k.shape, (i) => (k.data[i] as number) * m.at() + (q.data[i] as number) * (1 - m.at())),
  }),
  code: ([k, q, m]) => [`fma(${k}, ${m}, ${q} * (Vec(1.0f) - ${m}))`],
});

/**
 * The rows of keys [N, D] become the columns ptr, ptr + 1, ... (mod Q) of queue [D, Q]; of several rows for one column
 * the last counts. ptr_new = (ptr + N) mod Q, i64[1]. If finite is 0, queue and ptr stay.
 */
export const queue_push: Op<readonly ["queue", "ptr", "keys", "finite"], readonly ["queue_new", "ptr_new"], NoAttrs> =
  defineOp({
    name: "queue_push",
    inputs: ["queue", "ptr", "keys", "finite"],
    outputs: ["queue_new", "ptr_new"],
    types: { queue: f32, ptr: i64, keys: f32, finite: f32 },
    kind: "kernel",
    onnx: "moproc::QueuePush",
    inPlace: { queue_new: "queue", ptr_new: "ptr" },
    infer: ({ queue, ptr, keys, finite }, _: NoAttrs) => {
      wantRank("queue", queue, 2);
      wantRank("keys", keys, 2);
      wantShape("ptr", ptr, [1]);
      wantScalar("finite", finite);
      if (dim(keys, 1) !== dim(queue, 0))
        throw new Error(`keys have ${dim(keys, 1)} elements, the queue holds ${dim(queue, 0)}`);
      return { queue_new: queue, ptr_new: ptr };
    },
    reference: ({ queue, ptr, keys, finite }) => {
      if (finite.at() === 0) return { queue_new: queue, ptr_new: ptr };
      const [d, q] = [dim(queue, 0), dim(queue, 1)];
      const queue_new = new NdArray(queue.shape, queue.data.slice());
      for (let n = 0; n < dim(keys, 0); n++)
        for (let i = 0; i < d; i++) queue_new.set([i, (ptr.at(0) + n) % q], keys.at(n, i));
      return { queue_new, ptr_new: NdArray.fill([1], () => (ptr.at(0) + dim(keys, 0)) % q) };
    },
  });

/**
 * For the rows of q [N, D] with kept != 0, in order: prototypes[target] <- m prototypes[target] + (1 - m) q, except for
 * targets outside 0..K-1. Then every row of prototypes [K, D] is divided by the larger of its norm and 1e-12. If finite
 * is 0, the prototypes stay.
 */
export const prototype_update: Op<
  readonly ["prototypes", "q", "target", "kept", "m", "finite"],
  readonly ["prototypes_new"],
  NoAttrs
> = defineOp({
  name: "prototype_update",
  inputs: ["prototypes", "q", "target", "kept", "m", "finite"],
  outputs: ["prototypes_new"],
  types: { prototypes: f32, q: f32, target: i64, kept: f32, m: f32, finite: f32 },
  kind: "kernel",
  onnx: "moproc::PrototypeUpdate",
  inPlace: { prototypes_new: "prototypes" },
  infer: ({ prototypes, q, target, kept, m, finite }, _: NoAttrs) => {
    wantRank("prototypes", prototypes, 2);
    wantShape("q", q, [q.shape[0] ?? 0, dim(prototypes, 1)]);
    wantShape("target", target, [dim(q, 0)]);
    wantShape("kept", kept, [dim(q, 0)]);
    checkScalars({ m, finite });
    return { prototypes_new: prototypes };
  },
  reference: ({ prototypes, q, target, kept, m, finite }) => {
    if (finite.at() === 0) return { prototypes_new: prototypes };
    const [k, d] = [dim(prototypes, 0), dim(prototypes, 1)];
    const p = new NdArray(prototypes.shape, prototypes.data.slice());
    for (let n = 0; n < dim(q, 0); n++) {
      const y = target.at(n);
      if (kept.at(n) === 0 || y < 0 || y >= k) continue;
      for (let i = 0; i < d; i++) p.set([y, i], m.at() * p.at(y, i) + (1 - m.at()) * q.at(n, i));
    }
    for (let c = 0; c < k; c++) {
      const row = p.data.subarray(c * d, (c + 1) * d);
      const norm = Math.max(Math.sqrt(row.reduce((s, v) => s + v * v, 0)), 1e-12);
      row.set(row.map((v) => v / norm));
    }
    return { prototypes_new: p };
  },
});

/** y = x + 1, i64[], or x if finite is 0: counts the committed steps. */
export const increment: Op<readonly ["x", "finite"], readonly ["y"], NoAttrs> = defineOp({
  name: "increment",
  inputs: ["x", "finite"],
  outputs: ["y"],
  types: { x: i64, finite: f32 },
  kind: "kernel",
  onnx: "moproc::Increment",
  inPlace: { y: "x" },
  infer: ({ x, finite }, _: NoAttrs) => {
    wantScalar("x", x);
    wantScalar("finite", finite);
    return { y: x };
  },
  reference: ({ x, finite }) => ({ y: NdArray.scalar(x.at() + (finite.at() === 0 ? 0 : 1)) }),
});

/** y f32[]: 1 if every element of every operand is finite, otherwise 0. Throws if there is no operand. */
export const all_finite: Op<readonly ["...xs"], readonly ["y"], NoAttrs> = defineOp({
  name: "all_finite",
  inputs: ["...xs"],
  outputs: ["y"],
  types: { xs: f32 },
  kind: "kernel",
  onnx: "moproc::AllFinite",
  infer: ({ xs }, _: NoAttrs): { y: TensorType } => {
    if (xs.length === 0) throw new Error("nothing to check");
    return { y: { dtype: "f32", shape: [] } };
  },
  reference: ({ xs }) => ({ y: NdArray.scalar(xs.every((x) => x.data.every(Number.isFinite)) ? 1 : 0) }),
});
