// Plain supervised training of a ResNet with torchvision's names (conv1.weight ... fc.bias): the baseline for MoPro,
// and the shortest complete example of a training program. Retraining is the same with all layers frozen except the
// last one (cRT, Kang et al., ICLR 2020).

import { grad } from "../compiler/autodiff/grad.js";
import { Builder } from "../compiler/ir/builder.js";
import type { Graph, TensorType, Value } from "../compiler/ir/types.js";
import * as op from "../compiler/ops/index.js";
import { addedName } from "./added.js";
import { evaluateProgram } from "./evaluate.js";
import { learn } from "./learning.js";
import type { LearningConfig } from "./learning_config.js";
import { finish, linear, Net } from "./nn.js";
import { parameters } from "./optim.js";
import { featureSize, outputs, pixelsOf, type TrunkConfig, trunk } from "./trunk.js";

/** The settings that are compiled in. */
export interface ClassifierConfig extends TrunkConfig, LearningConfig {
  readonly num_class: number;
  readonly image_size: number; // pixels, square
  readonly batch: number; // images per step, of all groups together
  readonly groups: number; // of the batch, each with its own BatchNorm statistics
  /** All layers (the default), or only fc, on top of a trunk in evaluation mode. */
  readonly trained?: "all" | "fc";
  /** The step has an input hyper.label_smoothing (Szegedy et al., CVPR 2016). */
  readonly label_smoothing?: boolean | number;
  /** The step has inputs order, target_b and hyper.mix (mixup: Zhang et al., ICLR 2018). */
  readonly mixup?: boolean | number;
  /** The step has an input weight, f32 [batch]: the weight of each sample in loss and accuracy. */
  readonly sample_weights?: boolean | number;
}

/** The f32[] inputs `hyper.NAME` of the step program, in this order. */
export const classifierHyperNames = ["lr", "momentum", "weight_decay"] as const;

/**
 * The programs `train` (one step) and `evaluate`. If only fc is trained, also `embed`, which computes features of
 * images, and the first two on features instead of images: `train_features` and `evaluate_features`.
 */
export function classifierPrograms(c: ClassifierConfig): Graph[] {
  const both = [train(c), evaluate(c)];
  return c.trained === "fc" ? [...both, ...featurePrograms(c), train(c, "feature"), evaluate(c, "feature")] : both;
}

/** The input of a program: images, or the features that the trunk computed from them. */
type From = "img" | "feature";

const f32 = (...shape: readonly number[]): TensorType => ({ dtype: "f32", shape });

/** x [N, 3, H, W] -> feature [N, featureSize], logits [N, num_class]. */
export function classifier(
  net: Net,
  x: Value,
  c: Pick<ClassifierConfig, keyof TrunkConfig | "num_class" | "trained">,
): { feature: Value; logits: Value } {
  const { feature, logits } = outputs(net, x, c);
  return { feature, logits: logits ?? head(net, feature, c) };
}

/** feature [N, featureSize] -> logits [N, num_class]. */
const head = (net: Net, feature: Value, c: Pick<ClassifierConfig, "num_class" | "trained" | "foreign">): Value =>
  linear(net.in(addedName("fc", c.foreign)), feature, c.num_class, c.trained === "fc" ? 0.01 : undefined);

const imageType = (c: ClassifierConfig): TensorType => ({
  dtype: "u8",
  shape: [c.batch, 3, c.image_size, c.image_size],
});
const imageInput = (b: Builder, c: ClassifierConfig): Value => b.input("img", imageType(c));
const pixels = (b: Builder, c: ClassifierConfig): Value => op.normalize_image(b, imageInput(b, c), pixelsOf(c));
const labels = (b: Builder, name: string, c: ClassifierConfig): Value =>
  b.input(name, { dtype: "i64", shape: [c.batch] });

const programName = (name: string, from: From): string => (from === "feature" ? `${name}_features` : name);
const featureInput = (b: Builder, c: ClassifierConfig): Value => b.input("feature", f32(c.batch, featureSize(c)));

function train(c: ClassifierConfig, from: From = "img"): Graph {
  const { groups } = c;
  const b = Builder.create(programName("train", from), { groups });
  const net = new Net(b, { training: c.trained !== "fc" });
  const img = from === "img" ? imageInput(b, c) : featureInput(b, c);
  const target = labels(b, "target", c);
  const [lr, momentum, weight_decay] = classifierHyperNames.map((name) => b.input(`hyper.${name}`, f32())) as [
    Value,
    Value,
    Value,
  ];
  const weight = c.sample_weights ? b.input("weight", f32(c.batch)) : op.constant(b, { values: [1], shape: [c.batch] });
  const own = from === "img" ? op.normalize_image(b, img, pixelsOf(c)) : img;
  const { x, mixed } = c.mixup ? mixup(b, img, own, c) : { x: own };
  const logits = from === "img" ? classifier(net, x, c).logits : head(net, x, c);

  const entropy = (of: Value): Value => op.softmax_cross_entropy(b, logits, of, weight, { groups });
  const hard = mixed ? between(b.in("mixup"), entropy(target), entropy(mixed.target), mixed.share) : entropy(target);
  const loss = c.label_smoothing
    ? between(
        b.in("smooth"),
        uniform(b.in("smooth"), logits, weight, groups),
        hard,
        b.input("hyper.label_smoothing", f32()),
      )
    : hard;

  const layer = addedName("fc", c.foreign);
  const added = ["weight", "bias"].map((leaf) => `${layer}.${leaf}`);
  const params = parameters(b).filter((p) => c.trained !== "fc" || added.includes(p.name));
  const grads = grad(b, loss, op.constant(b, { values: [1], shape: [groups] }), params);
  const finite = op.all_finite(b, [loss, ...grads]);
  net.commit(finite);
  learn(b, params, grads, { lr, momentum, weight_decay }, finite, 1 / groups, c);
  return finish(b, { loss, correct: op.top_k_correct(b, logits, target, weight, { k: 1, groups }), finite });
}

/** share a + (1 - share) b. */
const between = (b: Builder, a: Value, other: Value, share: Value): Value =>
  op.add(b, other, op.mul(b, op.sub(b, a, other), share));

interface Mixed {
  readonly x: Value; // hyper.mix times the image itself, plus the rest of image order[n]
  readonly mixed: { readonly target: Value; readonly share: Value }; // target: labels of the images order[n]
}

function mixup(b: Builder, img: Value, own: Value, c: ClassifierConfig): Mixed {
  const other = op.normalize_image(b.in("mixup"), op.take_rows(b, img, labels(b, "order", c)), pixelsOf(c));
  const share = b.input("hyper.mix", f32());
  return { x: between(b.in("mixup"), own, other, share), mixed: { target: labels(b, "target_b", c), share } };
}

/**
 * Cross-entropy with the uniform distribution as label, log sum exp(z) - mean(z). Returns the weighted mean over the
 * rows of each group, [G], which is 0 for a group without weight.
 */
function uniform(b: Builder, logits: Value, weight: Value, groups: number): Value {
  const most = op.stop_gradient(b, op.max(b, logits, { axes: [1], keepdims: true })); // it cancels out
  const shifted = op.sub(b, logits, most);
  const total = op.log(b, op.sum(b, op.exp(b, shifted), { axes: [1], keepdims: true }));
  const row = op.sub(b, total, op.mean(b, shifted, { axes: [1], keepdims: true }));
  const column = op.reshape(b, weight, { shape: [-1, 1] });
  const sumOf = (v: Value): Value => op.sum(b, op.reshape(b, v, { shape: [groups, -1] }), { axes: [1] });
  const weights = sumOf(weight);
  const none = op.constant(b, { values: [1e-30], shape: [groups] }); // the divisor of a group without weight
  return op.div(b, sumOf(op.mul(b, row, column)), op.add(b, weights, none));
}

/** Accuracy on a batch. Rows of weight 0 fill up a short batch and do not count. */
export function evaluate(c: ClassifierConfig, from: From = "img"): Graph {
  const name = programName("evaluate", from);
  if (from === "feature")
    return evaluateProgram(name, { name: from, type: f32(c.batch, featureSize(c)) }, (net, x) => head(net, x, c));
  return evaluateProgram(
    name,
    { name: from, type: imageType(c) },
    (net, x) => classifier(net, op.normalize_image(net.b, x, pixelsOf(c)), c).logits,
  );
}

/** The trained network: img -> feature [N, featureSize], logits [N, num_class]. */
export function embed(c: ClassifierConfig): Graph {
  const b = Builder.create("embed");
  return finish(b, { ...classifier(new Net(b, { training: false }), pixels(b, c), c) });
}

/** The program `embed` of the network without its classifier: img -> feature [N, featureSize], after global pooling. */
export function featurePrograms(c: ClassifierConfig): Graph[] {
  const b = Builder.create("embed");
  return [finish(b, { feature: trunk(new Net(b, { training: false }), pixels(b, c), c) })];
}
