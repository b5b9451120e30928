// Gradients of the ONNX project's cases against central differences. The loss is a sum of the outputs with fixed random
// weights. Program and gradient are evaluated in f64 by the references of the ops, on the case's own inputs, so what is
// tested are the rules of operators and of gradients, without rounding.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { evaluate } from "../../compiler/ir/evaluate.js";
import type { NdArray } from "../../compiler/ir/nd.js";
import { elements, type Graph, type Value } from "../../compiler/ir/types.js";
import { readModel } from "../../compiler/onnx/files.js";
import type { Model, Tensor } from "../../compiler/onnx/model.js";
import { opOf } from "../../compiler/ops/op.js";
import { readFolder } from "../cli/tensor_files.js";
import { gradientsOfLoss, type Loss, lossOfModel, NoGradient } from "./derivatives.js";

/**
 * agrees, differs; refused: an op has no gradient; none: no input is differentiable; skipped: an output is infinite or
 * NaN, or the case cannot be read.
 */
export type GradientStatus = "agrees" | "differs" | "refused" | "none" | "skipped";

export interface GradientResult {
  readonly status: GradientStatus;
  readonly elements: number; // compared
  readonly moved: number; // elements that were at a kink of the function, and were moved
  readonly error: number; // the largest, relative to the larger of 1 and the derivative
  readonly reason?: string;
}

/** The names of the differentiable inputs and outputs of an operator, by position; "..." repeats the last one. */
export interface Differentiable {
  readonly inputs: readonly boolean[];
  readonly outputs: readonly boolean[];
}

/** ONNX's own table (differentiability.tsv): operator, version, inputs and outputs with their tags. */
export function differentiable(text: string): ReadonlyMap<string, Differentiable> {
  const tags = (list = ""): boolean[] => list.split(" ").map((item) => item.endsWith("=Differentiable"));
  const lines = text.trimEnd().split("\n").slice(1);
  return new Map(
    lines.map((l) => {
      const [name, , inputs, outputs] = l.split("\t") as [string, string, string, string];
      return [name, { inputs: tags(inputs), outputs: tags(outputs) }];
    }),
  );
}

const MOST = 128; // elements of an input that are compared, evenly spread
const BUDGET = 2e6; // operations for one input, roughly: fewer elements of large cases are compared, 4 at least
const STEP = 1e-5;
const KINK = 1e-3; // how far slopes to the left and to the right differ at a kink, relative to their size
const TOLERANCE = 1e-5;

/** A number in -1..1 that depends on its arguments alone. */
function weight(i: number, seed: number): number {
  const x = Math.sin(12.9898 * (i + 1) + 78.233 * (seed + 1)) * 43758.5453;
  return 2 * (x - Math.floor(x)) - 1;
}

const none = (status: GradientStatus, reason?: string): GradientResult => ({
  status,
  elements: 0,
  moved: 0,
  error: 0,
  ...(reason !== undefined && { reason }),
});

/** The gradient of a case in the folder `dir`, whose model has one node of an operator of `table`. */
export function gradientOfCase(dir: string, table: ReadonlyMap<string, Differentiable>): GradientResult {
  const model = readModel(join(dir, "model.onnx"));
  const [node, more] = model.graph.nodes;
  const tags = node && !more && node.domain === "" ? table.get(node.op) : undefined;
  if (!node || !tags) return none("none");
  const tagged = (names: readonly string[], list: readonly boolean[]): Set<string> =>
    new Set(names.filter((_, i) => list[Math.min(i, list.length - 1)]));
  const by = tagged(node.inputs, tags.inputs);
  const of = tagged(node.outputs, tags.outputs);
  if (by.size === 0 || of.size === 0) return none("none");
  const data = readFolder(join(dir, "test_data_set_0"), model.graph);
  return compared(model, data, by, of);
}

function compared(
  model: Model,
  data: ReadonlyMap<string, Tensor>,
  by: ReadonlySet<string>,
  of: ReadonlySet<string>,
): GradientResult {
  const loss = lossOfModel(model, data, by, of, weight);
  const { graph, feed, wrt } = loss;
  if (wrt.size === 0 || loss.outputs.size === 0) return none("none");
  requireFinite(loss);
  const value = (): number => (evaluate(graph, feed).get(loss.value) as NdArray).data[0] as number;
  const cost = costOf(graph);
  const { moved, seen } = moveKinks([...wrt.values()], feed, cost, value);
  let grads: ReadonlyMap<string, NdArray | undefined>;
  try {
    grads = gradientsOfLoss(loss);
  } catch (e) {
    if (e instanceof NoGradient) return none("refused", e.message);
    throw e;
  }
  let [count, error, reason] = [0, 0, ""];
  for (const [name, v] of wrt)
    for (const i of chosen(feed.get(v) as NdArray, cost)) {
      const [below, above] = seen?.get(v)?.get(i) ?? around(feed.get(v) as NdArray, i, value);
      const noise = (Number.EPSILON * Math.abs(above.value)) / (above.at - below.at);
      if (noise > TOLERANCE) continue; // the loss is too large for differences
      const numeric = (above.value - below.value) / (above.at - below.at);
      const analytic = (grads.get(name)?.data[i] as number | undefined) ?? 0; // without a gradient it is 0
      const off = Math.abs(numeric - analytic) / Math.max(1, Math.abs(numeric), Math.abs(analytic));
      count++;
      if (!(off <= TOLERANCE) && reason === "")
        reason = `element ${i} of ${v.name}: ${analytic}, by differences ${numeric}`;
      error = Math.max(error, Number.isNaN(off) ? Number.POSITIVE_INFINITY : off);
    }
  if (count === 0) return none("skipped", "the outputs are too large for differences in f64");
  const status = reason === "" ? "agrees" : "differs";
  return { status, elements: count, moved, error, ...(reason !== "" && { reason }) };
}

/** Throws if an output is infinite or NaN, where there is no derivative. */
function requireFinite({ graph, feed, outputs }: Loss): void {
  const env = evaluate(graph, feed);
  const odd = [...outputs.values()].find((y) => !(env.get(y) as NdArray).data.every(Number.isFinite));
  if (odd) throw new Error(`the output ${odd.name} has an infinite element or NaN`);
}

/** Operations of one evaluation, roughly. */
const costOf = (g: Graph): number =>
  g.nodes.reduce((sum, n) => {
    const size = (v: Value | undefined): number => (v ? elements(v.type.shape) : 0);
    const { name } = opOf(n.op);
    const taps = /^(conv|batch_matmul|matmul)/.test(name) ? size(n.inputs[1]) / (n.inputs[1]?.type.shape[0] || 1) : 1;
    return sum + [...n.inputs, ...n.outputs].reduce((s, v) => s + size(v), 0) * Math.max(1, taps);
  }, 1);

/** The positions that are compared if one evaluation has `cost`. */
function chosen({ data }: NdArray, cost: number): number[] {
  const most = Math.min(MOST, Math.max(4, Math.floor(BUDGET / (5 * cost))));
  const step = Math.max(1, Math.ceil(data.length / most));
  const all = Array.from({ length: Math.ceil(data.length / step) }, (_, k) => k * step);
  return all.filter((i) => Number.isFinite(data[i]));
}

interface Point {
  readonly at: number;
  readonly value: number;
}

/** The value of the function with one element more by some steps. */
function beside({ data }: NdArray, i: number, value: () => number, steps: number): Point {
  const old = data[i] as number;
  const at = old + steps * STEP * Math.max(1, Math.abs(old));
  data[i] = at;
  const point = { at, value: value() };
  data[i] = old;
  return point;
}

/** The values of the function with one element less and more by a step. */
const around = (x: NdArray, i: number, value: () => number): [Point, Point] => [
  beside(x, i, value, -1),
  beside(x, i, value, 1),
];

/**
 * Moves elements at which the slopes to both sides differ. Returns their number and, if it is 0, the values around each
 * element, which need not be computed again.
 */
function moveKinks(
  wrt: readonly Value[],
  feed: ReadonlyMap<Value, NdArray>,
  cost: number,
  value: () => number,
): { readonly moved: number; readonly seen?: ReadonlyMap<Value, ReadonlyMap<number, [Point, Point]>> } {
  let [moved, here] = [0, value()];
  const seen = new Map(wrt.map((v) => [v, new Map<number, [Point, Point]>()]));
  for (const v of wrt) {
    const x = feed.get(v) as NdArray;
    for (const i of chosen(x, cost)) {
      for (let attempt = 0; attempt < 4; attempt++) {
        const old = x.data[i] as number;
        const [below, above] = around(x, i, value);
        seen.get(v)?.set(i, [below, above]);
        const [left, right] = [(here - below.value) / (old - below.at), (above.value - here) / (above.at - old)];
        const wide = beside(x, i, value, -4);
        const far = (here - wide.value) / (old - wide.at); // differs from `left` if the function jumps
        const size = KINK * Math.max(1, Math.abs(left), Math.abs(right));
        if (Math.abs(left - right) <= size && Math.abs(left - far) <= size) break;
        if (attempt === 0) moved++;
        x.data[i] = old + 0.0137 * (1 + attempt) * (1 + Math.abs(old));
        here = value();
      }
    }
  }
  return moved === 0 ? { moved, seen } : { moved };
}

/**
 * The gradients of the cases below the folder `cases` that passed; `table` is the file with ONNX's tags. `progress` is
 * called after each case.
 */
export function gradientsOf(
  cases: string,
  results: readonly { readonly name: string; readonly status: string }[],
  table: string,
  progress: (done: number, all: number) => void = () => {},
): ReadonlyMap<string, GradientResult> {
  const tags = differentiable(readFileSync(table, "utf8"));
  const passed = results.filter((r) => r.status === "passed");
  return new Map(
    passed.map(({ name }, i) => {
      let result: GradientResult;
      try {
        result = gradientOfCase(join(cases, name), tags);
      } catch (e) {
        result = none("skipped", (e as Error).message);
      }
      progress(i + 1, passed.length);
      return [name, result];
    }),
  );
}
