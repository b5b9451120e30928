// A node of ai.onnx with inputs of any element type, by the rule of its operator in the reference evaluator and by ONNX
// Runtime, which must agree.

import test, { type ExecutionContext } from "ava";
import * as ort from "onnxruntime-node";
import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import { arrays, type ElementType, elementsOf, type Model, type Tensor, tensorOf } from "../../compiler/onnx/model.js";
import { decodeModel, encodeModel } from "../../compiler/onnx/proto.js";
import { isFloat } from "../../compiler/ops/general/expression.js";
import { bf16, f16 } from "../../compiler/util/float.js";
import { type Attrs, node } from "./foreign.js";
import { gradientError } from "./gradcheck.js";
import { covered } from "./rule_tests.js";

const names: Readonly<Partial<Record<ElementType, ort.Tensor.Type>>> = {
  ...{ f32: "float32", f64: "float64", f16: "float16", bool: "bool" },
  ...{ i8: "int8", i16: "int16", i32: "int32", i64: "int64", u8: "uint8", u16: "uint16", u32: "uint32", u64: "uint64" },
};

/** One node, and what it reads. */
export interface Case {
  readonly op: string;
  readonly opset: number;
  readonly inputs: readonly (Tensor | undefined)[];
  readonly constant?: readonly number[]; // the inputs that are initializers
  readonly attrs?: Attrs;
  readonly outputs?: readonly (ElementType | undefined)[]; // absent: one of the type of the first input
  readonly relative?: number;
  readonly absolute?: number;
}

/** Numbers without a pattern: the same ones for the same seed. */
export function random(seed: number): () => number {
  let state = seed * 2654435761 + 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 24;
  };
}

const typed = (type: ElementType, xs: readonly number[]): Parameters<typeof tensorOf>[3] => {
  if (type === "f16" || type === "bf16") return Uint16Array.from(xs, (v) => halfBits(type, v));
  const make = arrays[type] as unknown as { from(v: readonly unknown[]): Float64Array };
  return make.from(type === "i64" || type === "u64" ? xs.map((v) => BigInt(v)) : xs);
};

/** The bit pattern of the nearest f16 or bf16, found among those that decode to it. */
function halfBits(type: "f16" | "bf16", v: number): number {
  const decode = type === "f16" ? f16 : bf16;
  const sign = v < 0 ? 0x8000 : 0;
  let [low, high] = [0, type === "f16" ? 0x7c00 : 0x7f80];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (decode(middle) <= Math.abs(v)) low = middle;
    else high = middle;
  }
  return sign | (Math.abs(v) - decode(low) <= decode(high) - Math.abs(v) ? low : high);
}

/** A tensor of these elements. */
export const of = (type: ElementType, dims: readonly number[], xs: readonly number[]): Tensor =>
  tensorOf("", type, dims, typed(type, xs));

/** A tensor of numbers between `least` and `most`; whole ones for types of whole numbers. */
export function noise(type: ElementType, dims: readonly number[], seed: number, least = -2, most = 2): Tensor {
  const next = random(seed);
  const whole = !/^b?f/.test(type);
  const n = dims.reduce((m, d) => m * d, 1);
  const xs = Array.from({ length: n }, () => least + next() * (most - least + (whole ? 1 : 0)));
  return of(type, dims, whole ? xs.map(Math.floor) : xs);
}

const arrayOf = (t: Tensor): NdArray => {
  const decode = t.type === "f16" ? f16 : t.type === "bf16" ? bf16 : Number;
  return new NdArray(
    t.dims,
    Float64Array.from(Array.from(elementsOf(t) as ArrayLike<number>, (v) => decode(Number(v)))),
  );
};

/** The tensor as another element type. */
const as = (t: Tensor, type: ElementType): Tensor => of(type, t.dims, [...arrayOf(t).data]);

const nameOf = (i: number): string => `x${i}`;

/** The model of a case. */
export function modelOf(c: Case): Model {
  const given = c.inputs.flatMap((t, i) => (t ? [{ ...t, name: nameOf(i) }] : []));
  const constant = given.filter((t) => (c.constant ?? []).map(nameOf).includes(t.name));
  const types = c.outputs ?? [c.inputs[0]?.type];
  const outputs = types.map((type, i) => (type ? `y${i}` : ""));
  return decodeModel(
    encodeModel({
      ...{ irVersion: Math.min(10, Math.max(4, c.opset - 11)), opsets: new Map([["", c.opset]]) },
      ...{ producer: "test", producerVersion: "1", doc: "", functions: [], training: [], metadata: new Map() },
      graph: {
        name: "one",
        nodes: [
          node(
            c.op,
            c.inputs.map((t, i) => (t ? nameOf(i) : "")),
            outputs,
            c.attrs,
          ),
        ],
        inputs: given.filter((t) => !constant.includes(t)).map((t) => ({ name: t.name, type: t.type, shape: t.dims })),
        outputs: types.flatMap((type, i) => (type ? [{ name: `y${i}`, type, shape: undefined }] : [])),
        values: [],
        initializers: constant,
      },
    }),
  );
}

/** The program of the rule, and the values of its inputs and states. */
function program(c: Case): { graph: Graph; feed: Map<Value, NdArray> } {
  const f = importForeign(modelOf(c));
  const feed = new Map<Value, NdArray>();
  for (const v of f.graph.inputs) feed.set(v, arrayOf(c.inputs[Number(v.name.slice(1))] as Tensor));
  for (const s of f.graph.state) feed.set(s, arrayOf(f.values.get(s.name) as Tensor));
  return { graph: f.graph, feed };
}

/** The outputs by the rule, in f64. */
export function byRule(c: Case): NdArray[] {
  const { graph, feed } = program(c);
  const env = evaluate(graph, feed);
  return graph.outputs.map((v) => env.get(v) as NdArray);
}

/** The outputs of ONNX Runtime. */
async function byRuntime(c: Case): Promise<NdArray[]> {
  const m = modelOf(c);
  const session = await ort.InferenceSession.create(encodeModel(m), { logSeverityLevel: 3 });
  const feed = m.graph.inputs.map((v) => {
    const t = c.inputs[Number(v.name.slice(1))] as Tensor;
    return [v.name, new ort.Tensor(names[t.type] as "float32", elementsOf(t) as Float32Array, t.dims)] as const;
  });
  const out = await session.run(Object.fromEntries(feed));
  return m.graph.outputs.map((v) => {
    const t = out[v.name] as ort.Tensor;
    const bits = t.type === "float16" && t.data instanceof Uint16Array;
    const xs = Array.from(t.data as ArrayLike<number>, (x) => (bits ? f16(x) : Number(x)));
    return new NdArray(t.dims, Float64Array.from(xs));
  });
}

/** Fails unless the arrays have one shape and equal elements up to the errors of `c`. */
export function same(t: ExecutionContext, c: Case, got: NdArray, want: NdArray, what: string): void {
  t.deepEqual(got.shape, want.shape, what);
  const [relative, absolute] = [c.relative ?? 1e-5, c.absolute ?? 1e-6];
  const odd = [...want.data].findIndex((w, i) => {
    const g = got.data[i] as number;
    return !(Object.is(g, w) || g === w || Math.abs(g - w) <= absolute + relative * Math.abs(w));
  });
  t.is(odd, -1, `${what}: element ${odd} is ${got.data[odd]}, not ${want.data[odd]}`);
}

/** The cases of all calls of agrees(). */
export const agreed: Case[] = [];

/**
 * A test that the rule and ONNX Runtime agree on cases of an operator, and that the gradients of its first output by
 * the inputs `wrt` are those of finite differences.
 */
export function agrees(
  op: string,
  name: string,
  cases: readonly Omit<Case, "op">[],
  wrt: readonly number[] = [],
): void {
  covered.add(op);
  const all = cases.map((c) => ({ ...c, op }));
  agreed.push(...all);
  test(`${op}: ${name}`, async (t) => {
    for (const [i, c] of all.entries()) {
      const got = byRule(c);
      for (const [k, w] of (await byRuntime(c)).entries())
        same(t, c, got[k] as NdArray, w, `case ${i} (operator set ${c.opset}), output ${k}`);
    }
  });
  if (wrt.length === 0) return;
  test(`${op}: other element types, ${name}`, (t) => {
    for (const [i, c] of all.entries())
      for (const type of ["f64", "f16", "bf16"] as const) {
        if (c.inputs[0]?.type !== "f32") continue;
        const own = { ...c, inputs: c.inputs.map((x) => (x?.type === "f32" ? as(x, type) : x)), outputs: [type] };
        const single = {
          ...own,
          inputs: own.inputs.map((x) => (x?.type === type ? as(x, "f32") : x)),
          outputs: ["f32"],
        };
        const [got, want] = [own, single].map((v) => byRule(v as Case)[0]) as [NdArray, NdArray];
        same(t, { ...c, absolute: 1e-9, relative: 1e-9 }, got, want, `case ${i}, ${type}`);
      }
  });
  test(`${op}: gradients, ${name}`, (t) => {
    for (const [i, c] of all.entries()) {
      const { graph, feed } = program(c);
      if (!graph.outputs.every((v) => isFloat(v.type.dtype) || v !== graph.outputs[0])) continue;
      const by = graph.inputs.filter((v) => wrt.includes(Number(v.name.slice(1))) && isFloat(v.type.dtype));
      const error = gradientError(graph, feed, by);
      t.true(error < 1e-6, `case ${i}: relative error ${error}`);
    }
  });
}
