// moproc retrain, finetune, lowshot: find or build the binary for the network that a checkpoint holds, then hand over to its verb.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { binaryVerb, type Options, requireTargets } from "./binary_verb.js";
import { spawnTool } from "./data.js";
import { artefactOf } from "./of_checkpoint.js";
import { reportAfter, requireReport } from "./report.js";
import { passedOn } from "./train.js";

export function retrainCommand(): Command {
  const c = new Command("retrain")
    .description(
      "Trains a classifier on cleaned labels (pseudo_label.json) on top of a trained network that stays as it is; rare classes " +
        "are shown more often. The network is the checkpoint's; flags below need not repeat it.",
    )
    .option("--resume <file>", "the checkpoint to begin with: MoPro's, also PyTorch's; or one of a retraining to go on with; auto")
    .option("--pretrained <file>", "with --resume auto: the checkpoint to begin with while there is none")
    .option("--finetune", "train all layers");
  return transfer(c, (o) => (o["finetune"] ? "classifier" : "retrain"), "--pretrained", "pretrained", "experiment/cRT");
}

export function finetuneCommand(): Command {
  const c = new Command("finetune")
    .description(
      "Trains all layers of a trained network on a small part of ImageNet, 1 % where nothing else is said. The network is the " +
        "checkpoint's; flags below need not repeat it.",
    )
    .option("--model-path <file>", "the checkpoint to begin with: MoPro's, also PyTorch's")
    .option("--resume <file>", "go on with a checkpoint of a fine-tuning; auto: the newest in --exp-dir, if there is one");
  return transfer(c, () => "classifier", "--model-path", "modelPath", "Finetune_1percent");
}

export function lowshotCommand(): Command {
  const c = new Command("lowshot")
    .description(
      "How good a trained network's features are: linear SVMs on 1 to 16 images a class of PASCAL VOC 2007 or Places205, mean and " +
        "deviation over five draws. The network is the checkpoint's; flags below need not repeat it.",
    )
    .option("--model-path <file>", "the checkpoint: of any training here, or a PyTorch .pth.tar or .pth");
  return binaryVerb(c, async (options, argv) => {
    const from = options["modelPath"] as string | undefined;
    if (from === undefined) throw new Error("--model-path FILE is needed: the checkpoint whose features are measured");
    if (!existsSync(from)) throw new Error(`${from}: no such file`);
    const args = ["lowshot", ...passedOn(argv)];
    requireTargets(args);
    const dir = (options["artefact"] as string | undefined) ?? (await artefactOf(from, "embed", c));
    process.exitCode = await spawnTool(join(dir, "train"), args);
  });
}

/**
 * `flag`, called `key` among the options: the checkpoint to begin with, where --resume names none. `exp`: the binary's default of
 * --exp-dir.
 */
function transfer(c: Command, task: (o: Options) => string, flag: string, key: string, exp: string): Command {
  c.option("--exp-dir <dir>", "where checkpoints, logs and report.html go", exp)
    .option("--evaluate", "only evaluate the checkpoint");
  return binaryVerb(c, async (options, argv) => {
    const resume = options["resume"] as string | undefined;
    const from = (options[key] as string | undefined) ?? (resume === "auto" ? undefined : resume);
    if (from === undefined) {
      const other = flag === "--model-path" || resume === "auto" ? flag : "--resume";
      throw new Error(`${resume === "auto" ? "--resume auto needs " : ""}${other} FILE${resume === "auto" ? "" : " is needed"}: the checkpoint to begin with`);
    }
    if (!existsSync(from)) throw new Error(`${from}: no such file`);
    const args = [c.name(), ...passedOn(argv)];
    requireTargets(args);
    if (!options["evaluate"]) requireReport(options["expDir"] as string);
    const dir = (options["artefact"] as string | undefined) ?? (await artefactOf(from, task(options), c));
    process.exitCode = await spawnTool(join(dir, "train"), args);
    if (!options["evaluate"]) await reportAfter(options["expDir"] as string);
  });
}
