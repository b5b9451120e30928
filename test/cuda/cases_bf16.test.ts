// The convolutions among the op cases in bf16, on both paths, from f32 inputs, which are rounded when they are loaded;
// and ops that read an activation as f32.

import test from "ava";
import type { NdArray } from "../../compiler/ir/nd.js";
import { lower } from "../../compiler/pipeline.js";
import { offBy, readers, windows } from "../support/bf16_cases.js";
import { opCases } from "../support/cases.js";
import { compiled, runCompiled, runReference } from "../support/compiled.js";
import { emulated, fitsTensorCores, hasCudaKernels, haveEmulator } from "../support/emulated.js";

const run = haveEmulator ? test.serial : test.serial.skip; // the native tests are not built
const cases = [
  ...opCases.filter(
    (c) => hasCudaKernels(c.graph) && fitsTensorCores(c.graph) && c.graph.nodes.some((n) => n.op.startsWith("conv")),
  ),
  ...readers.filter((c) => hasCudaKernels(c.graph)),
  ...windows,
];

test("TMA loads windows in the cases for it", (t) => {
  const target = { device: "cuda", arch: "emulator_sm_90a", ranks: [1], precision: "bf16" } as const;
  const without = windows.filter((c) => {
    const { programs } = lower([c.graph], { name: c.name, target }).plan;
    const maps = programs.flatMap((p) => p.steps.flatMap((s) => (s.do === "launch" ? s.maps : [])));
    return !maps.some((m) => m.window);
  });
  t.deepEqual(
    without.map((c) => c.name),
    [],
  );
});

for (const arch of ["emulator", "emulator_sm_90a"]) {
  const artefact = haveEmulator
    ? compiled(
        `cuda_conv_cases_${arch}`,
        cases.map((c) => c.graph),
        emulated("bf16", 1, arch),
      )
    : undefined;
  for (const c of cases)
    run(`CUDA, bf16, ${arch}: ${c.name}`, async (t) => {
      if (!artefact) return;
      const got = await runCompiled(await artefact, c.graph, c.feed);
      runReference(c.graph, c.feed).outputs.forEach((w, i) => {
        const off = offBy(got.outputs[i] as NdArray, w);
        t.true(off <= 6e-3, `output ${i} is off by ${off} of its norm`);
      });
    });
}
