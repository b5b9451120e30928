// moproc train: finds or builds the training binary for the flags that are compiled in, then runs it.

import { binaryVerb, type Fitting, type Preflight } from "./binary_verb.js";
import { type Extra, extras } from "./flags.js";
import { foreignFlags, modelArgument } from "./foreign_flags.js";
import { oneOf } from "./kinds.js";
import { learningFlags, optimizerArgs } from "./learning.js";
import { type Given, sections, type Verb } from "./record.js";
import { reportAfter, requireReport } from "./report.js";
import { sampleModel } from "./sample_run.js";

export const train: Verb = binaryVerb({
  name: "train",
  usage: "[MODEL.onnx] --data DIR --exp-dir DIR [flags]",
  purpose: "Trains a network by MoPro, or as a plain classifier, on images with noisy labels.",
  arguments: [
    {
      name: "[MODEL.onnx]",
      help: "The network, instead of -a: an ONNX model of any program, whose weights training begins with.",
    },
  ],
  more:
    "The training binary for the network and the device is taken from the cache, or built first. A run that was " +
    "stopped goes on with --resume auto.",
  flags: [
    {
      names: ["--task"],
      unit: "NAME",
      kind: oneOf(["mopro", "classifier"]),
      default: "mopro",
      section: sections.compiled,
      help: "What is trained: MoPro, or a classifier by plain cross-entropy. A run that goes on has its own task.",
    },
    ...foreignFlags,
    ...learningFlags,
  ],
  check: (given) => void modelArgument(given),
  examples: [
    `moproc train --data sample --exp-dir run ${sampleModel} --epochs 14 --start_clean_epoch 7 --cos --lr 0.06 ` +
      "--crop-min 0.5 --moco_m 0.99 --proto_m 0.95 --pseudo_th 0.5",
  ],
  artefact: fittingArtefact,
  targets({ options }) {
    if (!options.evaluate && options.expDir !== undefined) requireReport(String(options.expDir));
  },
  async after({ options }) {
    if (!options.evaluate) await reportAfter(options.expDir as string | undefined);
  },
});

/** The cached artefact of these flags, which is built first if there is none. */
async function fittingArtefact(given: Given, preflight: Preflight): Promise<Fitting> {
  const { options } = given;
  const { trainingFlags } = await import("./of_checkpoint.js");
  const { task, flags } = await trainingFlags(given, preflight, modelArgument(given));
  const { images } = preflight;
  if (images > 0 && images < flags.batchSize)
    throw new Error(
      `${options.data}: ${images} training images are fewer than a batch of ${flags.batchSize}; -b ${images} is the ` +
        "largest batch that they fill",
    );
  const key = (e: Extra): string => e.replace(/-(.)/g, (_, c: string) => c.toUpperCase());
  const wanted = extras.filter((e) => options[key(e)] !== undefined);
  const { modelArtefact } = await import("./model_artefact.js");
  return { ...(await modelArtefact(task, flags, wanted)), args: optimizerArgs(flags, given) };
}
