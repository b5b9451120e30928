// The convolutions among the op cases in bf16, on both paths, from f32 inputs, which are rounded when they are loaded;
// and ops that read an activation as f32.

import test from "ava";
import type { Builder } from "../../compiler/ir/builder.js";
import type { NdArray } from "../../compiler/ir/nd.js";
import type { Value } from "../../compiler/ir/types.js";
import * as op from "../../compiler/ops/index.js";
import { opCases } from "../support/cases.js";
import { compiled, runCompiled, runReference } from "../support/compiled.js";
import { emulated, fitsTensorCores, hasCudaKernels, haveEmulator } from "../support/emulated.js";
import { type OpCase, opCase } from "../support/op_cases.js";

const run = haveEmulator ? test.serial : test.serial.skip; // the native tests are not built
/** An activation, the result of a convolution, and one reader of it whose kernel loads f32. */
const reader = (name: string, read: (b: Builder, y: Value, x: Value) => Value): OpCase =>
  opCase(`read_${name}`, { x: [2, 8, 4, 5], w: [8, 8, 1, 1] }, (b, v) => {
    const y = op.relu(b, op.conv(b, v.x, v.w, { stride: 1, pad: 0 }));
    return read(b, y, v.x);
  });
const first = (b: Builder, y: Value): Value => op.slice(b, y, { axis: 0, start: 0, end: 1 }); // a view
const readers = [
  reader("sum", (b, y) => op.sum(b, y, { axes: [2, 3] })),
  reader("max", (b, y) => op.max(b, y, { axes: [1] })),
  reader("all_finite", (b, y) => op.all_finite(b, [y])),
  reader("concat", (b, y, x) => op.concat(b, [y, x], { axis: 1 })),
  reader("view_sum", (b, y) => op.sum(b, first(b, y), { axes: [2, 3] })),
  reader("view_of_view_max", (b, y) => op.max(b, op.reshape(b, first(b, y), { shape: [1, 8, 20, 1] }), { axes: [1] })),
  reader("map", (b, y) => op.map(b, [y], { expr: "where(greater(x0,1),erf(x0),floor(x0))" })),
  opCase("read_pixel_softmax", { x: [4, 8, 1, 1], w: [8, 8, 1, 1] }, (b, v) => {
    const y = op.conv(b, v.x, v.w, { stride: 1, pad: 0 });
    return op.softmax(b, op.reshape(b, y, { shape: [4, 8] }));
  }),
];

const cases = [
  ...opCases.filter(
    (c) => hasCudaKernels(c.graph) && fitsTensorCores(c.graph) && c.graph.nodes.some((n) => n.op.startsWith("conv")),
  ),
  ...readers,
];

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
