// moproc retrain: trains a classifier with cleaned labels on top of a checkpoint's network.

import { binaryVerb } from "./binary_verb.js";
import { featureFlags } from "./foreign_flags.js";
import { learningFlags } from "./learning.js";
import type { Verb } from "./record.js";
import { trainedCheckpoint } from "./sample_run.js";
import { beginningOrModel, modelArgumentOf, reportOf, reportTarget } from "./transfer.js";

const from = { flag: "--pretrained", option: "pretrained" };

export const retrain: Verb = binaryVerb({
  name: "retrain",
  command: "retrain",
  usage: "[MODEL.onnx] --data DIR --annotation FILE --resume FILE [flags]",
  purpose: "Trains a classifier on cleaned labels, on top of a trained network that stays as it is.",
  more:
    "Images of rare classes are shown more often. The checkpoint says which network it holds, so the flags need not " +
    "repeat it.",
  arguments: [modelArgumentOf({ ...from, flag: "--resume" }, "whose features a new classifier reads")],
  flags: [...featureFlags, ...learningFlags.filter((f) => !f.names.includes("--dropout"))],
  examples: [
    `moproc retrain --data sample --annotation pseudo_label.json --resume ${trainedCheckpoint} --exp-dir retrained ` +
      "-b 64 --epochs 5",
  ],
  check: async (given) => void (await beginningOrModel(given, from)),
  added: async (given) =>
    given.args.length > 0
      ? [given.options.resume === "auto" ? from.flag : "--resume", await beginningOrModel(given, from)]
      : [],
  artefact: async (given, preflight) =>
    (await import("./of_checkpoint.js")).artefactWithHead(
      await beginningOrModel(given, from),
      given.options.finetune ? "classifier" : "retrain",
      given,
      preflight,
      0,
      "retrain",
    ),
  targets: reportTarget,
  after: reportOf,
});
