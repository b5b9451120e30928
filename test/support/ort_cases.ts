// Tests of the rules of operators against ONNX Runtime: the same model of one node in both, on random inputs.

import test from "ava";
import type { Values } from "node-cuda-rt";
import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import { elements, type Graph, type TensorType, type Value } from "../../compiler/ir/types.js";
import { type ForeignOptions, importForeign } from "../../compiler/onnx/foreign.js";
import { type ElementType, elementsOf, type Model, type Tensor } from "../../compiler/onnx/model.js";
import { decoder, numbersIn, tensorFrom } from "../../compiler/onnx/numbers.js";
import { compiled } from "./compiled.js";
import { type Attrs, node } from "./foreign.js";
import { OrtModel } from "./ort.js";
import { uniform } from "./random.js";
import { close, covers } from "./rule_tests.js";

/** An input: random numbers that are computed when the program runs, or a constant. */
export interface Given {
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly values: readonly number[];
  readonly constant: boolean;
}

/** One node to compare: its inputs (undefined: an optional one that is not given), attributes, types of its outputs. */
export interface Case {
  readonly opset: number;
  readonly inputs: readonly (Given | undefined)[];
  readonly attrs?: Attrs;
  readonly outputs?: readonly ElementType[]; // absent: that of the first input
  /** Errors that the element types and the operator explain; absent: those of `close`. */
  readonly relative?: number;
  readonly absolute?: number;
}

/** Random elements: whole numbers from -`size` to `size` for whole types, both values for bool. */
export function input(type: ElementType, shape: readonly number[], size = 9, seed = 1): Given {
  const next = uniform(seed + elements(shape) + type.length);
  const low = /^u|bool/.test(type) ? 0 : -size;
  const draw = (): number => {
    const x = low + next() * (size - low);
    return type === "bool" ? Number(x > size / 2) : /f\d/.test(type) ? Math.fround(x) : Math.round(x);
  };
  const drawn = tensorFrom(type, shape, Array.from({ length: elements(shape) }, draw)); // rounded to the type
  return { type, shape, values: Array.from(numbersIn(drawn)), constant: false };
}

/** An input that is a constant of the model. */
export const known = (
  values: readonly number[],
  shape: readonly number[] = [values.length],
  type: ElementType = "i64",
): Given => ({ type, shape, values, constant: true });

/** The same input, but computed when the program runs. */
export const open = (g: Given): Given => ({ ...g, constant: false });

const tensorOf = (g: Given, name: string): Tensor => ({ ...tensorFrom(g.type, g.shape, g.values), name });

function modelOf(op: string, c: Case): Model {
  const named = c.inputs.map((g, i) => ({ g, name: g ? `x${i}` : "" }));
  const types = c.outputs ?? [(c.inputs[0] as Given).type];
  const given = named.flatMap(({ g, name }) => (g ? [{ g, name }] : []));
  return {
    irVersion: 8,
    opsets: new Map([["", c.opset]]),
    producer: "test",
    producerVersion: "",
    doc: "",
    graph: {
      name: "g",
      nodes: [
        node(
          op,
          named.map(({ name }) => name),
          types.map((_, i) => `y${i}`),
          c.attrs ?? {},
        ),
      ],
      inputs: given.flatMap(({ g, name }) => (g.constant ? [] : [{ name, type: g.type, shape: g.shape }])),
      outputs: types.map((type, i) => ({ name: `y${i}`, type, shape: undefined })),
      values: [],
      initializers: given.flatMap(({ g, name }) => (g.constant ? [tensorOf(g, name)] : [])),
    },
    functions: [],
    training: [],
    metadata: new Map(),
  };
}

/** How many ops compute the outputs when the program runs: none if they are constants. */
export const opsOf = (op: string, c: Case): number => importForeign(modelOf(op, c)).graph.nodes.length;

/** The imported model, and the values of its inputs and states. */
function program(
  op: string,
  c: Case,
  options: ForeignOptions = {},
): { readonly graph: Graph; readonly feed: ReadonlyMap<Value, NdArray> } {
  const f = importForeign(modelOf(op, c), new Map(), options);
  const feed = new Map<Value, NdArray>();
  for (const s of f.graph.state) {
    const t = f.values.get(s.name) as Tensor;
    feed.set(s, new NdArray(t.dims, numbersIn(t)));
  }
  for (const v of f.graph.inputs) {
    const g = c.inputs[Number(v.name.slice(1))] as Given;
    feed.set(v, new NdArray(g.shape, Float64Array.from(g.values)));
  }
  return { graph: f.graph, feed };
}

/** The outputs of the imported model by the reference evaluator. */
export function imported(op: string, c: Case): NdArray[] {
  const { graph, feed } = program(op, c);
  const env = evaluate(graph, feed);
  return graph.outputs.map((v) => env.get(v) as NdArray);
}

const all: { readonly op: string; readonly cases: () => readonly Case[] }[] = [];

/** Cases of element types that ONNX Runtime does not compute: compiledAlike compares them alone. */
export function alsoCompiled(op: string, cases: () => readonly Case[]): void {
  all.push({ op, cases });
}

/** The rounding of a result, relative and absolute, by its type. */
const rounding: Readonly<Partial<Record<ElementType, readonly [number, number]>>> = {
  f16: [1e-3, 1e-3],
  bf16: [8e-3, 8e-3],
};

/**
 * A test that the compiled programs of all cases of this file compute what the reference evaluator does: floating point
 * to within rounding in their type.
 */
export function compiledAlike(name: string): void {
  test("compiled programs of all cases compute the same", async (t) => {
    const cases = all.flatMap(({ op, cases: list }) => list().map((c) => ({ op, c })));
    const programs = cases.flatMap(({ op, c }, i) => {
      const own = program(op, c, { program: `p${i}`, statePrefix: `p${i}.` });
      return own.graph.nodes.length > 0 ? [{ op, c, ...own }] : [];
    });
    const artefact = await compiled(
      name,
      programs.map((p) => p.graph),
    );
    for (const { op, c, graph, feed } of programs) {
      for (const s of graph.state) artefact.set(s.name, stored(s.type, feed.get(s) as NdArray));
      const inputs = graph.inputs.map((v) => [v.name, stored(v.type, feed.get(v) as NdArray)]);
      const out = await artefact.run(graph.name, Object.fromEntries(inputs));
      const names = artefact.programs.find((p) => p.name === graph.name)?.outputs.map((o) => o.name) ?? [];
      const want = evaluate(graph, feed);
      try {
        for (const [i, v] of graph.outputs.entries()) {
          const raw = out[names[i] as string] as Values;
          const decode = decoder(v.type.dtype);
          const got = new NdArray(v.type.shape, Float64Array.from(raw as ArrayLike<number>, decode));
          close(t, got, want.get(v) as NdArray, ...(rounding[v.type.dtype] ?? [1e-5, 3e-5]));
        }
      } finally {
        if (!t.passed) t.log(`${op} of operator set ${c.opset}, ${JSON.stringify(c.attrs ?? {})}, ${graph.name}`);
      }
    }
  });
}

const stored = (type: TensorType, x: NdArray): Values => elementsOf(tensorFrom(type.dtype, x.shape, x.data)) as Values;

/** A test that ONNX Runtime and the imported model compute the same from these nodes of an operator. */
export function sameAsOrt(op: string, name: string, cases: () => readonly Case[]): void {
  covers(op);
  all.push({ op, cases });
  test(`${op}: ${name}`, async (t) => {
    for (const c of cases()) {
      const feed = new Map<string, NdArray>();
      c.inputs.forEach((g, i) => {
        if (g && !g.constant) feed.set(`x${i}`, new NdArray(g.shape, Float64Array.from(g.values)));
      });
      const want = await (await OrtModel.load(modelOf(op, c))).run(feed);
      try {
        const got = imported(op, c);
        t.is(got.length, want.size);
        for (const [i, y] of got.entries()) close(t, y, want.get(`y${i}`) as NdArray, c.relative, c.absolute);
      } finally {
        if (!t.passed) t.log(`operator set ${c.opset}, ${JSON.stringify(c.attrs ?? {})}`);
      }
    }
  });
}
