// The convolutions among the op cases in bf16, on both paths, from f32 inputs, which are rounded when they are loaded.

import test from "ava";
import type { NdArray } from "../../compiler/ir/nd.js";
import { opCases } from "../support/cases.js";
import { compiled, runCompiled, runReference } from "../support/compiled.js";
import { emulated, fitsTensorCores, haveEmulator } from "../support/emulated.js";

const run = haveEmulator ? test.serial : test.serial.skip; // the native tests are not built
const cases = opCases.filter((c) => fitsTensorCores(c.graph) && c.graph.nodes.some((n) => n.op.startsWith("conv")));

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
        const g = got.outputs[i] as NdArray;
        const off = Math.hypot(...w.data.map((v, j) => v - (g.data[j] as number))) / Math.hypot(...w.data);
        t.true(off <= 6e-3, `output ${i} is off by ${off} of its norm`); // two operands and a result of 8 bits
      });
    });
}
