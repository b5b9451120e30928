// Every op case as compiled code against the op's reference. All cases are programs of one artefact, so this also tests
// the fusion of what they expand to.

import test from "ava";
import type { NdArray } from "../../compiler/ir/nd.js";
import { compiledWithCanaries } from "../support/canaries.js";
import { opCases as cases } from "../support/cases.js";
import { compiled, nativeTarget, runCompiled, runReference } from "../support/compiled.js";

/** What one f32 rounding of operands of this size may change, with room for the length of the longest sum. */
function tolerance(x: NdArray): number {
  const largest = x.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  return 1e-5 * Math.max(largest, 1e-3);
}

const graphs = cases.map((c) => c.graph);
const artefact = compiled("cases", graphs);
const guarded = artefact.then(() => compiledWithCanaries("cases_canaries", graphs, nativeTarget));

for (const c of cases) {
  test.serial(`compiled ${c.name}`, async (t) => {
    const a = await artefact;
    const got = await runCompiled(a, c.graph, c.feed);
    const want = runReference(c.graph, c.feed);
    want.outputs.forEach((w, i) => {
      const g = got.outputs[i] as NdArray;
      t.deepEqual(g.shape, w.shape);
      const worst = w.data.reduce((m, v, j) => Math.max(m, Math.abs(v - (g.data[j] as number))), 0);
      t.true(worst <= tolerance(w), `output ${i} is off by ${worst}, allowed ${tolerance(w)}`);
    });
  });
  test.serial(`canaries of ${c.name}`, async (t) => {
    const a = await guarded;
    const got = await runCompiled(a.artefact, c.graph, c.feed);
    t.deepEqual(a.broken(c.graph.name), []);
    t.deepEqual(got, await runCompiled(await artefact, c.graph, c.feed), "the same bits wherever tensors lie");
  });
}
