// moproc retrain: finds or builds the binary for the checkpoint's network with a frozen trunk, then hands over to its verb
// `retrain`.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { nativeTool, spawnTool } from "./data.js";
import { addModelFlags } from "./flags.js";
import { artefactOf } from "./of_checkpoint.js";
import { passedOn } from "./train.js";

export function retrainCommand(): Command {
  const c = new Command("retrain")
    .description(
      "Trains a classifier on cleaned labels (pseudo_label.json) on top of a trained network that stays as it is; rare classes " +
        "are shown more often. The network is the checkpoint's; flags below need not repeat it.",
    )
    .option("--artefact <dir>", "use this artefact instead of finding or building one")
    .option("--resume <file>", "the checkpoint to begin with: MoPro's, also PyTorch's; or one of a retraining to go on with; auto")
    .option("--pretrained <file>", "with --resume auto: the checkpoint to begin with while there is none")
    .option("--finetune", "train all layers")
    .allowUnknownOption()
    .allowExcessArguments()
    .helpOption(false)
    .option("-h, --help", "all flags, with units and defaults");
  addModelFlags(c);
  c.action(async (options: Record<string, unknown>) => {
    if (options["help"]) {
      process.stdout.write(`${c.helpInformation()}\nFlags of the binary's verb retrain:\n\n`);
      process.exitCode = await nativeTool("moproc-train-help", ["retrain"]);
      return;
    }
    const resume = options["resume"] as string | undefined;
    const from = resume === "auto" ? (options["pretrained"] as string | undefined) : resume;
    if (from === undefined)
      throw new Error(resume === "auto" ? "--resume auto needs --pretrained FILE" : "--resume FILE is needed: the checkpoint to begin with");
    if (!existsSync(from)) throw new Error(`${from}: no such file`);
    const dir = (options["artefact"] as string | undefined) ?? (await artefactOf(from, options["finetune"] ? "classifier" : "retrain", c));
    process.exitCode = await spawnTool(join(dir, "train"), ["retrain", ...passedOn(process.argv.slice(3))]);
  });
  return c;
}
