// Plain supervised training of a ResNet under torchvision's names (conv1.weight ... fc.bias): what MoPro is
// measured against, and the shortest complete example of a training program. Retraining is the same with
// everything frozen but the last layer (cRT, Kang et al., ICLR 2020).

import { grad } from "../compiler/autodiff/grad.js";
import { Builder } from "../compiler/ir/builder.js";
import type { Graph, TensorType, Value } from "../compiler/ir/types.js";
import {
  all_finite,
  constant,
  normalize_image,
  softmax_cross_entropy,
  top_k_correct,
} from "../compiler/ops/index.js";
import { finish, imagenet, linear, Net } from "./nn.js";
import { parameters, sgd } from "./optim.js";
import { trunk, type TrunkConfig } from "./resnet.js";

/** What is compiled in. */
export interface ClassifierConfig extends TrunkConfig {
  readonly num_class: number;
  readonly image_size: number; // pixels, square
  readonly batch: number; // images a step, all groups together
  readonly groups: number; // of the batch, with statistics of their own
  /** All layers (the default), or fc alone, on top of a trunk in evaluation mode. */
  readonly trained?: "all" | "fc";
}

/** f32[] inputs `hyper.NAME` of the step program, in this order. */
export const classifierHyperNames = ["lr", "momentum", "weight_decay"] as const;

/** The programs `train` (one step) and `evaluate`. */
export function classifierPrograms(c: ClassifierConfig): Graph[] {
  return [train(c), evaluate(c)];
}

const f32 = (...shape: readonly number[]): TensorType => ({ dtype: "f32", shape });

/** x [N, 3, H, W] -> feature [N, featureSize], logits [N, num_class]. */
export function classifier(
  net: Net,
  x: Value,
  c: Pick<ClassifierConfig, "arch" | "width" | "num_class" | "trained">,
): { feature: Value; logits: Value } {
  const feature = trunk(net, x, c);
  return { feature, logits: linear(net.in("fc"), feature, c.num_class, c.trained === "fc" ? 0.01 : undefined) };
}

function pixels(b: Builder, c: ClassifierConfig): Value {
  const img = b.input("img", { dtype: "u8", shape: [c.batch, 3, c.image_size, c.image_size] });
  return normalize_image(b, img, imagenet);
}

/** Inputs of both programs, and the network's opinion. */
function classify(b: Builder, net: Net, c: ClassifierConfig): { target: Value; logits: Value } {
  const x = pixels(b, c);
  const target = b.input("target", { dtype: "i64", shape: [c.batch] });
  return { target, logits: classifier(net, x, c).logits };
}

function train(c: ClassifierConfig): Graph {
  const { groups } = c;
  const b = Builder.create("train", { groups });
  const net = new Net(b, { training: c.trained !== "fc" });
  const { target, logits } = classify(b, net, c);
  const [lr, momentum, weight_decay] = classifierHyperNames.map((name) =>
    b.input(`hyper.${name}`, f32()),
  ) as [Value, Value, Value];
  const weight = constant(b, { values: [1], shape: [c.batch] });
  const loss = softmax_cross_entropy(b, logits, target, weight, { groups });

  const params = parameters(b).filter((p) => c.trained !== "fc" || p.name.startsWith("fc."));
  const grads = grad(b, loss, constant(b, { values: [1], shape: [groups] }), params);
  const finite = all_finite(b, [loss, ...grads]);
  net.commit(finite);
  sgd(b, params, grads, { lr, momentum, weight_decay }, finite, 1 / groups);
  return finish(b, { loss, correct: top_k_correct(b, logits, target, weight, { k: 1, groups }), finite });
}

/** Accuracy on a batch; rows of weight 0 fill up a short one and count for nothing. */
function evaluate(c: ClassifierConfig): Graph {
  const b = Builder.create("evaluate");
  const { target, logits } = classify(b, new Net(b, { training: false }), c);
  const weight = b.input("weight", f32(c.batch));
  return finish(b, {
    logits,
    correct1: top_k_correct(b, logits, target, weight, { k: 1, groups: 1 }),
    correct5: top_k_correct(b, logits, target, weight, { k: 5, groups: 1 }),
  });
}

/** What the trained network makes of images. */
export function embed(c: ClassifierConfig): Graph {
  const b = Builder.create("embed");
  return finish(b, { ...classifier(new Net(b, { training: false }), pixels(b, c), c) });
}
