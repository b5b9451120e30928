// The canaries of the op cases notice a workspace that is too small by one row of partial sums, or by one value.

import test from "ava";
import type { Graph } from "../../compiler/ir/types.js";
import type { Plan } from "../../compiler/lower/plan.js";
import { compiledWithCanaries } from "../support/canaries.js";
import { opCases } from "../support/cases.js";
import { nativeTarget, runCompiled } from "../support/compiled.js";

/** The plan with so many bytes less for every workspace. */
const shortBy =
  (bytes: number) =>
  (plan: Plan): Plan => ({
    ...plan,
    programs: plan.programs.map((p) => ({
      ...p,
      steps: p.steps.map((s) =>
        s.do === "launch" && s.workspaceBytes > 0 ? { ...s, workspaceBytes: s.workspaceBytes - bytes } : s,
      ),
    })),
  });

const planted = [
  ["channel_sum", 64, "pointwise"],
  ["softmax_cross_entropy", 4, "softmax_cross_entropy"],
  ["conv_wgrad", 64, "conv_wgrad"],
] as const;

for (const [name, bytes, template] of planted) {
  test.serial(`${template} writes ${bytes} bytes behind a workspace that is so much too short`, async (t) => {
    const c = opCases.find((o) => o.name === name);
    if (!c) throw new Error(`no case ${name}`);
    const a = await compiledWithCanaries(`canaries_${name}`, [c.graph as Graph], nativeTarget, shortBy(bytes));
    await runCompiled(a.artefact, c.graph, c.feed);
    const broken = a.broken(c.graph.name);
    t.is(broken.length, 1);
    t.regex(
      broken[0] as string,
      new RegExp(`^behind the workspace of ${template}\\w*, step \\d+: byte 0 was written$`),
    );
  });
}
