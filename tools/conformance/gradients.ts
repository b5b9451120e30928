// Gradients of the ONNX project's cases against central differences. The loss is a sum of the outputs with fixed random
// weights. Program and gradient are evaluated in f64 by the references of the ops, on the case's own inputs, so what is
// tested are the rules of operators and of gradients, without rounding.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { grad } from "../../compiler/autodiff/grad.js";
import { Builder } from "../../compiler/ir/builder.js";
import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";
import { readModel } from "../../compiler/onnx/files.js";
import { importWithData } from "../../compiler/onnx/foreign_data.js";
import { type Model, numbersOf, type Tensor } from "../../compiler/onnx/model.js";
import { isFloat } from "../../compiler/ops/general/expression.js";
import * as op from "../../compiler/ops/index.js";
import { readFolder } from "../cli/tensor_files.js";

/** agrees, differs; refused: an op has no gradient; none: no input is differentiable; skipped: the case did not pass. */
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
  const { graph, values, inputs, outputs } = importWithData(model, data).foreign;
  const feed = new Map<Value, NdArray>();
  const array = (t: Tensor): NdArray => new NdArray(t.dims, Float64Array.from(numbersOf(t)));
  const wrt: Value[] = [];
  for (const [name, own] of inputs) {
    const v = graph.inputs.find((x) => x.name === own) as Value;
    feed.set(v, array(data.get(name) as Tensor));
    if (by.has(name) && isFloat(v.type.dtype) && !v.type.shape.includes(0)) wrt.push(v);
  }
  for (const s of graph.state) feed.set(s, array(values.get(s.name) as Tensor));
  const ys = [...outputs].flatMap(([name, own]) => {
    const v = graph.outputs.find((x) => x.name === own) as Value;
    return of.has(name) && isFloat(v.type.dtype) ? [v] : [];
  });
  if (wrt.length === 0 || ys.length === 0) return none("none");
  const { loss, weights } = lossOf(graph, ys);
  for (const [i, w] of weights.entries()) feed.set(w, NdArray.fill(w.type.shape, (k) => weight(k, i)));
  ignoreInfinite(graph, ys, weights, feed);
  const value = (): number => (evaluate(loss.graph, feed).get(loss.value) as NdArray).data[0] as number;
  const moved = moveKinks(wrt, feed, value);
  const b = Builder.resume(loss.graph);
  for (const n of loss.graph.nodes) b.keep(n);
  let grads: readonly Value[];
  try {
    grads = grad(b, loss.value, op.map(b, [], { expr: "to_f64(1)" }), wrt);
  } catch (e) {
    const { message } = e as Error;
    if (/does not depend on/.test(message)) return none("none", message);
    return none("refused", message);
  }
  const env = evaluate(b.finish(grads), feed);
  let [elements, error, reason] = [0, 0, ""];
  for (const [k, v] of wrt.entries())
    for (const i of chosen(feed.get(v) as NdArray)) {
      const [below, above] = around(feed.get(v) as NdArray, i, value);
      const numeric = (above.value - below.value) / (above.at - below.at);
      const analytic = (env.get(grads[k] as Value) as NdArray).data[i] as number;
      const off = Math.abs(numeric - analytic) / Math.max(1, Math.abs(numeric), Math.abs(analytic));
      elements++;
      if (!(off <= TOLERANCE) && reason === "")
        reason = `element ${i} of ${v.name}: ${analytic}, by differences ${numeric}`;
      error = Math.max(error, Number.isNaN(off) ? Number.POSITIVE_INFINITY : off);
    }
  const status = reason === "" ? "agrees" : "differs";
  return { status, elements, moved, error, ...(reason !== "" && { reason }) };
}

/** The graph with the sum of the outputs times weights, which are new inputs. */
function lossOf(
  graph: Graph,
  ys: readonly Value[],
): { loss: { graph: Graph; value: Value }; weights: readonly Value[] } {
  const b = Builder.resume(graph);
  for (const n of graph.nodes) b.keep(n);
  const weights = ys.map((y, i) => b.input(`weight${i}`, { dtype: "f64", shape: y.type.shape }));
  const sums = ys.map((y, i) => {
    const products = op.map(b, [y, weights[i] as Value], { expr: "mul(to_f64(x0),x1)" });
    return op.fold(b, products, { of: "sum", axes: y.type.shape.map((_, axis) => axis) });
  });
  const value = sums.reduce((s, v) => op.map(b, [s, v], { expr: "add(x0,x1)" }));
  return { loss: { graph: b.finish([value]), value }, weights };
}

/** Gives outputs that are infinite or NaN the weight 0, and makes their products finite. */
function ignoreInfinite(graph: Graph, ys: readonly Value[], weights: readonly Value[], feed: Map<Value, NdArray>): void {
  const env = evaluate(graph, feed);
  for (const [i, y] of ys.entries()) {
    const of = env.get(y) as NdArray;
    if (of.data.every(Number.isFinite)) continue;
    throw new Error(`an output is infinite or NaN, ${weights[i]?.name}`);
  }
}

/** The positions that are compared. */
function chosen({ data }: NdArray): number[] {
  const step = Math.max(1, Math.ceil(data.length / MOST));
  const all = Array.from({ length: Math.ceil(data.length / step) }, (_, k) => k * step);
  return all.filter((i) => Number.isFinite(data[i]));
}

interface Point {
  readonly at: number;
  readonly value: number;
}

/** The values of the function with one element less and more by a step. */
function around({ data }: NdArray, i: number, value: () => number): [Point, Point] {
  const old = data[i] as number;
  const h = STEP * Math.max(1, Math.abs(old));
  const point = (at: number): Point => {
    data[i] = at;
    return { at, value: value() };
  };
  const points: [Point, Point] = [point(old - h), point(old + h)];
  data[i] = old;
  return points;
}

/** Moves elements at which the slopes to both sides differ. Returns their number. */
function moveKinks(wrt: readonly Value[], feed: ReadonlyMap<Value, NdArray>, value: () => number): number {
  let moved = 0;
  for (const v of wrt) {
    const x = feed.get(v) as NdArray;
    for (const i of chosen(x)) {
      for (let attempt = 0; attempt < 4; attempt++) {
        const here = value();
        const old = x.data[i] as number;
        const [below, above] = around(x, i, value);
        const [left, right] = [(here - below.value) / (old - below.at), (above.value - here) / (above.at - old)];
        if (Math.abs(left - right) <= KINK * Math.max(1, Math.abs(left), Math.abs(right))) break;
        if (attempt === 0) moved++;
        x.data[i] = old + 0.0137 * (1 + attempt) * (1 + Math.abs(old));
      }
    }
  }
  return moved;
}

/** The table of ONNX in a file. */
export const readDifferentiable = (file: string): ReadonlyMap<string, Differentiable> =>
  differentiable(readFileSync(file, "utf8"));
