// Every op case as CUDA kernels, emitted and run in the emulator through the runtime, against the op's reference; in
// f32, where a product consists of three tf32 products.

import test from "ava";
import type { NdArray } from "../../compiler/ir/nd.js";
import { compiledWithCanaries } from "../support/canaries.js";
import { opCases } from "../support/cases.js";
import { compiled, runCompiled, runReference } from "../support/compiled.js";
import { emulated, fitsTensorCores, hasCudaKernels, haveEmulator } from "../support/emulated.js";

const cases = opCases.filter((c) => hasCudaKernels(c.graph) && fitsTensorCores(c.graph));

const run = haveEmulator ? test.serial : test.serial.skip; // the native tests are not built
const artefact = haveEmulator
  ? compiled(
      "cuda_cases",
      cases.map((c) => c.graph),
      emulated("f32"),
    )
  : undefined;
const guarded = artefact?.then(() =>
  compiledWithCanaries(
    "cuda_cases_canaries",
    cases.map((c) => c.graph),
    emulated("f32"),
  ),
);

for (const c of cases) {
  run(`CUDA ${c.name}`, async (t) => {
    if (!artefact) return;
    const got = await runCompiled(await artefact, c.graph, c.feed);
    const want = runReference(c.graph, c.feed);
    want.outputs.forEach((w, i) => {
      const g = got.outputs[i] as NdArray;
      const largest = w.data.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-3);
      const worst = w.data.reduce((m, v, j) => Math.max(m, Math.abs(v - (g.data[j] as number))), 0);
      t.true(worst <= 1e-5 * largest, `output ${i} is off by ${worst}, largest ${largest}`);
    });
  });
  run(`CUDA canaries of ${c.name}`, async (t) => {
    const a = await guarded;
    if (!a) return;
    await runCompiled(a.artefact, c.graph, c.feed);
    t.deepEqual(a.broken(c.graph.name), []);
  });
}
