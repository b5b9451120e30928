// The op cases with images as CPU kernels in bf16, for each kind of CPU: near the reference, and with the same bits on
// AVX2, AVX-512 and AVX512-BF16, so that a run may move between machines. AMX adds in an order of its own.

import test from "ava";
import type { NdArray } from "../../compiler/ir/nd.js";
import type { Target, Value } from "../../compiler/ir/types.js";
import * as op from "../../compiler/ops/index.js";
import { amx, archs, hasAmx, missingArchs, offBy, readers } from "../support/bf16_cases.js";
import { opCases } from "../support/cases.js";
import { compiled, runCompiled, runReference } from "../support/compiled.js";
import { opCase } from "../support/op_cases.js";

const images = (c: (typeof opCases)[number]): boolean =>
  c.graph.nodes.some((n) => [...n.inputs, ...n.outputs].some((v) => v.type.shape.length === 4));
/** Products below the smallest normal number: the instruction takes them for 0, and so must all others. */
const tiny = opCase("tiny", { x: [2, 5, 6, 6], w: [7, 5, 3, 3] }, (b, v) => {
  const scaled = (x: Value): Value => op.scale(b, x, { factor: 2 ** -66 });
  return op.conv(b, scaled(v.x), scaled(v.w), { stride: 1, pad: 1 });
});
const cases = [...opCases.filter(images), ...readers, tiny];
const targets = [...archs, ...(hasAmx ? [amx] : [])].map(
  (arch): Target => ({ device: "cpu", arch, ranks: [1], precision: "bf16" }),
);
const artefacts = Promise.all(
  targets.map((target, i) =>
    compiled(
      `cases_bf16_${i}`,
      cases.map((c) => c.graph),
      target,
    ),
  ),
);

for (const c of cases)
  test.serial(`bf16: ${c.name}`, async (t) => {
    const got = await Promise.all((await artefacts).map((a) => runCompiled(a, c.graph, c.feed)));
    const reference = runReference(c.graph, c.feed).outputs;
    for (const [k, { arch }] of targets.entries()) {
      if (k > 0 && arch !== amx) {
        t.deepEqual(got[k], got[0], `${arch} computes the bits of ${archs[0]}`);
        continue;
      }
      for (const [i, want] of reference.entries()) {
        const off = offBy(got[k]?.outputs[i] as NdArray, want);
        t.true(c === tiny || off <= 6e-3, `${arch}: output ${i} is off by ${off} of its norm`);
      }
      if (c === tiny) t.true(got[k]?.outputs[0]?.data.every((y) => y === 0));
    }
  });
for (const arch of missingArchs) test.skip(`bf16 on ${arch}: this CPU does not have it`, () => {});
