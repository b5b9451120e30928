// Gradients against central differences in f64 along random directions. The rules of the op records are correct if the
// change of <seed, y> along u equals <dx, u> for all directions.

import { grad } from "../../compiler/autodiff/grad.js";
import { Builder } from "../../compiler/ir/builder.js";
import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";
import { verify } from "../../compiler/ir/verify.js";
import { randomArray } from "./random.js";

/** The graph followed by the gradients of its first output, weighted by a new input `seed`. */
export function withGradients(g: Graph, wrt: readonly Value[]): { graph: Graph; seed: Value; grads: readonly Value[] } {
  const b = Builder.resume(g);
  for (const n of g.nodes) b.keep(n);
  const y = g.outputs[0] as Value;
  const seed = b.input("seed", y.type);
  const grads = grad(b, y, seed, wrt);
  const graph = b.finish([y, ...grads]);
  verify(graph);
  return { graph, seed, grads };
}

const dot = (a: NdArray, b: NdArray): number => a.data.reduce((s, v, i) => s + v * (b.data[i] as number), 0);

/**
 * The largest error of a directional derivative, over operands and directions, relative to its terms. A correct rule
 * stays below 1e-7, because step 1e-5 keeps truncation and rounding below that.
 */
export function gradientError(
  g: Graph,
  feed: ReadonlyMap<Value, NdArray>,
  wrt: readonly Value[],
  directions = 3,
): number {
  const { graph, seed, grads } = withGradients(g, wrt);
  const y = g.outputs[0] as Value;
  const weights = randomArray(y.type.shape, 11);
  const env = evaluate(graph, new Map([...feed, [seed, weights]]));
  const h = 1e-5;
  let worst = 0;
  wrt.forEach((x, i) => {
    const dx = env.get(grads[i] as Value) as NdArray;
    const at = feed.get(x) as NdArray;
    for (let d = 0; d < directions; d++) {
      const u = randomArray(x.type.shape, 100 + d);
      const moved = (t: number): number => {
        const to = new NdArray(
          at.shape,
          at.data.map((v, j) => v + t * (u.data[j] as number)),
        );
        return dot(evaluate(g, new Map([...feed, [x, to]])).get(y) as NdArray, weights);
      };
      const numeric = (moved(h) - moved(-h)) / (2 * h);
      const analytic = dot(dx, u);
      const size = dx.data.reduce((s, v, j) => s + Math.abs(v * (u.data[j] as number)), 0);
      const error = Math.abs(numeric - analytic) / Math.max(size, Math.abs(numeric), 1e-3);
      worst = Number.isNaN(error) ? Infinity : Math.max(worst, error);
    }
  });
  return worst;
}
