// Verbs that hand over to a training binary: they know the flags that choose it, the binary checks all others, so there
// is one list of them.

import type { Command } from "commander";
import { nativeTool } from "./data.js";
import { exampleText } from "./examples.js";
import { addModelFlags } from "./flags.js";

export type Options = Readonly<Record<string, unknown>>;

/**
 * Adds the flags of every such verb to `c`. `act` gets the options and the arguments as they were given, unless help is
 * asked for.
 */
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
    if (!options.help) return act(options, process.argv.slice(3));
    process.stdout.write(`${c.helpInformation()}\nFlags of the training binary:\n\n`);
    process.exitCode = await nativeTool("moproc-train-help", [c.name()]);
    process.stdout.write(exampleText(c.name()));
  });
}
