// Tests of the rules of operators against ONNX Runtime: the same model of one node in both, on random inputs.

import test from "ava";
import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import { elements, type Value } from "../../compiler/ir/types.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import type { ElementType, Model, Tensor } from "../../compiler/onnx/model.js";
import { numbersIn, tensorFrom } from "../../compiler/onnx/numbers.js";
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

/** The outputs of the imported model by the reference evaluator. */
export function imported(op: string, c: Case): NdArray[] {
  const f = importForeign(modelOf(op, c));
  const feed = new Map<Value, NdArray>();
  for (const s of f.graph.state) {
    const t = f.values.get(s.name) as Tensor;
    feed.set(s, new NdArray(t.dims, numbersIn(t)));
  }
  for (const v of f.graph.inputs) {
    const g = c.inputs[Number(v.name.slice(1))] as Given;
    feed.set(v, new NdArray(g.shape, Float64Array.from(g.values)));
  }
  const env = evaluate(f.graph, feed);
  return f.graph.outputs.map((v) => env.get(v) as NdArray);
}

/** A test that ONNX Runtime and the imported model compute the same from these nodes of an operator. */
export function sameAsOrt(op: string, name: string, cases: () => readonly Case[]): void {
  covers(op);
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
