// Gets the training binary for a checkpoint's network: what the checkpoint says is the default of every flag about it.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Fitting, type Preflight, textOf } from "./binary_verb.js";
import { type Checkpoint, openCheckpoint } from "./checkpoint.js";
import { type Extra, type ModelFlags, modelFlags, saidClasses } from "./flags.js";
import { continued, optimizerArgs } from "./learning.js";
import { modelArtefact } from "./model_artefact.js";
import { fittingQueue } from "./recipe.js";
import type { Given } from "./record.js";

const note = (text: string): void => void process.stderr.write(`note: ${text}\n`);

/** Opens a checkpoint for flags that must agree with it. A new head may have any number of classes. */
async function openFor(resume: string, task: string, given: Given, newHead: boolean): Promise<Checkpoint> {
  const flags = modelFlags(given.options);
  const { said } = given;
  const classes = saidClasses(given.options);
  const known = {
    ...(said("network") && { network: flags.network }),
    ...(said("width") && { width: flags.width }),
    ...(classes !== undefined && !newHead && { numClass: classes }),
    ...(task === "mopro" && said("lowDim") && { lowDim: flags.lowDim }),
    ...(said("imageSize") && { imageSize: flags.imageSize }),
  };
  const checkpoint = await openCheckpoint(resume, known, "query");
  for (const text of checkpoint.notes) note(text);
  return checkpoint;
}

/** The flags with the checkpoint's network in place of the defaults. */
function withNetwork(flags: ModelFlags, { file, network }: Checkpoint, task: string): ModelFlags {
  return {
    ...flags,
    network: network.arch,
    ...(network.onnx && { foreign: network.onnx }),
    width: network.width,
    numClass: network.num_class ?? flags.numClass,
    lowDim: network.low_dim ?? flags.lowDim,
    imageSize: network.image_size,
    ...(task === "mopro" && file.tensors.has("queue") && { moco_queue: file.entry("queue").shape[1] as number }),
  };
}

/** Throws if a network of `classes` classes cannot use the data folder. */
export function requireClasses(classes: number, by: string, preflight: Preflight, data: unknown): void {
  if (preflight.all_classes && preflight.num_class > classes)
    throw new Error(`${data}: has ${preflight.num_class} classes, but ${by} ${classes}`);
}

/**
 * The artefact of `task` for the checkpoint's network, which is found or built. The model's flags on the command line
 * must agree with the checkpoint. Rejects if they do not, or if the task needs prototypes and the checkpoint has none.
 */
export async function artefactOf(resume: string, task: string, given: Given): Promise<Fitting> {
  const checkpoint = await openFor(resume, task, given, false);
  try {
    if (task === "mopro" && checkpoint.network.task !== "mopro")
      throw new Error(`${resume}: has no prototypes, so it is not a checkpoint of MoPro; judging labels needs them`);
    const of = withNetwork(modelFlags(given.options), checkpoint, task);
    return await modelArtefact(task, of);
  } finally {
    checkpoint.file.close();
  }
}

/**
 * The same for a network that is trained further. Its classifier has the classes that --num-class says or, without the
 * flag, `classes`; 0: the checkpoint's. If that is another number than the checkpoint's, the classifier begins anew. A
 * run of `verb` that goes on keeps its optimizer.
 */
export async function artefactWithHead(
  resume: string,
  task: string,
  given: Given,
  preflight: Preflight,
  classes: number,
  verb: string,
): Promise<Fitting> {
  const checkpoint = await openFor(resume, task, given, true);
  try {
    const of = withNetwork(modelFlags(given.options), checkpoint, task);
    const said = saidClasses(given.options);
    const numClass = said ?? (classes || checkpoint.network.num_class || preflight.num_class || of.numClass);
    const { num_class: has } = checkpoint.network;
    const isNew = has !== undefined && has !== numClass;
    const by = said === undefined ? `the classifier of ${resume} has` : "--num-class says";
    requireClasses(numClass, by, preflight, given.options.data);
    const keep = given.said("initClassifier") && given.options.initClassifier === "keep";
    const why = said === undefined ? `${given.options.data} has ${numClass}` : `--num-class says ${numClass}`;
    if (isNew && keep)
      throw new Error(`--init-classifier keep: ${resume} has ${has} classes, but ${why}; use --num-class ${has}`);
    if (isNew) {
      const other = said === undefined ? `; --num-class ${has} keeps the checkpoint's` : "";
      note(`${resume} has ${has} classes, ${why}: a new classifier of ${numClass} classes is trained${other}`);
    }
    const flags = { ...of, numClass, ...(await learningOfRun(given, verb)) };
    const none = has === undefined && checkpoint.network.onnx !== undefined; // of a classifier that is replaced
    const reset = (isNew || none) && !given.said("initClassifier");
    return {
      ...(await modelArtefact(task, flags, clips(given))),
      args: [...(reset ? ["--init-classifier", "reset"] : []), ...optimizerArgs(flags, given)],
    };
  } finally {
    checkpoint.file.close();
  }
}

const clips = (given: Given): readonly Extra[] => (given.options.clipNorm === undefined ? [] : ["clip-norm"]);

/** How the run of `verb` learns that --resume continues; nothing if it begins. */
async function learningOfRun(given: Given, verb: string): Promise<Partial<ModelFlags>> {
  const resume = given.options.resume as string | undefined;
  const auto = join(textOf(given, "expDir", "--exp-dir") ?? "", "last.safetensors");
  const path = resume === "auto" ? auto : resume;
  if (path === undefined || !existsSync(path)) return {};
  const { file } = await openCheckpoint(path, {}, "query");
  try {
    return file.metadata.get("verb") === verb ? continued(file.metadata, given) : {};
  } finally {
    file.close();
  }
}

/** The flags with the network of a .onnx file. Tells what is trained of it. */
async function withForeign(model: string, given: Given): Promise<ModelFlags> {
  for (const flag of ["network", "width"])
    if (given.said(flag))
      throw new Error(`${model}: is the network, so leave out ${flag === "width" ? "--width" : "-a"}`);
  const flags = modelFlags(given.options);
  const { foreignOfFlags, notesOf } = await import("./foreign_network.js");
  const foreign = foreignOfFlags(model, given.options, given.said("imageSize") ? flags.imageSize : undefined);
  for (const text of notesOf(foreign, model)) note(text);
  return { ...flags, foreign, imageSize: foreign.imageSize };
}

/** Throws if a classifier that the network keeps has not `classes` classes. */
function requireKeptClasses({ foreign }: ModelFlags, classes: number, by: string): void {
  const own = foreign?.network.facts.classes;
  if (own !== undefined && own !== classes)
    throw new Error(`--head keep: the network's classifier has ${own} classes, but ${by} ${classes}; --head replace`);
}

/** The task and the flags of a training run: of the one that it continues, if there is one, otherwise of the data. */
export async function trainingFlags(
  given: Given,
  preflight: Preflight,
  model?: string, // the file of a network that another program wrote
): Promise<{ readonly task: string; readonly flags: ModelFlags }> {
  const fresh = preflight.checkpoint === "";
  const flags = fresh && model !== undefined ? await withForeign(model, given) : modelFlags(given.options);
  const said = saidClasses(given.options);
  const { data } = given.options;
  if (fresh) {
    const numClass = said ?? (preflight.num_class || flags.numClass);
    requireKeptClasses(flags, numClass, said === undefined ? `${data} has` : "--num-class says");
    requireClasses(numClass, "--num-class says", preflight, data);
    if (said === undefined && preflight.num_class > 0)
      note(`${data} has ${numClass} classes (--num-class gives the network another number)`);
    const task = String(given.options.task);
    if (task !== "mopro" || given.options.recipe !== "auto" || preflight.images === 0 || given.said("moco_queue"))
      return { task, flags: { ...flags, numClass } };
    const moco_queue = fittingQueue(preflight.images, flags.batchSize);
    note(`--recipe auto: --moco_queue ${moco_queue}, for ${preflight.images} training images`);
    return { task, flags: { ...flags, numClass, moco_queue } };
  }
  const task = given.said("task") ? String(given.options.task) : undefined;
  const named = model === undefined ? undefined : (await withForeign(model, given)).foreign;
  const checkpoint = await openFor(preflight.checkpoint, task ?? "mopro", given, false);
  try {
    const of = task ?? checkpoint.network.task;
    const { onnx } = checkpoint.network;
    if (named && named.sha256 !== onnx?.sha256)
      throw new Error(`${model}: is another network than that of ${preflight.checkpoint}; leave it out, or start anew`);
    if (named && JSON.stringify(named.settings) !== JSON.stringify(onnx?.settings))
      throw new Error(
        `${model}: ${preflight.checkpoint} was trained with other flags for it: ${JSON.stringify(onnx?.settings)}`,
      );
    if (task !== undefined && task !== checkpoint.network.task && given.options.resume === "auto")
      throw new Error(
        `--task ${task}: ${preflight.checkpoint} is of a run of --task ${checkpoint.network.task}; ` +
          "give another --exp-dir",
      );
    const network = withNetwork(flags, checkpoint, of);
    requireClasses(network.numClass, `the network of ${preflight.checkpoint} has`, preflight, data);
    const written = (key: string): number => Number(checkpoint.file.metadata.get(key) ?? 0);
    return {
      task: of,
      flags: {
        ...network,
        ...continued(checkpoint.file.metadata, given),
        ...(given.said("moco_queue") && { moco_queue: flags.moco_queue }),
        ...(!given.said("batchSize") && written("global_batch") > 0 && { batchSize: written("global_batch") }),
        ...(!given.said("bnGroups") && written("groups") > 0 && { bnGroups: written("groups") }),
      },
    };
  } finally {
    checkpoint.file.close();
  }
}
