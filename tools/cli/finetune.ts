// moproc finetune: trains all layers of a checkpoint's network on a small part of ImageNet.

import { binaryVerb } from "./binary_verb.js";
import { artefactWithHead } from "./of_checkpoint.js";
import type { Verb } from "./record.js";
import { trainedCheckpoint } from "./sample_run.js";
import { beginning, reportOf, reportTarget } from "./transfer.js";

const from = { flag: "--model-path", option: "modelPath" };

export const finetune: Verb = binaryVerb({
  name: "finetune",
  command: "finetune",
  usage: "--data DIR --model-path FILE [flags]",
  purpose: "Trains all layers of a trained network on a small part of ImageNet, 1 % unless told otherwise.",
  more:
    "DIR/train and DIR/val have a folder per class. The checkpoint says which network it holds, so the flags need " +
    "not repeat it.",
  examples: [
    `moproc finetune --data imagenet --model-path ${trainedCheckpoint} --low-resource 0.1 --exp-dir tuned -b 16 ` +
      "--epochs 3",
  ],
  check: (given) => void beginning(given, from),
  artefact: (given, preflight) =>
    artefactWithHead(beginning(given, from), "classifier", given, preflight, preflight.num_class),
  targets: reportTarget,
  after: reportOf,
});
