// moproc evaluate: how many images of a data folder a trained network gets right.

import { existsSync } from "node:fs";
import { binaryVerb } from "./binary_verb.js";
import type { Given, Verb } from "./record.js";
import { trainedCheckpoint } from "./sample_run.js";

export const evaluate: Verb = binaryVerb({
  name: "evaluate",
  command: "evaluate",
  usage: "--resume FILE --data DIR [flags]",
  purpose: "Counts how many images of a data folder a trained network gets right, in all and per class.",
  more:
    "Classes are compared by name. The checkpoint says which network it holds, so the flags need not repeat it. If " +
    "the folder has no validation images, the images that the checkpoint's run held out of it are evaluated, or " +
    "else all images.",
  examples: [`moproc evaluate --resume ${trainedCheckpoint} --data sample --csv classes.csv -b 64`],
  check({ options }: Given) {
    const from = options.resume as string | undefined;
    if (from === undefined) throw new Error("--resume FILE is needed: the checkpoint of the trained network");
    if (!existsSync(from)) throw new Error(`${from}: no such file`);
    if (options.data === undefined) throw new Error("--data DIR is needed: the folder of the images");
  },
  artefact: async (given) =>
    (await import("./of_checkpoint.js")).artefactOf(String(given.options.resume), "evaluate", given),
});
