// moproc finetune: trains all layers of a checkpoint's network on a small part of ImageNet.

import { binaryVerb } from "./binary_verb.js";
import { checkpointOfModel, foreignFlags, modelArgument } from "./foreign_network.js";
import { learningFlags } from "./learning.js";
import { artefactWithHead } from "./of_checkpoint.js";
import type { Given, Verb } from "./record.js";
import { trainedCheckpoint } from "./sample_run.js";
import { beginning, reportOf, reportTarget } from "./transfer.js";

const from = { flag: "--model-path", option: "modelPath" };

const made = new WeakMap<Given, string>(); // a command's checkpoint of MODEL.onnx

/** The checkpoint to begin with: that of --model-path, or the weights of MODEL.onnx. */
function checkpointOf(given: Given): string {
  const known = made.get(given);
  if (known !== undefined) return known;
  const model = modelArgument(given);
  if (model === undefined) return beginning(given, from);
  if (given.said(from.option)) throw new Error(`${model}: is the network to begin with, so leave out ${from.flag}`);
  const checkpoint = checkpointOfModel(model, given);
  made.set(given, checkpoint);
  return checkpoint;
}

export const finetune: Verb = binaryVerb({
  name: "finetune",
  command: "finetune",
  usage: "[MODEL.onnx] --data DIR --model-path FILE [flags]",
  purpose: "Trains all layers of a trained network on a small part of ImageNet, 1 % unless told otherwise.",
  more:
    "DIR/train and DIR/val have a folder per class. The checkpoint says which network it holds, so the flags need " +
    "not repeat it.",
  arguments: [
    {
      name: "[MODEL.onnx]",
      help: "The network, instead of --model-path: an ONNX model of any program, whose weights training begins with.",
    },
  ],
  flags: [...foreignFlags, ...learningFlags],
  examples: [
    `moproc finetune --data imagenet --model-path ${trainedCheckpoint} --low-resource 0.1 --exp-dir tuned -b 16 ` +
      "--epochs 3",
  ],
  check: (given) => void checkpointOf(given),
  added: (given) => (given.args.length > 0 ? [from.flag, checkpointOf(given)] : []),
  artefact: (given, preflight) =>
    artefactWithHead(checkpointOf(given), "classifier", given, preflight, preflight.num_class, "finetune"),
  targets: reportTarget,
  after: reportOf,
});
