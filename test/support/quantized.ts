// Models of 8 bits for tests: ranges from some inputs, and results beside those of the f32 model and of our own reading
// of the quantised one.

import type { NdArray } from "../../compiler/ir/nd.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import type { Model, Tensor } from "../../compiler/onnx/model.js";
import { elementsOf } from "../../compiler/onnx/model.js";
import { prepared, type QuantizedParts, quantized } from "../../compiler/onnx/quantize.js";
import { Histogram, type Range, type RangeMethod } from "../../compiler/onnx/quantize_ranges.js";
import { results } from "./foreign.js";
import { OrtModel } from "./ort.js";

export interface Made {
  readonly model: Model;
  readonly parts: QuantizedParts;
  readonly ranges: ReadonlyMap<string, Range>;
}

/** The model in 8 bits, with ranges that ONNX Runtime finds for the values of one input. */
export async function quantizedFor(m: Model, x: NdArray, method: RangeMethod = "minmax"): Promise<Made> {
  const p = prepared(m);
  const name = p.model.graph.inputs[0]?.name as string;
  const roots = [...new Set(p.plan.values.values())].filter((v) => v !== name);
  const shown = roots.filter((v) => !p.model.graph.outputs.some((o) => o.name === v));
  const values = new Map(await (await OrtModel.load(p.model, shown)).run(new Map([[name, x]])));
  values.set(name, x);
  const ranges = new Map(
    [...new Set(p.plan.values.values())].map((v) => {
      const h = new Histogram(v);
      h.add(Float32Array.from((values.get(v) as NdArray).data));
      return [v, h.range(method)] as const;
    }),
  );
  return { ...quantized(p, ranges), ranges };
}

/** The outputs of ONNX Runtime by name. */
export async function run(m: Model, x: NdArray): Promise<ReadonlyMap<string, NdArray>> {
  return (await OrtModel.load(m)).run(new Map([[m.graph.inputs[0]?.name as string, x]]));
}

/** The outputs of our reference evaluator for the program that we make of the model. */
export function evaluated(m: Model, x: NdArray): ReadonlyMap<string, NdArray> {
  const [input] = m.graph.inputs;
  const open = input?.shape?.[0];
  const program = importForeign(m, typeof open === "string" ? new Map([[open, x.shape[0] as number]]) : new Map());
  const outputs = results(program, [x]);
  return new Map(m.graph.outputs.map((o, i) => [o.name, outputs[i] as NdArray]));
}

/** The largest difference over the largest value of the output. */
export function apart(a: ReadonlyMap<string, NdArray>, b: ReadonlyMap<string, NdArray>, name = "y"): number {
  const [x, y] = [a.get(name) as NdArray, b.get(name) as NdArray];
  if (x.data.length !== y.data.length) throw new Error(`${name}: [${x.shape}] and [${y.shape}]`);
  const largest = y.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  const most = x.data.reduce((m, v, i) => (v === y.data[i] ? m : Math.max(m, Math.abs(v - (y.data[i] as number)))), 0);
  return most / largest;
}

export const initializer = (m: Model, name: string): Tensor => {
  const t = m.graph.initializers.find((i) => i.name === name);
  if (!t) throw new Error(`no ${name}; there are ${m.graph.initializers.map((i) => i.name)}`);
  return t;
};
export const numbers = (m: Model, name: string): number[] =>
  Array.from(elementsOf(initializer(m, name)) as ArrayLike<number>, Number);

/** Nodes as text: operator, inputs, outputs. */
export const listing = (m: Model): string[] =>
  m.graph.nodes.map((n) => `${[n.op, ...n.inputs].join(" ")} -> ${n.outputs.join(" ")}`);
