// Random training steps: a few moves on images, a loss of all values that nothing else reads, gradients, SGD. Some have
// a follower, a queue, prototypes, and results that are difficult for a memory planner: old states, inputs, views.

import { grad } from "../../compiler/autodiff/grad.js";
import { Builder } from "../../compiler/ir/builder.js";
import { NdArray } from "../../compiler/ir/nd.js";
import { elements, type Graph, type State, type TensorType, type Value } from "../../compiler/ir/types.js";
import * as op from "../../compiler/ops/index.js";
import { opOf } from "../../compiler/ops/op.js";
import { imagenet, Net } from "../../models/nn.js";
import { sgd } from "../../models/optim.js";
import { randomArray } from "./random.js";
import { Draw, moves, type Sketch } from "./random_moves.js";

export interface RandomGraph {
  readonly graph: Graph; // program sSEED: one training step
  readonly feed: ReadonlyMap<Value, NdArray>; // f32 numbers if the type is f32
  readonly loss: Value; // [groups]
  readonly params: readonly Value[]; // that the loss depends on
  readonly gradients: readonly Value[]; // of the sum of the loss
}

const f32 = (...shape: readonly number[]): TensorType => ({ dtype: "f32", shape });

/** The graph of a seed, and its feed. */
export function randomGraph(seed: number): RandomGraph {
  return new Maker(seed).make();
}

class Maker {
  private readonly draw: Draw;
  private readonly b: Builder;
  private readonly rows: number;
  private readonly feed = new Map<Value, NdArray>();
  private readonly s: Sketch;
  private parts = 0;

  constructor(seed: number) {
    this.draw = new Draw(seed);
    const groups = this.draw.pick([1, 1, 2, 4]);
    this.rows = groups * this.draw.int(1, groups === 4 ? 2 : 4);
    this.b = Builder.create(`s${seed}`, { groups }).in(`s${seed}`);
    this.s = {
      b: this.b,
      draw: this.draw,
      rows: this.rows,
      net: new Net(this.b, { training: true }),
      pool: [],
      shown: [],
      permutation: () => this.permutation(),
      part: () => `m${this.parts++}`,
    };
  }

  make(): RandomGraph {
    const { b, draw, s } = this;
    s.pool.push(this.images());
    if (draw.chance(0.3)) s.pool.push(this.input("x", f32(this.rows, draw.int(1, 20))));
    for (let i = draw.int(3, 10); i > 0; i--) this.move();
    const loss = this.loss();
    const params = this.trained(loss);
    const ones = op.constant(b, { values: [1], shape: loss.type.shape });
    const gradients = grad(b, loss, ones, params);
    const finite = op.all_finite(b, [loss, ...gradients]);
    s.net.commit(finite);
    const hyper = (name: string, value: number): Value => this.input(name, f32(), [Math.fround(value)]);
    const [lr, momentum, weight_decay] = [hyper("lr", 0.1), hyper("momentum", 0.9), hyper("weight_decay", 0.01)];
    const before = this.follow(params);
    sgd(b, params, gradients, { lr, momentum, weight_decay }, finite, 1 / b.groups);
    this.remember(finite);
    const graph = b.finish([...new Set([loss, ...s.shown, ...before, ...this.results(), ...gradients.slice(0, 1)])]);
    for (const state of graph.state) this.feed.set(state, this.initial(state));
    return { graph, feed: this.feed, loss, params, gradients };
  }

  /** Adds one more value, computed from an earlier one, usually a late one. */
  private move(): void {
    const { pool } = this.s;
    for (let tries = 0; tries < 20; tries++) {
      const x = this.draw.chance(0.6) ? (pool.at(-1) as Value) : this.draw.pick(pool);
      const y = this.draw.pick(moves)(this.s, x);
      if (!y) continue;
      pool.push(y);
      return;
    }
  }

  private input(name: string, type: TensorType, values?: readonly number[]): Value {
    const v = this.b.input(name, type);
    const { shape } = type;
    const random = (): NdArray => randomArray(shape, this.draw.int(0, 1 << 24));
    this.feed.set(v, values ? new NdArray(shape, Float64Array.from(values)) : random());
    return v;
  }

  private images(): Value {
    const { b, draw } = this;
    const [h, w] = [draw.int(1, 9), draw.int(1, 9)];
    if (draw.chance(0.5)) return this.input("img", f32(this.rows, draw.int(1, 5), h, w));
    const shape = [this.rows, 3, h, w];
    const bytes = Array.from({ length: elements(shape) }, () => draw.int(0, 255));
    return op.normalize_image(b, this.input("img", { dtype: "u8", shape }, bytes), imagenet);
  }

  private permutation(): Value {
    const order: number[] = [];
    for (let i = 0; i < this.rows; i++) order.splice(this.draw.int(0, i), 0, i);
    return this.input("order", { dtype: "i64", shape: [this.rows] }, order);
  }

  /** Values that nothing reads. */
  private leaves(): Value[] {
    const read = new Set(this.b.nodes.flatMap((n) => n.inputs));
    return this.s.pool.filter((v) => !read.has(v));
  }

  /** A term of the loss, [groups] or []. */
  private term(x: Value): Value {
    const { b, draw, rows } = this;
    const { shape } = x.type;
    const [, columns] = shape as [number, number];
    if (shape.length === 2 && columns > 1 && draw.chance(0.7)) {
      const labels = Array.from({ length: rows }, () => draw.int(0, columns - 1));
      const target = this.input("target", { dtype: "i64", shape: [rows] }, labels);
      const weights = labels.map(() => draw.pick([0, 1, 1, 1]));
      const weight = draw.chance(0.5)
        ? op.constant(b, { values: [1], shape: [rows] })
        : this.input("weight", f32(rows), weights);
      this.s.shown.push(op.top_k_correct(b, x, target, weight, { k: draw.int(1, 2), groups: b.groups }));
      return op.softmax_cross_entropy(b, x, target, weight, { groups: b.groups });
    }
    const axes = shape.map((_, i) => i);
    if (draw.chance(0.3)) return op.mean(b, op.mul(b, x, this.input("other", x.type)), { axes });
    return op.mean(b, op.square(b, x), { axes });
  }

  private loss(): Value {
    const { b, draw, s } = this;
    const { net } = s;
    const used = this.leaves().filter((_, i, all) => i === all.length - 1 || draw.chance(0.85)); // others unused
    const last = used.at(-1) as Value;
    const weight = net.in("last").param("weight", last.type.shape, { kind: "uniform", bound: 1 }); // one at least
    const terms = [...used.slice(0, -1), op.mul(b, last, weight)].map((v) => this.term(v));
    const zero = op.constant(b, { values: [0], shape: [b.groups] });
    return terms.reduce((sum, term) => op.add(b, sum, term), zero);
  }

  /** Parameters that a gradient reaches. */
  private trained(loss: Value): Value[] {
    const reached = new Set([loss]);
    for (const n of this.b.nodes.toReversed())
      if (opOf(n.op).grad && n.outputs.some((v) => reached.has(v))) for (const v of n.inputs) reached.add(v);
    return this.b.states.filter((p) => p.role === "param" && reached.has(p));
  }

  /** Some parameters get followers, or are returned as they were before the step. */
  private follow(params: readonly Value[]): Value[] {
    const { b, draw } = this;
    if (draw.chance(0.3)) {
      const m = this.input("m", f32(), [Math.fround(0.9)]);
      for (const q of params) {
        const k = b.state("follower", q.type, { kind: "uniform", bound: 1 }, "buffer");
        const next = op.ema(b, k, q, m);
        b.update(k, next);
        if (draw.chance(0.3)) this.s.shown.push(op.add(b, next, k));
      }
    }
    if (draw.chance(0.1)) {
      const q = draw.pick(params);
      b.update(b.state("before", q.type, { kind: "uniform", bound: 1 }, "buffer"), q);
    }
    return draw.chance(0.15) ? [draw.pick(params)] : [];
  }

  /** In some graphs, rows enter a queue or move prototypes. */
  private remember(finite: Value): void {
    const { b, draw, rows } = this;
    const rowsOf = this.s.pool.filter((v) => v.type.shape.length === 2);
    if (rowsOf.length === 0) return;
    const keys = draw.pick(rowsOf);
    const d = keys.type.shape[1] as number;
    if (draw.chance(0.2)) {
      const queue = b.state("queue", f32(d, draw.int(1, 9)), { kind: "unit_columns" }, "buffer");
      const pointer = b.state("pointer", { dtype: "i64", shape: [1] }, { kind: "constant", value: 0 }, "buffer");
      const pushed = op.queue_push(b, queue, pointer, keys, finite);
      b.update(queue, pushed.queue_new);
      b.update(pointer, pushed.ptr_new);
    }
    if (draw.chance(0.2)) {
      const classes = draw.int(1, 4);
      const p = b.state("prototypes", f32(classes, d), { kind: "uniform", bound: 1 }, "buffer");
      const target = this.input(
        "class",
        { dtype: "i64", shape: [rows] },
        Array.from({ length: rows }, () => draw.int(0, classes - 1)),
      );
      const kept = op.constant(b, { values: [1], shape: [rows] });
      b.update(p, op.prototype_update(b, p, keys, target, kept, this.input("proto_m", f32(), [0.75]), finite));
    }
  }

  /** Values from anywhere in the graph: intermediate ones, an input, a view. */
  private results(): Value[] {
    const { b, draw } = this;
    const some = this.s.pool.filter(() => draw.chance(0.2));
    if (!draw.chance(0.2)) return some;
    const x = draw.pick(this.s.pool);
    return [
      ...some,
      x.type.shape.length === 2
        ? op.reshape(b, x, { shape: [-1] })
        : op.slice(b, x, { axis: 0, start: this.rows - 1, end: this.rows }),
    ];
  }

  private initial(s: State): NdArray {
    const { shape, dtype } = s.type;
    if (dtype === "i64") return NdArray.fill(shape, () => 0);
    const seed = this.draw.int(0, 1 << 24);
    if (s.role === "momentum") return randomArray(shape, seed, -0.1, 0.1);
    switch (s.init.kind) {
      case "uniform":
        return randomArray(shape, seed, -s.init.bound, s.init.bound);
      case "normal":
        return randomArray(shape, seed, -1.7 * s.init.std, 1.7 * s.init.std);
      case "constant":
        return randomArray(shape, seed, s.init.value - 0.4, s.init.value + 0.4);
      default:
        return randomArray(shape, seed);
    }
  }
}
