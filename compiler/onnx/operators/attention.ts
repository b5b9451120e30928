// Attention and what goes with it: rotary embeddings, and caches of keys and values.

import type { Builder } from "../../ir/builder.js";
import { type DType, elements, sameShape, type Value } from "../../ir/types.js";
import { compute, converted, filled, spread } from "../../ops/composed/compute.js";
import { reshaped, transposed } from "../../ops/composed/layout.js";
import { wider } from "../../ops/composed/reduce.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { product } from "./products.js";
import { type Build, type Rules, since } from "./rule.js";

/** x [N, length, heads * size] as [N, heads, length, size]; of rank 4 it is that already. */
function split(at: At, x: Value, heads: number): Value {
  const { shape } = x.type;
  if (shape.length === 4) return x;
  const [n, length, hidden] = shape as [number, number, number];
  if (shape.length !== 3 || heads < 1 || hidden % heads !== 0) at.refuse(`[${shape}] are no ${heads} heads`);
  return transposed(at.builder, reshaped(at.builder, x, [n, length, heads, hidden / heads]), [0, 2, 1, 3]);
}
/** The reverse, to a tensor of rank 3. */
function joined(b: Builder, x: Value): Value {
  const [n, heads, length, size] = x.type.shape as [number, number, number, number];
  return reshaped(b, transposed(b, x, [0, 2, 1, 3]), [n, length, heads * size]);
}

/** Each of the heads of x as often as it serves heads of queries. */
function repeated(at: At, x: Value, heads: number): Value {
  const [n, own, length, size] = x.type.shape as [number, number, number, number];
  if (own === heads) return x;
  if (heads % own !== 0) at.refuse(`${heads} heads of queries do not share ${own} of keys`);
  const each = heads / own;
  const many = spread(at.builder, reshaped(at.builder, x, [n, own, 1, length, size]), [n, own, each, length, size]);
  return reshaped(at.builder, many, [n, heads, length, size]);
}

const SCORES = { raw: 0, capped: 1, biased: 2, softmax: 3 } as const; // what the output of scores contains

/** What is added to the scores [N, heads, queries, keys]: 0, -infinity for keys that are not seen, or the mask. */
function biasOf(at: At, q: Value, keys: number, past: number | undefined, dtype: DType): Value | undefined {
  const b = at.builder;
  const [n, , queries] = q.type.shape as [number, number, number];
  const causal = at.int("is_causal", 0) === 1;
  const [left, right] = [at.int("left_window_size", -1), at.int("right_window_size", -1)];
  const parts: Value[] = [];
  if (at.has(3)) {
    const mask = widened(at, at.in(3), keys);
    const bool = mask.type.dtype === "bool";
    parts.push(op.map(b, [mask], { expr: bool ? `where(x0,to_${dtype}(0),-Infinity)` : `to_${dtype}(x0)` }));
  }
  const lengths = at.has(6) ? reshaped(b, at.in(6), [n, 1, 1, 1]) : undefined;
  const counted = lengths && past === undefined; // the cache is outside
  const offset = counted ? `sub(x0,${queries})` : `to_i64(${past ?? 0})`;
  const here = `add(i2,${offset})`;
  const seen = [
    ...(causal ? [`less_equal(i3,${here})`] : []),
    ...(left >= 0 ? [`greater_equal(i3,sub(${here},${left}))`] : []),
    ...(right >= 0 ? [`less_equal(i3,add(${here},${right}))`] : []),
    ...(lengths ? ["less(i3,x0)"] : []),
  ];
  if (seen.length > 0) {
    const expr = `where(${seen.reduce((e, s) => `and(${e},${s})`)},to_${dtype}(0),-Infinity)`;
    parts.push(op.map(b, lengths ? [lengths] : [], { expr, shape: [lengths ? n : 1, 1, queries, keys] }));
  }
  return parts.reduce<Value | undefined>((sum, p) => (sum ? compute(b, "add(x0,x1)", sum, p) : p), undefined);
}

/** A mask whose last axis may be shorter than the keys, which then are not seen. */
function widened(at: At, mask: Value, keys: number): Value {
  const b = at.builder;
  const { shape, dtype } = mask.type;
  const own = shape.at(-1) ?? keys;
  if (own === keys || own === 1) return mask;
  if (own > keys) at.refuse(`a mask for ${own} keys, of which there are ${keys}`);
  const rest = filled(b, dtype, shape.with(-1, keys - own), dtype === "bool" ? 0 : -Infinity);
  return op.concat(b, [mask, rest], { axis: shape.length - 1 });
}

/** Softmax over the keys; a query that sees none has the probability 0 for each. */
function probabilities(b: Builder, scores: Value, masked: boolean): Value {
  const axes = { axes: [scores.type.shape.length - 1], keepdims: true };
  const top = op.stop_gradient(b, op.fold(b, scores, { of: "max", ...axes }));
  const e = op.map(b, [scores, top], { expr: "exp(sub(x0,where(equal(x1,-Infinity),0,x1)))" });
  const sums = op.fold(b, e, { of: "sum", ...axes });
  return masked ? op.map(b, [e, sums], { expr: "div(x0,where(equal(x1,0),1,x1))" }) : compute(b, "div(x0,x1)", e, sums);
}

const attention: Build = (at) => {
  const b = at.builder;
  const [qHeads, kvHeads] = [at.int("q_num_heads", 0), at.int("kv_num_heads", 0)];
  const own = at.type(0).dtype as DType;
  const dtype: DType = own === "f64" ? "f64" : "f32"; // of everything in between
  const flat = at.shape(0).length === 3;
  const q = split(at, at.in(0), qHeads);
  const [key, value] = [at.in(1), at.in(2)].map((x, i) => {
    const now = split(at, x, kvHeads);
    return at.has(4 + i) ? op.concat(b, [at.in(4 + i), now], { axis: 2 }) : now;
  }) as [Value, Value];
  const past = at.has(4) ? (at.shape(4)[2] as number) : undefined;
  const [heads, size] = [q.type.shape[1], q.type.shape[3]] as [number, number];
  const keys = key.type.shape[2] as number;
  const factor = at.float("scale", 1 / Math.sqrt(size));
  const cap = at.float("softcap", 0);
  const mode = at.int("qk_matmul_output_mode", 0);
  at.ignore("softmax_precision"); // it is at least f32
  const exact = (x: Value): Value => converted(b, x, dtype);
  const turned = transposed(b, repeated(at, exact(key), heads), [0, 1, 3, 2]);
  const raw = compute(b, `mul(x0,${factor})`, product(at, exact(q), turned));
  const capped = cap > 0 ? compute(b, `mul(tanh(mul(x0,${1 / cap})),${cap})`, raw) : raw;
  const bias = biasOf(at, q, keys, past, dtype);
  const biased = bias ? compute(b, "add(x0,x1)", capped, bias) : capped;
  const weights = probabilities(b, biased, bias !== undefined);
  const y = converted(b, product(at, weights, repeated(at, exact(value), heads)), own);
  const shown = { [SCORES.raw]: raw, [SCORES.capped]: capped, [SCORES.biased]: biased, [SCORES.softmax]: weights }[
    mode
  ];
  if (!shown) return at.refuse(`qk_matmul_output_mode ${mode} is not known`);
  return [flat ? joined(b, y) : y, key, value, at.wants(3) ? converted(b, shown, own) : undefined];
};

/** Pairs of elements of each head, rotated by the angle of their position. */
const rotary: Build = (at) => {
  const b = at.builder;
  const [interleaved, heads] = [at.int("interleaved", 0) === 1, at.int("num_heads", 0)];
  const x = at.in(0);
  const flat = x.type.shape.length === 3;
  const images = split(at, x, heads);
  const [n, h, length, size] = images.type.shape as [number, number, number, number];
  const turned = at.int("rotary_embedding_dim", 0) || size;
  const half = turned / 2;
  if (!Number.isInteger(half) || turned > size) at.refuse(`${turned} of ${size} elements are rotated`);
  const angles = [1, 2].map((i) => {
    const table = at.has(3) ? op.gather(b, at.in(i), at.in(3), { axis: 0 }) : at.in(i);
    if (!sameShape(table.type.shape, [n, length, half])) at.refuse(`input ${i} is [${table.type.shape}]`);
    return reshaped(b, table, [n, 1, length, half]);
  });
  const part = (v: Value, start: number, end: number): Value =>
    op.slice(b, v, { axis: v.type.shape.length - 1, start, end });
  const lanes = interleaved ? [n, h, length, half, 2] : [n, h, length, 2, half];
  const pairs = reshaped(b, turned === size ? images : part(images, 0, turned), lanes);
  const axis = interleaved ? 4 : 3;
  const [first, second] = [0, 1].map((i) =>
    reshaped(b, op.slice(b, pairs, { axis, start: i, end: i + 1 }), [n, h, length, half]),
  ) as [Value, Value];
  const rotated = ["sub(mul(x2,x0),mul(x3,x1))", "add(mul(x3,x0),mul(x2,x1))"].map((expr) =>
    reshaped(
      b,
      wider(b, first, (v) =>
        compute(b, expr, v, ...[second, ...angles].map((t) => converted(b, t, v.type.dtype as DType))),
      ),
      lanes.with(axis, 1),
    ),
  );
  const whole = reshaped(b, op.concat(b, rotated, { axis }), [n, h, length, turned]);
  const y = turned === size ? whole : op.concat(b, [whole, part(images, turned, size)], { axis: 3 });
  return flat ? joined(b, y) : y;
};

/** A cache in which the update takes the places from the write index of each sample on. */
const tensorScatter: Build = (at) => {
  const b = at.builder;
  const [cache, update] = [at.in(0), at.in(1)];
  const { shape } = cache.type;
  const axis = at.axis(at.int("axis", -2), shape.length);
  const mode = at.text("mode", "linear");
  if (mode !== "linear" && mode !== "circular") at.refuse(`mode ${mode} is not known`);
  if (axis === 0 || !sameShape(update.type.shape.with(axis, shape[axis] as number), shape))
    at.refuse(`an update [${update.type.shape}] does not fit [${shape}] along axis ${axis}`);
  const starts = at.has(2) ? [reshaped(b, at.in(2), [shape[0] as number, ...shape.slice(1).map(() => 1)])] : [];
  const place = starts.length > 0 ? `add(x0,i${axis})` : `i${axis}`;
  const expr = mode === "circular" ? `mod(${place},${shape[axis]})` : place;
  const positions = op.map(b, starts, { expr, shape: update.type.shape });
  return elements(update.type.shape) === 0
    ? cache
    : op.scatter_elements(b, cache, positions, update, { axis, of: "set" });
};

export const attentions: Rules = {
  Attention: since(23, attention),
  RotaryEmbedding: since(23, rotary),
  TensorScatter: since(24, tensorScatter),
};
