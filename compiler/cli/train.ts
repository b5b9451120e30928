// moproc train: finds or builds the training binary for the flags that are compiled in, then hands over to it with all
// flags. The binary itself checks every other flag, so there is one list of them.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { planCpp } from "../emit/plan_cpp.js";
import { cacheDir } from "../emit/project.js";
import { buildArtefact } from "../emit/project.js";
import { lower } from "../pipeline.js";
import { digest } from "../util/digest.js";
import { nativeTool, spawnTool } from "./data.js";
import { addModelFlags, modelFlags, targetOf } from "./flags.js";
import { modelGraphs } from "./graphs.js";
import { progressLine } from "./progress.js";

/** Flags of this verb that the binary does not know. */
const ownFlags = new Set(["--target", "--arch", "--ranks", "--artefact", "--task"]);

export function trainCommand(): Command {
  const c = new Command("train")
    .description("MoPro on a WebVision folder. Flags below choose the binary; all others are the binary's own.")
    .option("--artefact <dir>", "use this artefact instead of finding or building one")
    .option("--task <name>", "mopro or classifier (plain cross-entropy)", "mopro")
    .allowUnknownOption()
    .allowExcessArguments()
    .helpOption(false)
    .option("-h, --help", "all flags, with units and defaults");
  addModelFlags(c);
  c.action(async (options: Record<string, unknown>) => {
    const argv = process.argv.slice(3);
    if (options["help"]) {
      process.stdout.write(`${c.helpInformation()}\nFlags of the training binary:\n\n`);
      process.exitCode = await nativeTool("moproc-train-help", []);
      return;
    }
    const dir = (options["artefact"] as string | undefined) ?? (await fittingArtefact(options));
    process.exitCode = await spawnTool(join(dir, "train"), passedOn(argv));
  });
  return c;
}

/** The cached artefact of these flags, built first when there is none. */
async function fittingArtefact(options: Record<string, unknown>): Promise<string> {
  const flags = modelFlags(options);
  const target = targetOf(flags);
  const { graphs, name, meta } = modelGraphs(String(options["task"]), flags);
  const artefact = lower(graphs, { name, target, meta });
  const dir = join(cacheDir(), "artefacts", `${name}-${digest(planCpp(artefact.plan), ...artefact.plan.kernels.map((k) => k.source)).slice(0, 16)}`);
  if (existsSync(join(dir, "train"))) return dir;
  const progress = progressLine("compiling kernels");
  const { seconds, compiled, objects } = await buildArtefact(dir, artefact, progress.update);
  progress.end();
  process.stderr.write(`compiled ${name}: ${compiled} of ${objects} objects, ${seconds.toFixed(0)} s\n`);
  return dir;
}

/** The arguments without the flags that only this verb knows, and with their values gone, too. */
function passedOn(argv: readonly string[]): string[] {
  const out: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const a = argv[i] as string;
    const flag = a.split("=")[0] as string;
    if (!ownFlags.has(flag)) out.push(a);
    else if (!a.includes("=")) i++;
  }
  return out;
}
