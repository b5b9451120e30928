// moproc predict: the classes that a trained network sees on images.

import { existsSync } from "node:fs";
import { binaryVerb } from "./binary_verb.js";
import type { Given, Verb } from "./record.js";
import { trainedCheckpoint } from "./sample_run.js";

export const predict: Verb = binaryVerb({
  name: "predict",
  command: "predict",
  usage: "--resume FILE IMAGE... [flags]",
  purpose: "Shows the most probable classes of images, by a trained network.",
  more:
    "The names of the classes are those that the checkpoint holds. The checkpoint also says which network it is, so " +
    "the flags need not repeat it. A folder stands for all images in it and in its folders.",
  arguments: [{ name: "[IMAGE...]", help: "Image files, and folders with images." }],
  examples: [`moproc predict --resume ${trainedCheckpoint} sample/val_images_256 --top 1 --csv predictions.csv -b 64`],
  check: (given) => void checkpointOf(given),
  artefact: async (given) => (await import("./of_checkpoint.js")).artefactOf(checkpointOf(given), "predict", given),
});

/** The checkpoint of the network. Throws if none is named or the file does not exist. */
function checkpointOf({ options }: Given): string {
  const from = options.resume as string | undefined;
  if (from === undefined) throw new Error("--resume FILE is needed: the checkpoint of the trained network");
  if (!existsSync(from)) throw new Error(`${from}: no such file`);
  return from;
}
