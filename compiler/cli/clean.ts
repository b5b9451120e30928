// moproc clean: finds or builds the binary for the network that the checkpoint holds, then hands over to its verb `clean`.

import { join } from "node:path";
import { Command } from "commander";
import { openCheckpoint } from "./checkpoint.js";
import { nativeTool, spawnTool } from "./data.js";
import { addModelFlags, modelFlags, type ModelFlags, targetOf } from "./flags.js";
import { modelGraphs } from "./graphs.js";
import { cachedArtefact } from "./obtain.js";
import { passedOn } from "./train.js";

export function cleanCommand(): Command {
  const c = new Command("clean")
    .description(
      "A trained MoPro checkpoint judges the label of every training image: writes pseudo_label.json, the list that retraining " +
        "takes, and a report with a line an image. The network is the checkpoint's; flags below need not repeat it.",
    )
    .option("--artefact <dir>", "use this artefact instead of finding or building one")
    .option("--resume <file>", "the checkpoint: .safetensors of a training run, or a PyTorch .pth.tar or .pth")
    .allowUnknownOption()
    .allowExcessArguments()
    .helpOption(false)
    .option("-h, --help", "all flags, with units and defaults");
  addModelFlags(c);
  c.action(async (options: Record<string, unknown>) => {
    const argv = process.argv.slice(3);
    if (options["help"]) {
      process.stdout.write(`${c.helpInformation()}\nFlags of the binary's verb clean:\n\n`);
      process.exitCode = await nativeTool("moproc-train-help", ["clean"]);
      return;
    }
    if (options["resume"] === undefined) throw new Error("--resume FILE is needed: the checkpoint that judges");
    const dir = (options["artefact"] as string | undefined) ?? (await artefactOf(String(options["resume"]), modelFlags(options), given(c)));
    process.exitCode = await spawnTool(join(dir, "train"), ["clean", ...passedOn(argv)]);
  });
  return c;
}

/** Which of the verb's flags stand on the command line. */
const given = (c: Command) => (name: string): boolean => c.getOptionValueSource(name) === "cli";

/** The artefact of the checkpoint's network; flags that were given must agree with it. */
async function artefactOf(resume: string, flags: ModelFlags, said: (name: string) => boolean): Promise<string> {
  const known = {
    ...((said("network") || (said("arch") && flags.arch === undefined)) && { network: flags.network }),
    ...(said("width") && { width: flags.width }),
    ...(said("numClass") && { numClass: flags.numClass }),
    ...(said("lowDim") && { lowDim: flags.lowDim }),
    ...(said("imageSize") && { imageSize: flags.imageSize }),
  };
  const { file, network, notes } = openCheckpoint(resume, known, "query");
  try {
    if (network.task !== "mopro") throw new Error(`${resume}: has no prototypes, which judge together with the classifier: it is no checkpoint of MoPro`);
    for (const note of notes) process.stderr.write(`note: ${note}\n`);
    const of: ModelFlags = {
      ...flags, network: network.arch, width: network.width, numClass: network.num_class ?? flags.numClass,
      lowDim: network.low_dim ?? flags.lowDim, imageSize: network.image_size, moco_queue: file.entry("queue").shape[1] as number,
    };
    return (await cachedArtefact(modelGraphs("mopro", of), targetOf(of))).dir;
  } finally {
    file.close();
  }
}
