// What the verbs that begin with a trained checkpoint share: finding the checkpoint, and the report.

import { existsSync } from "node:fs";
import { textOf } from "./binary_verb.js";
import { modelArgument } from "./foreign_flags.js";
import type { Given } from "./record.js";
import { reportAfter, requireReport } from "./report.js";

/** The flag that names the checkpoint to begin with, and its option. Without the flag, --resume names it. */
export interface Beginning {
  readonly flag: string;
  readonly option: string;
}

/** The path of the checkpoint to begin with. Throws if none is named or the file does not exist. */
export function beginning({ options }: Given, { flag, option }: Beginning): string {
  const resume = options.resume as string | undefined;
  const from = (options[option] as string | undefined) ?? (resume === "auto" ? undefined : resume);
  if (from === undefined && resume === "auto")
    throw new Error(`--resume auto needs ${flag} FILE: the checkpoint to begin with`);
  if (from === undefined)
    throw new Error(`${flag === "--model-path" ? flag : "--resume"} FILE is needed: the checkpoint to begin with`);
  if (!existsSync(from)) throw new Error(`${from}: no such file`);
  return from;
}

const made = new WeakMap<Given, string>(); // a command's checkpoint of MODEL.onnx

/** The same, or the weights of MODEL.onnx as a checkpoint, if the command names such a file. */
export async function beginningOrModel(given: Given, from: Beginning): Promise<string> {
  const known = made.get(given);
  if (known !== undefined) return known;
  const model = modelArgument(given);
  if (model === undefined) return beginning(given, from);
  const { resume } = given.options;
  const begins = from.flag === "--pretrained" && resume !== undefined && resume !== "auto"; // by --resume
  const other = given.said(from.option) ? from.flag : begins ? "--resume" : undefined;
  if (other) throw new Error(`${model}: is the network to begin with, so leave out ${other}`);
  const checkpoint = (await import("./foreign_network.js")).checkpointOfModel(model, given);
  made.set(given, checkpoint);
  return checkpoint;
}

/** The argument of verbs for which beginningOrModel() is. */
export const modelArgumentOf = (
  { flag }: Beginning,
  what: string,
): { readonly name: string; readonly help: string } => ({
  name: "[MODEL.onnx]",
  help: `The network, instead of ${flag}: an ONNX model of any program, ${what}.`,
});

/** Throws if the run's page would replace a file that moproc did not write. */
export function reportTarget(given: Given): void {
  const exp = textOf(given, "expDir", "--exp-dir");
  if (!given.options.evaluate && exp !== undefined) requireReport(exp);
}

/** Makes the page of the run that has ended. */
export async function reportOf(given: Given): Promise<void> {
  if (!given.options.evaluate) await reportAfter(textOf(given, "expDir", "--exp-dir"));
}
