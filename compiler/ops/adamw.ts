// The update of AdamW (Loshchilov, Hutter: Decoupled Weight Decay Regularization, ICLR 2019), one node per parameter.

import { f32, floats } from "../ir/element_types.js";
import { NdArray } from "../ir/nd.js";
import { sameShape } from "../ir/types.js";
import { floatLiteral } from "../util/float.js";
import { defineOp, type Op } from "./op.js";
import { wantScalar } from "./shape.js";

const scalars = ["lr", "beta1", "beta2", "eps", "weight_decay", "c1", "c2", "clip", "finite"] as const;
type Inputs = readonly ["p", "m", "v", "g", ...typeof scalars];

/**
 * With h = grad_scale clip g: m_new = beta1 m + (1 - beta1) h; v_new = beta2 v + (1 - beta2) h^2; p_new = p - lr
 * (weight_decay p + (m_new / c1) / (sqrt(v_new / c2) + eps)). c1 and c2 are 1 - beta1^t and 1 - beta2^t in step t. If
 * finite is 0, all stay. Throws if p, m, v and g differ in shape.
 */
export const adamw: Op<Inputs, readonly ["m_new", "v_new", "p_new"], { grad_scale: number }> = defineOp({
  name: "adamw",
  inputs: ["p", "m", "v", "g", ...scalars],
  outputs: ["m_new", "v_new", "p_new"],
  attrs: ["grad_scale"],
  types: {
    ...{ p: floats, m: floats, v: floats, g: floats },
    ...{ lr: f32, beta1: f32, beta2: f32, eps: f32, weight_decay: f32, c1: f32, c2: f32, clip: f32, finite: f32 },
  },
  kind: "elementwise",
  onnx: "moproc::AdamW",
  flat: true,
  inPlace: { m_new: "m", v_new: "v", p_new: "p" },
  access: Object.fromEntries(scalars.map((name) => [name, "scalar" as const])),
  infer: (inputs, _: { grad_scale: number }) => {
    const { p, m, v, g } = inputs;
    for (const [name, t] of Object.entries({ m, v, g }))
      if (!sameShape(t.shape, p.shape)) throw new Error(`${name} must have the shape of p, not [${t.shape}]`);
    for (const name of scalars) wantScalar(name, inputs[name]);
    return { m_new: m, v_new: v, p_new: p };
  },
  reference: ({ p, m, v, g, lr, beta1, beta2, eps, weight_decay, c1, c2, clip, finite }, { grad_scale }) => {
    if (finite.at() === 0) return { m_new: m, v_new: v, p_new: p };
    const of = (x: NdArray, i: number): number => x.data[i] as number;
    const h = (i: number): number => grad_scale * clip.at() * of(g, i);
    const m_new = NdArray.fill(p.shape, (i) => beta1.at() * of(m, i) + (1 - beta1.at()) * h(i));
    const v_new = NdArray.fill(p.shape, (i) => beta2.at() * of(v, i) + (1 - beta2.at()) * h(i) ** 2);
    const p_new = NdArray.fill(p.shape, (i) => {
      const direction = of(m_new, i) / c1.at() / (Math.sqrt(of(v_new, i) / c2.at()) + eps.at());
      return of(p, i) - lr.at() * (weight_decay.at() * of(p, i) + direction);
    });
    return { m_new, v_new, p_new };
  },
  code: (operands, { grad_scale }, [m_new, v_new]) => {
    const [p, m, v, g, lr, beta1, beta2, eps, wd, c1, c2, clip, finite] = operands;
    const unless = (next: string, old: string | undefined): string => `select(${finite} == Vec(0.0f), ${old}, ${next})`;
    const h = `(${g} * Vec(${floatLiteral(grad_scale)}) * ${clip})`;
    const direction = `(${m_new} / ${c1} / (sqrt(${v_new} / ${c2}) + ${eps}))`;
    return [
      unless(`fma(${beta1}, ${m}, (Vec(1.0f) - ${beta1}) * ${h})`, m),
      unless(`fma(${beta2}, ${v}, (Vec(1.0f) - ${beta2}) * ${h} * ${h})`, v),
      unless(`${p} - ${lr} * fma(${wd}, ${p}, ${direction})`, p),
    ];
  },
});
