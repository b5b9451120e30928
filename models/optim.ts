// Optimizers as graph builders: they declare their own state and update the parameters.

import type { Builder } from "../compiler/ir/builder.js";
import type { Value } from "../compiler/ir/types.js";
import * as op from "../compiler/ops/index.js";

/** f32[] values, usually inputs of the program. */
export interface SgdHyper {
  readonly lr: Value;
  readonly momentum: Value;
  readonly weight_decay: Value;
}

/**
 * One step of SGD with momentum for each parameter, in order: v = momentum v + (gradScale g + weight_decay p);
 * p -= lr v. If `finite` f32[] is 0, nothing changes. The buffers v are the states `optimizer.momentum.NAME`.
 */
export function sgd(
  b: Builder,
  params: readonly Value[],
  grads: readonly Value[],
  hyper: SgdHyper,
  finite: Value,
  gradScale = 1,
): void {
  if (params.length !== grads.length) throw new Error(`${grads.length} gradients for ${params.length} parameters`);
  params.forEach((p, i) => {
    const v = b.at("optimizer.momentum").state(p.name, p.type, { kind: "constant", value: 0 }, "momentum");
    const { lr, momentum, weight_decay } = hyper;
    const next = op.sgd(b.at(`optimizer.${p.name}`), p, v, grads[i] as Value, lr, momentum, weight_decay, finite, {
      grad_scale: gradScale,
    });
    b.update(p, next.p_new);
    b.update(v, next.v_new);
  });
}

/** The trained states of the graph so far, in order of declaration. */
export const parameters = (b: Builder): readonly Value[] => b.states.filter((s) => s.role === "param");
