// moproc compile: a network by name, or a user's own step.ts, to an artefact directory.

import { Command } from "commander";
import { addModelFlags, modelFlags, targetOf } from "./flags.js";
import { modelGraphs, printGraphs, userGraphs } from "./graphs.js";
import { artefactKey, obtain, type Obtained } from "./obtain.js";

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
    const source = step ? await userGraphs(step) : modelGraphs(String(options["task"]), flags);
    const stopAfter = options["stopAfter"] as string | undefined;
    if (stopAfter !== undefined) return printGraphs(source.graphs(), target, stopAfter);
    const dir = (options["out"] as string | undefined) ?? `out/${source.name}`;
    process.stdout.write(summary(await obtain(source, target, dir, await artefactKey(source, target))));
  });
  return c;
}

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

function summary({ dir, plan, built }: Obtained): string {
  const work = Math.max(...plan.programs.map((p) => p.workBytes));
  const lower = Math.max(...plan.programs.map((p) => p.liveBytesMax));
  const cached = built && (built.compiled === 0 ? "all from the cache" : `${built.compiled} compiled, ${built.objects - built.compiled} from the cache`);
  return [
    `${dir}: ${plan.programs.map((p) => `${p.name} ${p.steps.length}`).join(", ")} launches; ${plan.kernels.length} kernels for ${plan.target.arch}`,
    `  state ${mb(plan.arenas.state)}, gradients ${mb(plan.arenas.grad)}, work ${mb(work)} (lower bound ${mb(lower)}), io ${mb(plan.arenas.io)}`,
    built ? `  ${built.objects} objects, ${cached}, ${built.seconds.toFixed(1)} s` : "  unchanged: nothing to do",
    "",
  ].join("\n");
}
