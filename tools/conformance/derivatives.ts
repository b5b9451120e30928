// The gradient of a sum of a model's outputs with weights, by moproc's rules. Program and gradient are evaluated in f64
// by the references of the ops.

import { adjoints } from "../../compiler/autodiff/grad.js";
import { Builder } from "../../compiler/ir/builder.js";
import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";
import { importWithData } from "../../compiler/onnx/foreign_data.js";
import { type Model, numbersOf, type Tensor } from "../../compiler/onnx/model.js";
import { isFloat } from "../../compiler/ops/general/expression.js";
import * as op from "../../compiler/ops/index.js";

/** A program whose result is the loss, and what it is fed. */
export interface Loss {
  readonly graph: Graph;
  readonly value: Value;
  readonly feed: Map<Value, NdArray>; // its elements may be changed
  readonly wrt: ReadonlyMap<string, Value>; // inputs by which it is differentiated, by the model's names
  readonly outputs: ReadonlyMap<string, Value>; // outputs that are summed, by the model's names
}

/** An op of the program has no gradient. */
export class NoGradient extends Error {}

/**
 * The sum of the outputs `of` with the weights weight(element, output), by the inputs `by`. Of both, those that are no
 * floating point or are constants of the program are left out. Throws as importWithData().
 */
export function lossOfModel(
  model: Model,
  data: ReadonlyMap<string, Tensor>,
  by: ReadonlySet<string>,
  of: ReadonlySet<string>,
  weight: (element: number, output: number) => number,
): Loss {
  const { graph, values, inputs, outputs } = importWithData(model, data).foreign;
  const feed = new Map<Value, NdArray>();
  const array = (t: Tensor): NdArray => new NdArray(t.dims, Float64Array.from(numbersOf(t)));
  const wrt = new Map<string, Value>();
  for (const [name, own] of inputs) {
    const v = graph.inputs.find((x) => x.name === own) as Value;
    feed.set(v, array(data.get(name) as Tensor));
    if (by.has(name) && isFloat(v.type.dtype) && !v.type.shape.includes(0)) wrt.set(name, v);
  }
  for (const s of graph.state) feed.set(s, array(values.get(s.name) as Tensor));
  const ys = [...outputs].flatMap(([name, own]) => {
    const v = graph.outputs.find((x) => x.name === own) as Value;
    return of.has(name) && isFloat(v.type.dtype) ? [[name, v] as const] : [];
  });
  const b = Builder.resume(graph);
  for (const n of graph.nodes) b.keep(n);
  const sums = ys.map(([, y], i) => {
    const w = b.input(`weight${i}`, { dtype: "f64", shape: y.type.shape });
    feed.set(
      w,
      NdArray.fill(y.type.shape, (k) => weight(k, i)),
    );
    const products = op.map(b, [y, w], { expr: "mul(to_f64(x0),x1)" });
    return op.fold(b, products, { of: "sum", axes: y.type.shape.map((_, axis) => axis) });
  });
  const value = sums.reduce<Value | undefined>(
    (s, v) => (s ? op.map(b, [s, v], { expr: "add(x0,x1)" }) : v),
    undefined,
  );
  const loss = value ?? op.map(b, [], { expr: "to_f64(0)" });
  return { graph: b.finish([loss]), value: loss, feed, wrt, outputs: new Map(ys) };
}

/** The derivatives of a loss by its inputs, by name; undefined: the loss does not depend on the input. */
export function gradientsOfLoss({ graph, value, feed, wrt }: Loss): ReadonlyMap<string, NdArray | undefined> {
  const b = Builder.resume(graph);
  for (const n of graph.nodes) b.keep(n);
  const seed = op.map(b, [], { expr: "to_f64(1)" });
  const grads = new Map<string, Value | undefined>();
  for (const [name, v] of wrt)
    try {
      grads.set(name, adjoints(b, value, seed, [v]).get(v));
    } catch (e) {
      const { message } = e as Error;
      if (!/does not depend on|has no gradient for/.test(message)) throw new NoGradient(message);
      grads.set(name, undefined);
    }
  const env = evaluate(b.finish([...grads.values()].filter((v) => v !== undefined)), feed);
  return new Map([...grads].map(([name, g]) => [name, g && env.get(g)]));
}
