// The cases of agree.ts as compiled programs of one artefact, beside the reference evaluator: with the shapes, element
// types and storage orders that the cases of single ops do not have.

import test from "ava";
import type { Values } from "node-cuda-rt";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, State, Value } from "../../compiler/ir/types.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import { elementsOf, type Tensor } from "../../compiler/onnx/model.js";
import { bf16, f16 } from "../../compiler/util/float.js";
import { agreed, byRule, type Case, modelOf, same } from "./agree.js";
import { compiled } from "./compiled.js";

/** The graph as a program of this name, whose states are named after it. */
function renamed(g: Graph, name: string): Graph {
  const states = new Map<Value, State>(g.state.map((s) => [s, { ...s, name: `${name}.${s.name}` }]));
  const now = (v: Value): Value => states.get(v) ?? v;
  return {
    ...{ ...g, name, state: [...states.values()] },
    nodes: g.nodes.map((n) => ({ ...n, inputs: n.inputs.map(now) })),
    outputs: g.outputs.map(now),
  };
}

const EPSILON = { f16: 2 ** -10, bf16: 2 ** -7, f64: 1e-12 } as const; // one rounding; of f32 a few, in sums

/** Tests that all cases before this call give the reference's results as compiled code. `name` is the artefact's. */
export function agreesCompiled(name: string): void {
  test.serial("all cases, compiled", async (t) => {
    t.timeout(600_000);
    const programs = agreed.map((c, i) => ({ c, name: `case${i}`, f: importForeign(modelOf(c)) }));
    const a = await compiled(
      name,
      programs.map((p) => renamed(p.f.graph, p.name)),
    );
    for (const p of programs) {
      for (const [state, tensor] of p.f.values) a.set(`${p.name}.${state}`, elementsOf(tensor) as Values);
      const tensor = (v: Value): Tensor => p.c.inputs[Number(v.name.slice(1))] as Tensor;
      const feed = p.f.graph.inputs.map((v) => [v.name, elementsOf(tensor(v)) as Values] as const);
      const out = await a.run(p.name, Object.fromEntries(feed));
      const names = a.programs.find((q) => q.name === p.name)?.outputs ?? [];
      for (const [k, want] of byRule(p.c).entries()) {
        const { dtype } = (p.f.graph.outputs[k] as Value).type;
        const decode = dtype === "f16" ? f16 : dtype === "bf16" ? bf16 : Number;
        const values = Array.from(out[names[k]?.name as string] as unknown as ArrayLike<number>, (v) =>
          decode(Number(v)),
        );
        const relative = EPSILON[dtype as "f16"] ?? 1e-5;
        const c: Case = { ...p.c, relative, absolute: relative };
        same(
          t,
          c,
          new NdArray(want.shape, Float64Array.from(values)),
          want,
          `${c.op} ${JSON.stringify(c.attrs)}, ${k}`,
        );
      }
    }
  });
}
