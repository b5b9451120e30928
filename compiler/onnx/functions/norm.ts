// Batch normalisation and the ops that it consists of. Training mode is written in simpler operators, because ONNX's
// BatchNormalization has only one group of rows, and there is no standard operator for its gradient.

import * as op from "../../ops/index.js";
import { float, type In, type Operand, type Ref, type Writer } from "../writer.js";
import { type Body, bodyOf, extent } from "./body.js";
import { channelSum, grouped, moments, perGroup, tableOf } from "./reduce.js";

/** 1 / sqrt(variance + eps) */
const inverseDeviation = (w: Writer, variance: In, eps: number): Ref => w.div(1, w.sqrt(w.add(variance, eps)));

/** f of x and of tables [G, C]. With one group x is not reshaped, so it may have any number of rows. */
function perChannel(
  w: Writer,
  xs: readonly Operand[],
  tables: readonly Operand[],
  f: (xs: readonly In[], tables: readonly Ref[]) => Ref,
): Ref {
  const groups = extent(tables[0] as Operand, 0);
  const { shape } = (xs[0] as Operand).type;
  if (groups === 1)
    return f(
      xs,
      tables.map((t) => (shape.length === 2 ? t.ref : w.unsqueeze(t, [2, 3]))),
    );
  return w.reshape(
    f(
      xs.map((x) => grouped(w, x, groups)),
      tables.map((t) => tableOf(w, t)),
    ),
    shape,
  );
}

export const norm: readonly Body[] = [
  bodyOf(op.affine, (w, { x, scale, bias }) =>
    perChannel(w, [x], [scale, bias], ([x_], [a, b]) => w.add(w.mul(x_ as In, a as Ref), b as Ref)),
  ),
  bodyOf(op.affine2, (w, { dy, x, a, b, c }) =>
    perChannel(w, [dy, x], [a, b, c], ([d, x_], [s, t, u]) =>
      w.add(w.add(w.mul(d as In, s as Ref), w.mul(x_ as In, t as Ref)), u as Ref),
    ),
  ),
  bodyOf(op.normalize, (w, { x, mean, rstd }) =>
    perChannel(w, [x], [mean, rstd], ([x_], [m, r]) => w.mul(w.sub(x_ as In, m as Ref), r as Ref)),
  ),
  bodyOf(op.normalize_image, (w, { img }, { attrs: { mean, std } }) => {
    const table = (values: readonly number[]): Ref => w.f32(values, [1, values.length, 1, 1]);
    return w.div(w.sub(w.div(w.toFloat(img), 255), table(mean)), table(std));
  }),
  bodyOf(op.spread_pixels, (w, { x }, { attrs }) =>
    w.op("Expand", [w.unsqueeze(x, [2, 3]), w.i64([1, 1, attrs.h, attrs.w])]),
  ),
  bodyOf(op.batch_norm, (w, { x, gamma, beta }, { attrs: { eps, groups } }) => {
    const n = perGroup(x, groups);
    const { mean, m2, centred } = moments(w, grouped(w, x, groups), n);
    const variance = w.div(m2, n);
    const slope = w.mul(gamma, inverseDeviation(w, variance, eps)); // [G, C]
    const bias = w.unsqueeze(beta, [0]);
    const y = w.add(w.mul(centred, tableOf(w, slope)), tableOf(w, bias));
    return { y: w.reshape(y, x.type.shape), mean, var: variance };
  }),
  bodyOf(op.batch_norm_grad, (w, { x, dy, mean, var: variance, gamma }, { attrs: { eps, groups } }) => {
    const n = perGroup(x, groups);
    const rstd = inverseDeviation(w, variance, eps);
    const d = grouped(w, dy, groups);
    const normal = w.mul(w.sub(grouped(w, x, groups), tableOf(w, mean)), tableOf(w, rstd));
    const [dbeta, dgamma] = [channelSum(w, d), channelSum(w, w.mul(d, normal))]; // [G, C]
    const along = w.mul(normal, tableOf(w, w.div(dgamma, n)));
    const centred = w.sub(w.sub(d, tableOf(w, w.div(dbeta, n))), along);
    const dx = w.mul(centred, tableOf(w, w.mul(gamma, rstd)));
    return {
      dx: w.reshape(dx, x.type.shape),
      dgamma: w.reduce("Sum", dgamma, [0]),
      dbeta: w.reduce("Sum", dbeta, [0]),
    };
  }),
  bodyOf(op.batch_norm_inference, (w, { x, gamma, beta, mean, var: variance }, { attrs: { eps } }) =>
    w.op("BatchNormalization", [x, gamma, beta, mean, variance], { epsilon: float(eps) }),
  ),
];
