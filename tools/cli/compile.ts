// moproc compile: a network by name, a user's own step.ts, or programs that were exported as ONNX, to an artefact
// directory.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { addModelFlags, modelFlags, targetOf } from "./flags.js";
import { type Extra, extras, INIT, modelGraphs, printGraphs, type Source, userGraphs } from "./graphs.js";
import { artefactKey, type Obtained, obtain } from "./obtain.js";

export function compileCommand(): Command {
  const c = new Command("compile")
    .description(
      "Builds an artefact directory: a training binary, program.so for the Node addon, plan and kernels to read.",
    )
    .argument(
      "[STEP...]",
      "instead of -a: step.ts, a module of your own that exports programs(): Graph[]; or the files that export --training wrote, which share their state",
    )
    .option("-o, --out <dir>", "artefact directory, replaced when it exists (default: out/NAME)")
    .option("--task <name>", "mopro, classifier (plain cross-entropy), or retrain (its last layer alone)", "mopro")
    .option(
      "--with <list>",
      `--task classifier: what its steps take besides images and labels, of ${extras.join(", ")}`,
    )
    .option("--stop-after <pass>", "stop after this pass and print the graphs instead of building");
  addModelFlags(c);
  c.action(async (steps: readonly string[], options: Record<string, unknown>) => {
    const flags = modelFlags(options);
    const target = targetOf(flags);
    const source =
      steps.length > 0 ? await filesSource(steps) : modelGraphs(String(options.task), flags, extrasOf(options.with));
    const stopAfter = options.stopAfter as string | undefined;
    if (stopAfter !== undefined) return printGraphs(source.graphs(), target, stopAfter);
    const dir = (options.out as string | undefined) ?? `out/${source.name}`;
    process.stdout.write(summary(await obtain(source, target, dir, await artefactKey(source, target))));
  });
  return c;
}

function extrasOf(list: unknown): readonly Extra[] {
  const names = typeof list === "string" ? list.split(",") : [];
  const unknown = names.find((n) => !(extras as readonly string[]).includes(n));
  if (unknown !== undefined) throw new Error(`--with ${unknown}: known are ${extras.join(", ")}`);
  return names as Extra[];
}

async function filesSource(steps: readonly string[]): Promise<Source> {
  if (steps.every((f) => f.endsWith(".onnx"))) return (await import("./onnx_source.js")).onnxSource(steps);
  const [file, other] = steps as [string, ...string[]];
  if (other !== undefined) throw new Error(`${other}: several files can only be programs exported as .onnx`);
  return userGraphs(file);
}

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

function summary({ dir, plan, built }: Obtained): string {
  const work = Math.max(...plan.programs.map((p) => p.workBytes));
  const lower = Math.max(...plan.programs.map((p) => p.liveBytesMax));
  const cached =
    built &&
    (built.compiled === 0
      ? "all from the cache"
      : `${built.compiled} compiled, ${built.objects - built.compiled} from the cache`);
  return [
    `${dir}: ${plan.programs.map((p) => `${p.name} ${p.steps.length}`).join(", ")} launches; ${plan.kernels.length} kernels for ${plan.target.arch}`,
    `  state ${mb(plan.arenas.state)}, gradients ${mb(plan.arenas.grad)}, work ${mb(work)} (lower bound ${mb(lower)}), io ${mb(plan.arenas.io)}`,
    ...(existsSync(join(dir, INIT)) ? [`  state of the files: ${join(dir, INIT)}; train --resume starts from it`] : []),
    built ? `  ${built.objects} objects, ${cached}, ${built.seconds.toFixed(1)} s` : "  unchanged: nothing to do",
    "",
  ].join("\n");
}
