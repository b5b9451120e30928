// Rules of operators in every element type, compiled, beside ONNX Runtime.

import test from "ava";
import { NdArray } from "../../compiler/ir/nd.js";
import type { DType, Graph, Value } from "../../compiler/ir/types.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import { dataTypes, type Tensor, tensorOf } from "../../compiler/onnx/model.js";
import { decodeModel, encodeModel, type Model } from "../../compiler/onnx/proto.js";
import { compiled, runCompiled, toValues } from "../support/compiled.js";
import { node } from "../support/foreign.js";
import { arrayOf } from "../support/onnx_cases.js";
import { OrtModel } from "../support/ort.js";
import { type OrtInput, type OrtRule, ortRules } from "../support/ort_rules.js";
import { uniform } from "../support/random.js";
import { close } from "../support/rule_tests.js";

const isWhole = (i: OrtInput): boolean => !/^f/.test(i.type);

/** Random elements; floating point ones are halves now and then, where rounding has to choose. */
function elementsOf(i: OrtInput | undefined, seed: number): NdArray {
  if (!i) return new NdArray([0], new Float64Array(0)); // not given
  if (i.values) return new NdArray(i.shape, Float64Array.from(i.values));
  const next = uniform(seed);
  const [low, high] = [i.low ?? -3, i.high ?? 3];
  return NdArray.fill(i.shape, () => {
    const v = low + (high - low) * next();
    return isWhole(i) ? Math.floor(v) : next() < 0.2 && low < 0 ? Math.round(2 * v) / 2 : Math.fround(v);
  });
}

function modelOf(r: OrtRule, xs: readonly NdArray[]): Model {
  const outputs = Array.from({ length: r.outputs ?? 1 }, (_, i) => `y${i}`);
  const initializers = r.inputs.flatMap((i, k): Tensor[] =>
    i?.constant
      ? [tensorOf(`x${k}`, i.type, i.shape, toValues({ dtype: i.type, shape: i.shape }, xs[k] as NdArray))]
      : [],
  );
  const graph: Model["graph"] = {
    name: "g",
    nodes: [
      node(
        r.op,
        r.inputs.map((input, i) => (input ? `x${i}` : "")),
        outputs,
        r.attrs,
      ),
    ],
    inputs: r.inputs.flatMap((i, k) => (!i || i.constant ? [] : [{ name: `x${k}`, type: i.type, shape: i.shape }])),
    outputs: outputs.map((name) => ({ name, type: resultType(r), shape: undefined })),
    values: [],
    initializers,
  };
  const empty = { functions: [], training: [], metadata: new Map(), producer: "", producerVersion: "", doc: "" };
  return decodeModel(encodeModel({ irVersion: 8, opsets: new Map([["", r.opset]]), graph, ...empty }));
}

function resultType({ op, inputs, attrs = {} }: OrtRule): DType {
  if (/^(Equal|Less|Greater|And|Or|Xor|Not|Is)/.test(op)) return "bool";
  if (op.startsWith("Arg")) return "i64";
  if (op === "Cast") return dataTypes[attrs.to as number] as DType;
  return (op === "CastLike" || op === "Where" ? inputs[1] : inputs[0])?.type as DType;
}

const cases = ortRules.map((r, i) => {
  const xs = r.inputs.map((input, k) => elementsOf(input, 7 * i + k));
  const model = modelOf(r, xs);
  const { graph, values } = importForeign(model);
  const state = graph.state.map((s) => ({ ...s, name: `c${i}.${s.name}` })); // programs share states by name
  const now = new Map<Value, Value>(graph.state.map((s, k) => [s, state[k] as Value]));
  const by = (v: Value): Value => now.get(v) ?? v;
  const g: Graph = {
    ...graph,
    name: `c${i}`,
    state,
    nodes: graph.nodes.map((n) => ({ ...n, inputs: n.inputs.map(by) })),
    outputs: graph.outputs.map(by),
  };
  const feed = new Map<Value, NdArray>([
    ...g.inputs.map((v) => [v, xs[Number(v.name.slice(1))] as NdArray] as const),
    ...graph.state.map((s) => [by(s), arrayOf(values.get(s.name) as Tensor)] as const),
  ]);
  return {
    r,
    model,
    g,
    feed,
    name: `${r.op} ${r.opset} of ${r.inputs.map((v) => (v ? `${v.type}[${v.shape}]` : "")).join(", ")}`,
  };
});
const artefact = compiled(
  "rules_ort",
  cases.map((c) => c.g),
);

for (const { r, model, g, feed, name } of cases)
  test.serial(`${name} ${JSON.stringify(r.attrs ?? {})} ${g.name}`, async (t) => {
    const got = await runCompiled(await artefact, g, feed);
    const session = await OrtModel.load(model);
    const want = await session.run(new Map(g.inputs.map((v) => [v.name, feed.get(v) as NdArray])));
    for (const [k, y] of got.outputs.entries()) close(t, y, want.get(`y${k}`) as NdArray, 1e-5, 1e-6);
  });
