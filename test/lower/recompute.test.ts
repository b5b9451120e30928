// --memory low: how much less memory a plan needs and what it costs; that all kernels of the plan without it remain,
// with a few repeated ones between them; and the bits of compiled steps.

import test from "ava";
import { load } from "node-cuda-rt";
import type { Graph, Precision, Target } from "../../compiler/ir/types.js";
import type { Launch, Plan } from "../../compiler/lower/plan.js";
import { lower } from "../../compiler/pipeline.js";
import { classifierPrograms } from "../../models/classifier.js";
import { type MoproConfig, moproPrograms } from "../../models/mopro.js";
import { jobOf } from "../../tools/bench/steps.js";
import { compiled, nativeTarget } from "../support/compiled.js";

const target = (memory: boolean, precision: Precision = "f32"): Target => ({
  ...{ device: "cpu", arch: "x86-64-v4", ranks: [1] },
  ...(precision === "bf16" && { precision }),
  ...(memory && { memory: "low" }),
});
const whole = { arch: "resnet50", width: 1, num_class: 1000, low_dim: 128, queue: 8192, image_size: 224 } as const;
const total = (p: Plan): number => Object.values(p.arenas).reduce((a, b) => a + b, 0);
const launches = (p: Plan, program: string): Launch[] =>
  (p.programs.find((x) => x.name === program)?.steps ?? []).filter((s) => s.do === "launch");
const sum = (ls: readonly Launch[], of: (l: Launch) => number): number => ls.reduce((s, l) => s + of(l), 0);
const plan = (graphs: readonly Graph[], t: Target): Plan => lower(graphs, { name: "memory", target: t }).plan;

for (const [task, batch, precision] of [
  ["classifier", 16, "f32"],
  ["classifier", 32, "f32"],
  ["mopro", 16, "f32"],
  ["mopro", 32, "f32"],
  ["mopro", 32, "bf16"],
] as const)
  test(`ResNet-50 at 224, ${task}, batch ${batch}, ${precision}: 35 % less memory, few repeated kernels`, (t) => {
    const make = task === "mopro" ? moproPrograms : classifierPrograms;
    const graphs = make({ ...whole, batch, groups: 1 });
    const [normal, low] = [plan(graphs, target(false, precision)), plan(graphs, target(true, precision))];
    const share = 1 - total(low) / total(normal);
    t.true(share >= 0.35, `${(100 * share).toFixed(1)} % less`);
    const step = task === "mopro" ? "clean" : "train";
    const { workBytes = 0, liveBytesMax = 0 } = low.programs.find((p) => p.name === step) ?? {};
    t.true(workBytes <= 1.03 * liveBytesMax, `${workBytes} bytes, lower bound ${liveBytesMax}`);
    const { explain } = lower(graphs, { name: "memory", target: target(true, precision) });
    const said = 1e6 * Number(/; peak about (\d+) MB/.exec(explain)?.[1]);
    t.true(liveBytesMax <= 1.02 * said, `explain.txt says ${said} bytes, the plan has ${liveBytesMax}`);
    const [before, after] = [launches(normal, step), launches(low, step)];
    const more = (of: (l: Launch) => number): number => sum(after, of) / sum(before, of) - 1;
    t.true(more((l) => l.flops) < 0.07, `${more((l) => l.flops)} of the FLOPs repeated`);
    t.true(more((l) => l.bytes) < 0.15, `${more((l) => l.bytes)} of the bytes moved again`);
    // Without the repeated launches, the step has the same kernels in the same order.
    const shown = (p: Plan, l: Launch): string => `${p.kernels[l.kernel]?.symbol} ${l.name} ${l.tasks}`;
    const seen = new Set<number>();
    const rest = after.filter((l) => {
      const made = l.args.filter((i) => !seen.has(i) && low.tensors[i]?.name.endsWith(".again"));
      for (const i of made) seen.add(i);
      return made.length === 0;
    });
    t.true(rest.length < after.length);
    t.deepEqual(
      rest.map((l) => shown(low, l)),
      before.map((l) => shown(normal, l)),
    );
  });

const small = { num_class: 1000, low_dim: 8, queue: 16, batch: 8, groups: 2 } as const;
const networks = [
  { ...small, arch: "resnet18", width: 1 / 4, image_size: 65 },
  { ...small, arch: "resnet50", width: 1 / 8, image_size: 49 },
  { ...small, arch: "vit_s_16", width: 1 / 4, image_size: 64 },
] as const satisfies readonly MoproConfig[];

for (const config of networks)
  for (const precision of ["f32", "bf16"] as const)
    test.serial(`steps of ${config.arch} in ${precision} have the same bits, with 1 and 2 threads`, async (t) => {
      const graphs = moproPrograms(config);
      const results = [];
      for (const memory of [false, true]) {
        const of: Target = { ...nativeTarget, ...target(memory, precision), arch: nativeTarget.arch };
        const name = `recompute_${config.arch}_${precision}_${memory}`;
        const { dir } = await compiled(name, graphs, of);
        for (const threads of [1, 2]) {
          const a = load(dir, { threads });
          a.initState(1);
          const { program, inputs } = jobOf(a);
          const outputs = [];
          for (let i = 0; i < 3; i++) outputs.push(await a.run(program, inputs));
          const state = a.state.map((s) => [
            s.name,
            Buffer.from(new Uint8Array(a.get(s.name).buffer)).toString("base64"),
          ]);
          results.push(JSON.stringify([outputs, state], (_, v) => (typeof v === "bigint" ? `${v}` : v)));
        }
      }
      const low = plan(graphs, { ...nativeTarget, ...target(true, precision) });
      t.true(low.tensors.some((x) => x.name.endsWith(".again")));
      t.true(total(low) < total(plan(graphs, { ...nativeTarget, ...target(false, precision) })));
      t.is(new Set(results).size, 1);
    });
