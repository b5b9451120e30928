// moproc finetune: trains all layers of a checkpoint's network on a small part of ImageNet.

import { binaryVerb } from "./binary_verb.js";
import { foreignFlags } from "./foreign_flags.js";
import { learningFlags } from "./learning.js";
import type { Given, Verb } from "./record.js";
import { trainedCheckpoint } from "./sample_run.js";
import { beginningOrModel, modelArgumentOf, reportOf, reportTarget } from "./transfer.js";

const from = { flag: "--model-path", option: "modelPath" };

const checkpointOf = (given: Given): Promise<string> => beginningOrModel(given, from);

export const finetune: Verb = binaryVerb({
  name: "finetune",
  command: "finetune",
  usage: "[MODEL.onnx] --data DIR --model-path FILE [flags]",
  purpose: "Trains all layers of a trained network on a small part of ImageNet, 1 % unless told otherwise.",
  more:
    "DIR/train and DIR/val have a folder per class. The checkpoint says which network it holds, so the flags need " +
    "not repeat it.",
  arguments: [modelArgumentOf(from, "whose weights training begins with")],
  flags: [...foreignFlags, ...learningFlags],
  examples: [
    `moproc finetune --data imagenet --model-path ${trainedCheckpoint} --low-resource 0.1 --exp-dir tuned -b 16 ` +
      "--epochs 3",
  ],
  check: async (given) => void (await checkpointOf(given)),
  added: async (given) => (given.args.length > 0 ? [from.flag, await checkpointOf(given)] : []),
  artefact: async (given, preflight) =>
    (await import("./of_checkpoint.js")).artefactWithHead(
      await checkpointOf(given),
      "classifier",
      given,
      preflight,
      preflight.num_class,
      "finetune",
    ),
  targets: reportTarget,
  after: reportOf,
});
