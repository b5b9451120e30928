// Gets the training binary for a checkpoint's network.

import { openCheckpoint } from "./checkpoint.js";
import { type ModelFlags, modelFlags, targetOf } from "./flags.js";
import { modelGraphs } from "./graphs.js";
import { cachedArtefact } from "./obtain.js";
import type { Given } from "./record.js";

/**
 * The path of the artefact of `task` for the checkpoint's network, which is found or built. The model's flags on the
 * command line must agree with the checkpoint. Rejects if they do not, or if the task needs prototypes and the
 * checkpoint has none.
 */
export async function artefactOf(resume: string, task: string, given: Given): Promise<string> {
  const flags = modelFlags(given.options);
  const { said } = given;
  const known = {
    ...(said("network") && { network: flags.network }),
    ...(said("width") && { width: flags.width }),
    ...(said("numClass") && { numClass: flags.numClass }),
    ...(task === "mopro" && said("lowDim") && { lowDim: flags.lowDim }),
    ...(said("imageSize") && { imageSize: flags.imageSize }),
  };
  const { file, network, notes } = openCheckpoint(resume, known, "query");
  try {
    if (task === "mopro" && network.task !== "mopro")
      throw new Error(`${resume}: has no prototypes, so it is not a checkpoint of MoPro; judging labels needs them`);
    for (const note of notes) process.stderr.write(`note: ${note}\n`);
    const of: ModelFlags = {
      ...flags,
      network: network.arch,
      width: network.width,
      numClass: network.num_class ?? flags.numClass,
      lowDim: network.low_dim ?? flags.lowDim,
      imageSize: network.image_size,
      ...(task === "mopro" && { moco_queue: file.entry("queue").shape[1] as number }),
    };
    return (await cachedArtefact(modelGraphs(task, of), targetOf(of))).dir;
  } finally {
    file.close();
  }
}
