// Verbs that hand over to a training binary: they know the flags that choose it, the binary checks all others, so there is one
// list of them.

import { spawnSync } from "node:child_process";
import type { Command } from "commander";
import { nativeTool, nativeToolFile } from "./data.js";
import { exampleText } from "./examples.js";
import { addModelFlags } from "./flags.js";

/** What the binary refuses has been said already; nothing is left but the exit code. */
export class Refused extends Error {}

/**
 * Has the flags for the binary looked at before it is compiled: they parse, and nothing that moproc did not make would be replaced.
 * Throws Refused when not; the reason is on stderr then.
 */
export function requireTargets(args: readonly string[]): void {
  const r = spawnSync(nativeToolFile("moproc-train-help"), ["targets", ...args], { stdio: ["ignore", "inherit", "inherit"] });
  if (r.error) throw r.error;
  if (r.status !== 0) throw new Refused("refused");
}

export type Options = Readonly<Record<string, unknown>>;

/** Adds the flags of every such verb to `c`. `act` gets the options and the arguments as they were given, unless help is asked for. */
export function binaryVerb(c: Command, act: (options: Options, argv: readonly string[]) => Promise<void>): Command {
  c.option("--artefact <dir>", "use this artefact instead of finding or building one")
    .option("--nproc-per-node <n>", "ranks to start on this node")
    .option("--world-size <nodes>", "nodes of the run")
    .option("--multiprocessing-distributed", "a rank for each GPU of this node")
    .allowUnknownOption()
    .allowExcessArguments()
    .helpOption(false)
    .option("-h, --help", "all flags, with units and defaults");
  addModelFlags(c);
  return c.action(async (options: Options) => {
    if (!options["help"]) {
      try {
        return await act(options, process.argv.slice(3));
      } catch (e) {
        if (!(e instanceof Refused)) throw e;
        process.exitCode = 2;
        return;
      }
    }
    process.stdout.write(`${c.helpInformation()}\nFlags of the training binary:\n\n`);
    process.exitCode = await nativeTool("moproc-train-help", [c.name()]);
    process.stdout.write(exampleText(c.name()));
  });
}
