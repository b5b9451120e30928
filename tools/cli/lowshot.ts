// moproc lowshot: measures how good the features of a trained network are.

import { binaryVerb } from "./binary_verb.js";
import { featureFlags } from "./foreign_flags.js";
import type { Given, Verb } from "./record.js";
import { trainedCheckpoint } from "./sample_run.js";
import { beginningOrModel, modelArgumentOf } from "./transfer.js";

const from = { flag: "--model-path", option: "modelPath" };

export const lowshot: Verb = binaryVerb({
  name: "lowshot",
  command: "lowshot",
  usage: "[MODEL.onnx] --model-path FILE --dataset voc --voc-path DIR [flags]",
  purpose: "Measures a trained network's features by linear SVMs on a few images per class.",
  more:
    "Datasets are PASCAL VOC 2007 and Places205, with 1 to 16 images per class; the result is the mean and the " +
    "deviation over five draws. A run that was stopped goes on. The checkpoint says which network it holds, so the " +
    "flags need not repeat it.",
  arguments: [modelArgumentOf(from, "whose features are measured")],
  flags: featureFlags,
  examples: [
    `moproc lowshot --model-path ${trainedCheckpoint} --dataset voc --voc-path voc -b 64`,
    `moproc lowshot --model-path ${trainedCheckpoint} --dataset places --places-path places --shots 1 2 ` +
      "--output places.json -b 64",
  ],
  check: async (given) => void (await measured(given)),
  added: async (given) => (given.args.length > 0 ? [from.flag, await measured(given)] : []),
  artefact: async (given) => (await import("./of_checkpoint.js")).artefactOf(await measured(given), "embed", given),
});

/** The checkpoint whose features are measured. Throws if none is named or the file does not exist. */
const measured = (given: Given): Promise<string> => beginningOrModel(given, from);
