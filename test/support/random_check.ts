// The checks of a random graph in f64: each pass keeps its values, the plan does, too, and its gradients agree with
// finite differences. Which graphs can be checked is decided in f64, too, before the checks.

import { type Env, evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Pass, Value } from "../../compiler/ir/types.js";
import { verify } from "../../compiler/ir/verify.js";
import { dce } from "../../compiler/passes/dce.js";
import { optimize, passes } from "../../compiler/pipeline.js";
import { nativeTarget } from "./compiled.js";
import { closeDecisions } from "./decisions.js";
import { runPlan } from "./plan_run.js";
import { randomArray } from "./random.js";
import { type RandomGraph, randomGraph } from "./random_graph.js";

export interface Checkable extends RandomGraph {
  readonly env: Env; // all values of the graph
  readonly sensitivity: number; // the change of the results, relative to the largest, if every value is rounded to f32
}

/**
 * The graph of a seed; undefined if rounding alone may change its results by so much that a test could not tell that
 * from a mistake. That is so if a ReLU or a maximum is decided by next to nothing, if the results are not finite or are
 * sensitive to rounding, or if the loss is so large that its differences mean nothing. Throws for an invalid graph.
 */
export function checkable(seed: number): Checkable | undefined {
  const r = randomGraph(seed);
  verify(r.graph);
  const env = evaluate(r.graph, r.feed);
  const rounded = evaluate(r.graph, r.feed, (v, x) =>
    v.type.dtype === "f32" ? new NdArray(x.shape, x.data.map(Math.fround)) : x,
  );
  const sensitivity = Math.max(...resultsOf(r.graph).map((v) => difference(get(rounded, v), get(env, v))));
  const small = get(env, r.loss).data.every((x) => Math.abs(x) < 100);
  const decided = closeDecisions(r.graph, env, 5e-6).length === 0;
  return small && decided && sensitivity < 1e-6 ? { ...r, env, sensitivity } : undefined;
}

const get = (env: Env, v: Value): NdArray => env.get(v) as NdArray;
/** Outputs, then the new values of states. */
export const resultsOf = (g: Graph): readonly Value[] => [...g.outputs, ...g.updates.values()];

/** The largest difference, relative to the largest of `want`; NaN unless all numbers are finite. */
export function difference(got: NdArray, want: NdArray): number {
  let largest = 0;
  let worst = 0;
  want.data.forEach((w, i) => {
    largest = Math.max(largest, Math.abs(w));
    worst = Math.max(worst, Math.abs((got.data[i] as number) - w)); // infinite numbers differ by NaN
  });
  return worst === 0 ? 0 : worst / largest;
}

const closeInF64 = 1e-9; // passes reassociate

/** Throws unless two lists of arrays agree. */
function expectSame(what: string, names: readonly Value[], got: readonly NdArray[], want: readonly NdArray[]): void {
  names.forEach((v, i) => {
    const error = difference(got[i] as NdArray, want[i] as NdArray);
    if (!(error < closeInF64)) throw new Error(`${what}: %${v.name} is off by ${error}`);
  });
}

/** Checks each pass on the graph as it was built, then all of them in order, then the plan. */
export function checkValues({ graph, feed, env }: Checkable): void {
  const want = resultsOf(graph).map((v) => get(env, v));
  const compare = (what: string, g: Graph): void => {
    const now = evaluate(g, feed);
    expectSame(
      what,
      resultsOf(graph),
      resultsOf(g).map((v) => get(now, v)),
      want,
    );
  };
  for (const p of new Set<Pass>(passes)) {
    const after = p.run(graph, nativeTarget);
    verify(after);
    if (after !== graph) compare(`pass ${p.name}`, after);
  }
  const optimized = optimize(graph, nativeTarget);
  compare("passes", optimized);
  const ran = runPlan(optimized, nativeTarget, feed);
  const after = [...graph.updates.keys()].map((s) => ran.state.get(s.name) as NdArray);
  expectSame("plan", resultsOf(graph), [...ran.outputs, ...after], want);
}

/**
 * The error of the loss's derivative if all parameters move in one random direction, relative to its terms. A step over
 * a kink spoils one difference, a wrong gradient spoils all of them, so the best of three steps is returned.
 */
export function gradientDifference({ graph, feed, env, loss, params, gradients }: Checkable): number {
  const forward = dce.run({ ...graph, outputs: [loss], updates: new Map() }, nativeTarget);
  const directions = params.map((p, i) => randomArray(p.type.shape, 1000 + i));
  const lossAt = (t: number): number => {
    const moved = params.map((p, i) => {
      const [x, u] = [get(feed as Env, p).data, (directions[i] as NdArray).data];
      return [
        p,
        new NdArray(
          p.type.shape,
          x.map((v, j) => v + t * (u[j] as number)),
        ),
      ] as const;
    });
    return sum(get(evaluate(forward, new Map([...feed, ...moved])), loss).data);
  };
  const terms = gradients.map((d, i) =>
    get(env, d).data.map((v, j) => v * ((directions[i] as NdArray).data[j] as number)),
  );
  const analytic = sum(terms.map(sum));
  const size = Math.max(sum(terms.map((t) => sum(t.map(Math.abs)))), 1e-3);
  const errors = [1e-5, 1e-6, 1e-7].map((h) => Math.abs((lossAt(h) - lossAt(-h)) / (2 * h) - analytic) / size);
  return Math.min(...errors);
}

const sum = (x: Iterable<number>): number => [...x].reduce((s, v) => s + v, 0);
