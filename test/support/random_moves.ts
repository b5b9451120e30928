// The parts of a random training graph: each move takes an existing value and appends something that a model might do
// with it. A move that does not fit the value appends nothing. Sizes stay small, because the reference runs in f64
// loops.

import type { Builder } from "../../compiler/ir/builder.js";
import { elements, type Value } from "../../compiler/ir/types.js";
import * as op from "../../compiler/ops/index.js";
import { batch_norm, conv2d, linear, Net } from "../../models/nn.js";
import { uniform } from "./random.js";

const largest = 2000; // elements of a value

/** Random choices, a function of the seed. */
export class Draw {
  private readonly next: () => number;

  constructor(seed: number) {
    this.next = uniform(seed);
  }

  /** An integer from low to high, both included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  chance(p: number): boolean {
    return this.next() < p;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(0, list.length - 1)] as T;
  }
}

/** A graph while it grows. */
export interface Sketch {
  readonly b: Builder;
  readonly draw: Draw;
  readonly rows: number; // of the batch
  readonly net: Net; // whose layers are in training mode
  readonly pool: Value[]; // what moves may use: images [rows, C, H, W] and matrices [rows, C]
  readonly shown: Value[]; // results that no gradient may pass: maxima, statistics
  permutation(): Value; // of the rows
  part(): string; // a name not used yet
}

export type Move = (s: Sketch, x: Value) => Value | undefined;

const isImage = (x: Value): boolean => x.type.shape.length === 4;
const extent = (x: Value, axis: number): number => x.type.shape[axis] as number;
const scalar = (s: Sketch, x: number): Value => op.scalar(s.b, x);

/** A trained f32 tensor with values of about `bound` at most. */
const param = (s: Sketch, shape: readonly number[], bound = 1): Value =>
  s.net.in(s.part()).param("weight", shape, { kind: "uniform", bound });

/** Another value of the same shape, or x itself. */
const peer = (s: Sketch, x: Value): Value =>
  s.draw.pick(s.pool.filter((v) => v.type.shape.join() === x.type.shape.join()).concat(x));

const unary: Move = ({ b, draw, ...s }, x) =>
  draw.pick<() => Value>([
    () => op.relu(b, x),
    () => op.relu(b, op.relu(b, x)),
    () => op.tanh(b, x),
    () => op.sigmoid(b, x),
    () => op.abs(b, x),
    () => op.neg(b, x),
    () => op.neg(b, op.neg(b, x)),
    () => op.scale(b, x, { factor: draw.pick([1, -0.5, 1.5]) }),
    () => op.scale(b, op.square(b, x), { factor: 0.5 }),
    () => op.exp(b, op.tanh(b, x)),
    () => op.log(b, op.add(b, op.square(b, x), scalar({ b, draw, ...s }, 1.5))),
    () => op.sqrt(b, op.add(b, op.square(b, x), scalar({ b, draw, ...s }, 0.5))),
    () => op.add(b, op.relu(b, x), op.relu(b, x)),
    () => op.cast(b, x, { to: "f32" }),
  ])();

const relu: Move = ({ b }, x) => op.relu(b, x);

const binary: Move = (s, x) => {
  const { b, draw } = s;
  const y = peer(s, x);
  const positive = (): Value => op.add(b, op.sigmoid(b, y), scalar(s, 0.5));
  return draw.pick<() => Value>([
    () => op.add(b, x, y),
    () => op.add(b, x, y),
    () => op.sub(b, x, y),
    () => op.mul(b, x, op.tanh(b, y)),
    () => op.div(b, x, positive()),
  ])();
};

/** x combined with a parameter that is expanded to its shape. */
const stretched: Move = (s, x) => {
  const { b, draw } = s;
  const [n, c, ...pixels] = x.type.shape as readonly [number, number, ...number[]];
  const ones = pixels.map(() => 1);
  const shape = draw.pick<readonly number[]>([
    [1, c, ...ones],
    [1, c, ...ones],
    [1, 1, ...pixels],
    [1, c, ...pixels],
    [n, 1, ...ones],
    pixels.length > 0 ? [c, ...ones] : [c],
    [],
  ]);
  const by = param(s, shape, 0.8);
  return draw.chance(0.5) ? op.add(b, x, by) : op.mul(b, x, op.add(b, by, scalar(s, 1)));
};

/** x minus its mean, or times the tanh of its sum, over some axes. */
const centred: Move = (s, x) => {
  const { b, draw } = s;
  const axes = x.type.shape.map((_, i) => i).filter(() => draw.chance(0.5));
  if (axes.length === 0) return undefined;
  if (draw.chance(0.3)) return op.mul(b, x, op.tanh(b, op.sum(b, x, { axes, keepdims: true })));
  if (draw.chance(0.2)) s.shown.push(op.max(b, x, { axes, keepdims: true }));
  return op.sub(b, x, op.mean(b, x, { axes, keepdims: true }));
};

const convolution: Move = (s, x) => {
  if (!isImage(x)) return undefined;
  const { draw } = s;
  const kernel = draw.pick([1, 1, 2, 3, 3, 3, 5]);
  const pad = draw.chance(0.7) ? Math.floor(kernel / 2) : draw.int(0, kernel - 1);
  const stride = draw.pick([1, 1, 1, 2, 3]);
  const [h, w] = [2, 3].map((a) => Math.floor((extent(x, a) + 2 * pad - kernel) / stride) + 1) as [number, number];
  if (h < 1 || w < 1) return undefined;
  const out = Math.min(draw.pick([1, 2, 3, 4, 5, 8, 17]), Math.floor(largest / (s.rows * h * w)));
  if (out < 1) return undefined;
  if (draw.chance(0.8)) return conv2d(s.net.in(s.part()), x, { out, kernel, stride, pad });
  const weight = param(s, [out, extent(x, 1), kernel, kernel], 0.5);
  const by = param(s, draw.chance(0.5) ? [out, 1, 1, 1] : [1, extent(x, 1), 1, 1]);
  return op.conv(s.b, x, op.mul(s.b, weight, by), { stride, pad });
};

const normalised: Move = (s, x) => {
  const values = elements(x.type.shape) / extent(x, 1) / s.b.groups;
  if (values < 6) return undefined;
  if (s.draw.chance(0.85)) return batch_norm(s.net.in(s.part()), x);
  return batch_norm(new Net(s.b, { training: false }).in(s.part()), x);
};

/** Convolution (or a linear layer), normalisation, ReLU: the larger part of most networks. */
const layer: Move = (s, x) => {
  const y = isImage(x) ? convolution(s, x) : linear(s.net.in(s.part()), x, s.draw.int(2, 20));
  const z = y && normalised(s, y);
  return z && op.relu(s.b, z);
};

/** relu(x + f(x)), the end of a residual block. */
const residual: Move = (s, x) => {
  if (!isImage(x)) return undefined;
  const inner = relu(s, normalised(s, x) ?? x) as Value;
  const y = conv2d(s.net.in(s.part()), inner, { out: extent(x, 1), kernel: 3, pad: 1 });
  return op.relu(s.b, op.add(s.b, normalised(s, y) ?? y, x));
};

/** Multiplies by one weight per channel and image, computed from the image. */
const gated: Move = (s, x) => {
  if (!isImage(x)) return undefined;
  const { b, draw } = s;
  const [n, c, h, w] = x.type.shape as readonly [number, number, number, number];
  const gate = op.sigmoid(b, linear(s.net.in(s.part()), op.global_avg_pool(b, x), c));
  const wide = draw.chance(0.5) ? op.reshape(b, gate, { shape: [n, c, 1, 1] }) : op.spread_pixels(b, gate, { h, w });
  return op.mul(b, x, wide);
};

const pooled: Move = (s, x) => {
  if (!isImage(x)) return undefined;
  const { b, draw } = s;
  const [n, c, h, w] = x.type.shape as readonly [number, number, number, number];
  const kernel = draw.int(2, 3);
  if (Math.min(h, w) >= kernel && draw.chance(0.6))
    return op.max_pool(b, x, { kernel, stride: draw.int(1, 3), pad: draw.int(0, kernel >> 1) });
  if (h * w === 1) return op.reshape(b, x, { shape: [n, c] });
  return draw.chance(0.7) ? op.global_avg_pool(b, x) : op.sum(b, x, { axes: [2, 3] });
};

const moved: Move = (s, x) => {
  const { b, draw } = s;
  const axis = draw.int(0, x.type.shape.length - 1);
  const size = extent(x, axis);
  const start = draw.int(0, size - 1);
  const end = draw.int(start + 1, size);
  const both = axis > 0 && 2 * elements(x.type.shape) <= largest;
  return draw.pick<() => Value | undefined>([
    () => (axis > 0 ? op.slice(b, x, { axis, start, end }) : undefined),
    () => (both ? op.concat(b, [x, peer(s, x)], { axis }) : undefined),
    () => (both ? op.concat(b, [op.slice(b, x, { axis, start, end }), x], { axis }) : undefined),
    () => op.take_rows(b, x, s.permutation()),
    () => op.put_rows(b, x, s.permutation()),
    () => (isImage(x) ? op.transpose(b, x, { perm: [0, 1, 3, 2] }) : undefined),
    () => {
      const turned = op.transpose(b, x, { perm: isImage(x) ? [1, 0, 2, 3] : [1, 0] });
      return op.transpose(b, op.tanh(b, turned), { perm: isImage(x) ? [1, 0, 2, 3] : [1, 0] });
    },
    () => {
      // splits the batch in two halves and concatenates them
      if (s.rows < 2) return undefined;
      const cut = draw.int(1, s.rows - 1);
      const halves = [
        [0, cut],
        [cut, s.rows],
      ] as const;
      const parts = halves.map(([start, end]) => op.slice(b, x, { axis: 0, start, end }));
      return op.concat(b, [op.relu(b, parts[0] as Value), op.neg(b, parts[1] as Value)], { axis: 0 });
    },
  ])();
};

const contracted: Move = (s, x) => {
  if (isImage(x)) return undefined;
  const { b, draw } = s;
  const c = extent(x, 1);
  const out = draw.int(1, 20);
  const bound = 1 / Math.sqrt(c);
  const among = (y: Value): Value => op.matmul(b, op.softmax(b, op.matmul(b, x, y, { tb: true })), y); // attention
  return draw.pick<() => Value>([
    () => linear(s.net.in(s.part()), x, out),
    () => op.matmul(b, x, param(s, [c, out], bound)),
    () => op.matmul(b, x, op.mul(b, param(s, [c, out], bound), param(s, draw.chance(0.5) ? [1, out] : [c, 1]))),
    () => op.transpose(b, op.matmul(b, param(s, [out, c], bound), x, { tb: true }), { perm: [1, 0] }),
    () => op.matmul(b, op.transpose(b, x, { perm: [1, 0] }), param(s, [out, c], bound), { ta: true, tb: true }),
    () => op.matmul(b, x, op.scale(b, op.matmul(b, x, peer(s, x), { ta: true }), { factor: 1 / s.rows })),
    () => among(peer(s, x)),
  ])();
};

const rowwise: Move = ({ b, draw }, x) => {
  if (isImage(x)) return undefined;
  return draw.chance(0.5) ? op.softmax(b, x) : op.l2_normalize(b, x, { eps: 1e-3 });
};

/** Reshapes a matrix to images. */
const imaged: Move = ({ b, draw, rows }, x) => {
  if (isImage(x)) return undefined;
  const c = extent(x, 1);
  if (draw.chance(0.5)) return op.reshape(b, x, { shape: [rows, c, 1, 1] });
  return op.spread_pixels(b, x, { h: draw.int(1, 3), w: draw.int(1, 3) });
};

/** Every move, as often as it should be drawn. */
export const moves: readonly Move[] = [
  layer,
  layer,
  layer,
  residual,
  convolution,
  normalised,
  normalised,
  relu,
  relu,
  unary,
  unary,
  binary,
  binary,
  stretched,
  centred,
  gated,
  pooled,
  pooled,
  moved,
  moved,
  contracted,
  contracted,
  rowwise,
  imaged,
];
