// How a training step updates the parameters: the optimizer and what belongs to it, as the settings say.

import type { Builder } from "../compiler/ir/builder.js";
import type { Value } from "../compiler/ir/types.js";
import { decayOf, type LearningConfig } from "./learning_config.js";
import { f32 } from "./net.js";
import { adamw, clip_by_norm, decayMatrices, lars, type SgdHyper, sgd } from "./optim.js";

/** Tensors with several axes that are no weights of a layer: the class token and the positions of transformers. */
const tables = ["cls_token", "pos_embed"];

/**
 * One step of the optimizer for the parameters. AdamW has the inputs hyper.beta1, hyper.beta2 and hyper.eps, LARS the
 * input hyper.trust, f32[]. With LARS, parameters that do not decay do not have a rate of their own either.
 */
export function learn(
  b: Builder,
  params: readonly Value[],
  grads: readonly Value[],
  hyper: SgdHyper,
  finite: Value,
  gradScale: number,
  { optimizer = "sgd", decay_params = decayOf(optimizer), clip_norm }: LearningConfig,
): void {
  const input = (name: string): Value => b.input(`hyper.${name}`, f32());
  const clip = clip_norm ? clip_by_norm(b, grads, input("clip_norm"), gradScale).clip : undefined;
  const matrices = decayMatrices(tables);
  const decay = decay_params === "all" ? undefined : matrices;
  const options = { ...(clip && { clip }), ...(decay && { decay }) };
  if (optimizer === "sgd") return sgd(b, params, grads, hyper, finite, gradScale, options);
  if (optimizer === "adamw") {
    const { lr, weight_decay } = hyper;
    const own = { lr, weight_decay, beta1: input("beta1"), beta2: input("beta2"), eps: input("eps") };
    return adamw(b, params, grads, own, finite, gradScale, options);
  }
  const adapts = (p: Value): boolean => decay_params === "all" || matrices(p) === 1;
  lars(b, params, grads, { ...hyper, trust: input("trust") }, finite, gradScale, { ...options, adapts });
}
