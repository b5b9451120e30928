// MoPro: Webly Supervised Learning with Momentum Prototypes (Li, Xiong, Hoi; ICLR 2021), one graph per training phase.
// A query encoder learns from noisy labels, from its agreement with a key encoder that follows it slowly, and from one
// prototype per class. Once the prototypes are good, they correct the labels.
//
// The batch has G groups. Each is the batch of one worker of the published code, with its own BatchNorm statistics and
// loss means. Gradients are averaged over groups; queue and prototypes take the samples of all groups in order.

import { adjoints } from "../compiler/autodiff/grad.js";
import { Builder } from "../compiler/ir/builder.js";
import type { Graph, TensorType, Value } from "../compiler/ir/types.js";
import * as op from "../compiler/ops/index.js";
import { type EncoderConfig, encoder } from "./encoder.js";
import { evaluateProgram } from "./evaluate.js";
import { keepValues, keptGradients } from "./keep.js";
import { learn } from "./learning.js";
import type { LearningConfig } from "./learning_config.js";
import { finish, Net } from "./nn.js";
import { parameters } from "./optim.js";
import { pixelsOf } from "./trunk.js";

/** The settings that are compiled in. */
export interface MoproConfig extends EncoderConfig, LearningConfig {
  readonly queue: number; // keys of past batches
  readonly image_size: number; // pixels, square
  readonly batch: number; // images per step, of all groups together
  readonly groups: number;
  /** Type of the step programs' images: bytes (the default), or f32 that are normalised already, for replays. */
  readonly image_input?: "u8" | "f32";
  /** 1: the step programs have an input weight, f32 [batch]: the weight of each sample wherever its label is used. */
  readonly sample_weights?: number;
  /** The step programs return every value and gradient. */
  readonly keep_values?: boolean;
}

/** Settings that may change from step to step: f32[] inputs `hyper.NAME` of the step programs, in this order. */
export const hyperNames = [
  "lr",
  "momentum",
  "weight_decay",
  "moco_m",
  "proto_m",
  "temperature",
  "alpha",
  "pseudo_th",
  "w_inst",
  "w_proto",
] as const;
type Hyper = Readonly<Record<(typeof hyperNames)[number], Value>>;

/**
 * warmup: the given labels; proto: adds the prototype loss; clean: adds the correction of labels.
 */
export const phases = ["warmup", "proto", "clean"] as const;
export type Phase = (typeof phases)[number];

/** All programs of a training run: the three steps, evaluate and embed. They share state by name. */
export function moproPrograms(c: MoproConfig): Graph[] {
  check(c);
  return [...phases.map((phase) => step(phase, c)), evaluate(c), embed(c)];
}

function step(phase: Phase, c: MoproConfig): Graph {
  const b = Builder.create(phase, { groups: c.groups });
  const img = b.input("img", stepImages(c)); // weakly augmented
  const imgAug = b.input("img_aug", stepImages(c)); // strongly augmented
  const given = b.input("target", i64(c.batch)); // noisy labels
  const order = b.input("order", i64(c.batch)); // position j of the key batch is image order[j]
  const hyper = hyperInputs(b);
  const memory = declareMemory(b, c);
  const everyone = op.constant(b, { values: [1], shape: [c.batch] });

  // The query encoder gets the weak views.
  const query = new Net(b, { training: true });
  const { logits, embedding: q } = encoder(query.in("encoder_q"), normalised(b, img, c), c);

  // The key encoder first moves a little towards the query encoder and then gets the strong views. They are shuffled
  // over groups, because BatchNorm statistics would otherwise reveal which key belongs to which query.
  const key = follower(b, hyper.moco_m);
  const shuffled = normalised(b, op.take_rows(b, imgAug, order), c);
  const k = op.put_rows(b, encoder(key.in("encoder_k"), shuffled, c).embedding, order);

  // Instance loss: each query is compared with its own key and the keys in the queue. Its own key comes first, so the
  // label of every row is 0.
  const toKeys = keyLogits(b.in("inst"), q, k, memory.queue, hyper.temperature);
  const first = op.constant(b.in("inst"), { values: [0], shape: [c.batch], dtype: "i64" });
  const inst = task(b.in("inst"), toKeys, first, everyone);

  // Prototype loss: each query is compared with all prototypes. In the clean phase, classifier and prototypes together
  // correct labels and drop samples.
  const toPrototypes =
    phase === "warmup" ? undefined : prototypeLogits(b.in("proto"), q, memory.prototypes, hyper.temperature);
  const corrected =
    phase === "clean" && toPrototypes
      ? op.correct_labels(b.in("clean"), logits, toPrototypes, given, hyper.alpha, hyper.pseudo_th)
      : undefined;
  const label = corrected?.target_new ?? given;
  const kept = corrected?.kept ?? everyone;
  const weight = c.sample_weights ? op.mul(b, kept, b.input("weight", f32(c.batch))) : kept;
  const cls = task(b.in("cls"), logits, label, kept, weight);
  const proto = toPrototypes && task(b.in("proto"), toPrototypes, label, kept, weight);

  const total = b.in("total");
  const classes = proto ? op.add(total, cls.loss, op.mul(total, proto.loss, hyper.w_proto)) : cls.loss;
  const loss = op.add(total, classes, op.mul(total, inst.loss, hyper.w_inst));

  // All updates of state happen here. None of them changes anything if the loss or a gradient is not finite.
  const { finite, adjoint } = backward(b, loss, hyper, [query, key], c);
  const pushed = op.queue_push(b, memory.queue, memory.pointer, k, finite);
  b.update(memory.queue, pushed.queue_new);
  b.update(memory.pointer, pushed.ptr_new);
  const moved = op.prototype_update(b, memory.prototypes, q, label, weight, hyper.proto_m, finite);
  b.update(memory.prototypes, moved);

  const results = {
    loss,
    loss_cls: cls.loss,
    loss_inst: inst.loss,
    ...(proto && { loss_proto: proto.loss }),
    correct_cls: cls.correct,
    correct_inst: inst.correct,
    ...(proto && { correct_proto: proto.correct }),
    ...(corrected && { clean: countGroups(b.in("clean"), corrected.kept), target_out: label, kept }),
    finite,
  };
  if (!c.keep_values) return finish(b, results);
  return keepValues(finish(b, { ...results, ...keptGradients(b, adjoint, 1 / b.groups, results) }));
}

/**
 * A classification by `logits` [N, K]: for each group the weighted mean loss, and the number of correct samples among
 * the kept ones, both [G].
 */
function task(b: Builder, logits: Value, label: Value, kept: Value, weight = kept): { loss: Value; correct: Value } {
  const { groups } = b;
  return {
    loss: op.softmax_cross_entropy(b, logits, label, weight, { groups }),
    correct: op.top_k_correct(b, logits, label, kept, { k: 1, groups }),
  };
}

interface Learned {
  readonly finite: Value; // f32[], 1 or 0: operand of all updates except those of the key encoder
  readonly adjoint: ReadonlyMap<Value, Value>; // gradients of the sum of the groups' losses
}

/** The backward pass, and one step of the optimizer with the mean gradient of the groups. */
function backward(b: Builder, loss: Value, hyper: Hyper, nets: readonly Net[], c: LearningConfig): Learned {
  const { groups } = b;
  const params = parameters(b);
  const adjoint = adjoints(b, loss, op.constant(b.in("total"), { values: [1], shape: [groups] }), params);
  const grads = params.map((p) => adjoint.get(p) as Value);
  const finite = op.all_finite(b, [loss, ...grads]);
  for (const net of nets) net.commit(finite);
  learn(b, params, grads, hyper, finite, 1 / groups, c); // grads are sums over groups
  return { finite, adjoint };
}

/** Accuracy of the classifier on a batch. Rows of weight 0 fill up a short batch and do not count. */
const evaluate = (c: MoproConfig): Graph =>
  evaluateProgram(
    "evaluate",
    { name: "img", type: images(c) },
    (net, img) => encoder(net.in("encoder_q"), normalised(net.b, img, c), c).logits,
  );

/** All outputs of the trained encoder for a batch of images: for noise cleaning, transfer and retrieval. */
export function embed(c: MoproConfig): Graph {
  const b = Builder.create("embed");
  const img = b.input("img", images(c));
  const temperature = b.input("hyper.temperature", f32());
  const { prototypes } = declareMemory(b, c);
  const e = encoder(new Net(b, { training: false }).in("encoder_q"), normalised(b, img, c), c);
  return finish(b, {
    ...e,
    proto_logits: prototypeLogits(b.in("proto"), e.embedding, prototypes, temperature),
  });
}

const f32 = (...shape: readonly number[]): TensorType => ({ dtype: "f32", shape });
const i64 = (...shape: readonly number[]): TensorType => ({ dtype: "i64", shape });
const images = (c: MoproConfig): TensorType => ({
  dtype: "u8",
  shape: [c.batch, 3, c.image_size, c.image_size],
});
const stepImages = (c: MoproConfig): TensorType => ({ ...images(c), dtype: c.image_input ?? "u8" });
const normalised = (b: Builder, img: Value, c: MoproConfig): Value =>
  img.type.dtype === "u8" ? op.normalize_image(b, img, pixelsOf(c)) : img;

function hyperInputs(b: Builder): Hyper {
  return Object.fromEntries(hyperNames.map((name) => [name, b.input(`hyper.${name}`, f32())])) as Hyper;
}

/** The queue of past keys (one per column), the column to write next, and the prototypes (one row per class). */
function declareMemory(b: Builder, c: MoproConfig): { queue: Value; pointer: Value; prototypes: Value } {
  const zero = { kind: "constant", value: 0 } as const;
  return {
    queue: b.state("queue", f32(c.low_dim, c.queue), { kind: "unit_columns" }, "buffer"),
    pointer: b.state("queue_ptr", i64(1), zero, "buffer"),
    prototypes: b.state("prototypes", f32(c.num_class, c.low_dim), zero, "buffer"),
  };
}

/**
 * The key encoder: the query encoder's tensors under another name, initially copies. Its parameters first take one
 * step of the moving average, k <- m k + (1 - m) q, with q from before this step's SGD, and are then used. This is the
 * only write of a step that also happens if the step is not finite.
 */
function follower(b: Builder, m: Value): Net {
  const given = new Map<string, Value>();
  for (const q of b.states.filter((s) => s.name.startsWith("encoder_q."))) {
    const name = q.name.replace("encoder_q.", "encoder_k.");
    const k = b.at("").state(name, q.type, { kind: "copy", of: q.name }, "buffer");
    if (q.role !== "param") {
      given.set(name, k);
      continue;
    }
    const next = op.ema(b.at(name), k, q, m);
    b.update(k, next);
    given.set(name, next);
  }
  return new Net(b, { training: true, given });
}

/** Products of q [N, D] with its own key and with the keys of the queue, over the temperature: [N, 1 + Q]. */
function keyLogits(b: Builder, q: Value, k: Value, queue: Value, temperature: Value): Value {
  const own = op.sum(b, op.mul(b, q, k), { axes: [1], keepdims: true });
  const others = op.matmul(b, q, queue);
  return op.div(b, op.concat(b, [own, others], { axis: 1 }), temperature);
}

/** q [N, D] . prototypes [K, D]^T / temperature: [N, K]. */
const prototypeLogits = (b: Builder, q: Value, prototypes: Value, temperature: Value): Value =>
  op.div(b, op.matmul(b, q, prototypes, { tb: true }), temperature);

/** flags f32[N] -> their sum in each group, [G]. */
function countGroups(b: Builder, flags: Value): Value {
  const column = op.reshape(b, flags, { shape: [-1, 1] });
  return op.reshape(b, op.channel_sum(b, column, { groups: b.groups }), { shape: [b.groups] });
}

function check(c: MoproConfig): void {
  for (const name of ["num_class", "low_dim", "queue", "image_size", "batch", "groups"] as const) {
    if (!Number.isInteger(c[name]) || c[name] < 1)
      throw new Error(`${name} must be a positive whole number, not ${c[name]}`);
  }
  if (c.batch % c.groups !== 0)
    throw new Error(`a batch of ${c.batch} cannot be divided into ${c.groups} equal groups`);
}
