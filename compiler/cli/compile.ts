// moproc compile: a network by name, or a user's own step.ts, to an artefact directory.

import { Command } from "commander";
import type { Plan } from "../lower/plan.js";
import { compile } from "../pipeline.js";
import { addModelFlags, modelFlags, targetOf } from "./flags.js";
import { modelGraphs, printGraphs, userGraphs } from "./graphs.js";
import { progressLine } from "./progress.js";

export function compileCommand(): Command {
  const c = new Command("compile")
    .description("Builds an artefact directory: a training binary, program.so for the Node addon, plan and kernels to read.")
    .argument("[STEP.ts]", "a training graph of your own: a module that exports programs(): Graph[]; instead of -a")
    .option("-o, --out <dir>", "artefact directory, replaced when it exists (default: out/NAME)")
    .option("--task <name>", "mopro or classifier (plain cross-entropy)", "mopro")
    .option("--stop-after <pass>", "stop after this pass and print the graphs instead of building");
  addModelFlags(c);
  c.action(async (step: string | undefined, options: Record<string, unknown>) => {
    const flags = modelFlags(options);
    const target = targetOf(flags);
    const { graphs, name, meta } = step ? await userGraphs(step) : modelGraphs(String(options["task"]), flags);
    const stopAfter = options["stopAfter"] as string | undefined;
    if (stopAfter !== undefined) return printGraphs(graphs, target, stopAfter);
    const dir = (options["out"] as string | undefined) ?? `out/${name}`;
    const progress = progressLine("compiling kernels");
    const result = await compile(graphs, dir, { name, target, meta }, progress.update);
    progress.end();
    process.stdout.write(summary(result.plan, result));
  });
  return c;
}

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

function summary(plan: Plan, r: { dir: string; objects: number; compiled: number; seconds: number }): string {
  const work = Math.max(...plan.programs.map((p) => p.workBytes));
  const lower = Math.max(...plan.programs.map((p) => p.liveBytesMax));
  const cached = r.compiled === 0 ? "all from the cache" : `${r.compiled} compiled, ${r.objects - r.compiled} from the cache`;
  return [
    `${r.dir}: ${plan.programs.map((p) => `${p.name} ${p.steps.length}`).join(", ")} launches; ${plan.kernels.length} kernels for ${plan.target.arch}`,
    `  state ${mb(plan.arenas.state)}, gradients ${mb(plan.arenas.grad)}, work ${mb(work)} (lower bound ${mb(lower)}), io ${mb(plan.arenas.io)}`,
    `  ${r.objects} objects, ${cached}, ${r.seconds.toFixed(1)} s`,
    "",
  ].join("\n");
}
