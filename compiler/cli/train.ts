// moproc train: finds or builds the training binary for the flags that are compiled in, then hands over to it with all flags.

import { join } from "node:path";
import { Command } from "commander";
import { archs } from "../../models/resnet.js";
import { binaryVerb, type Options, requireTargets } from "./binary_verb.js";
import { spawnTool } from "./data.js";
import { modelFlags, presetOption, targetOf } from "./flags.js";
import { type Extra, extras, modelGraphs } from "./graphs.js";
import { cachedArtefact } from "./obtain.js";
import { reportAfter, requireReport } from "./report.js";

/** Flags with a value that this verb uses up; the binary does not know them. */
const ownFlags = new Set(["--target", "--precision", "--ranks", "--shuffle-bn", "--bucket-size", "--artefact", "--task", "--width", "--image-input"]);

export function trainCommand(): Command {
  const c = new Command("train")
    .description("MoPro on a WebVision folder. Flags below choose the binary; all others are the binary's own.")
    .option("--exp-dir <dir>", "where checkpoints, logs and report.html go")
    .option("--label-smoothing <share>", "--task classifier: of the uniform distribution in the labels")
    .option("--mixup <alpha>", "--task classifier: mixes images in pairs, with shares of Beta(alpha, alpha)")
    .option("--sample-weights <file>", "how much each training image counts, lines PATH WEIGHT")
    .option("--evaluate", "only evaluate the checkpoint of --resume")
    .addOption(presetOption())
    .option("--task <name>", "mopro, or classifier: plain cross-entropy", "mopro");
  return binaryVerb(c, async (options, argv) => {
    const args = passedOn(argv);
    requireTargets(args);
    if (!options["evaluate"] && options["expDir"] !== undefined) requireReport(String(options["expDir"]));
    const dir = (options["artefact"] as string | undefined) ?? (await fittingArtefact(options));
    process.exitCode = await spawnTool(join(dir, "train"), args);
    if (!options["evaluate"]) await reportAfter(options["expDir"] as string | undefined);
  });
}

/** The cached artefact of these flags, built first when there is none. */
async function fittingArtefact(options: Options): Promise<string> {
  const flags = modelFlags(options);
  const key = (e: Extra): string => e.replace(/-(.)/g, (_, c: string) => c.toUpperCase());
  const wanted = extras.filter((e) => options[key(e)] !== undefined);
  return (await cachedArtefact(modelGraphs(String(options["task"]), flags, wanted), targetOf(flags))).dir;
}

/** The arguments for the binary: without the flags that only this verb knows, `--network` and `--arch NETWORK` as -a. */
export function passedOn(argv: readonly string[]): string[] {
  const out: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const [name = "", inline] = (argv[i] as string).split("=", 2);
    const flag = name.startsWith("--") ? name.replaceAll("_", "-") : name;
    if (flag === "--keep-values") continue;
    const takesValue = ownFlags.has(flag) || flag === "--arch" || flag === "--network";
    if (!takesValue) {
      out.push(argv[i] as string);
      continue;
    }
    const value = inline ?? argv[++i] ?? "";
    if (flag === "--network" || (archs as readonly string[]).includes(value)) out.push("-a", value);
  }
  return out;
}
