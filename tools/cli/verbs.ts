// The verbs of the command line, in the order in which help lists them and in which their examples run. The file of a
// verb is loaded only if it is needed, because loading all of them takes longer than most verbs run.

import type { Verb } from "./record.js";

const files: Readonly<Record<string, () => Promise<Verb>>> = {
  doctor: async () => (await import("./doctor.js")).doctor,
  data: async () => (await import("./data.js")).data,
  train: async () => (await import("./train.js")).train,
  report: async () => (await import("./report.js")).report,
  clean: async () => (await import("./clean.js")).clean,
  retrain: async () => (await import("./retrain.js")).retrain,
  finetune: async () => (await import("./finetune.js")).finetune,
  lowshot: async () => (await import("./lowshot.js")).lowshot,
  evaluate: async () => (await import("./evaluate.js")).evaluate,
  predict: async () => (await import("./predict.js")).predict,
  export: async () => (await import("./export.js")).exportVerb,
  convert: async () => (await import("./convert.js")).convert,
  compile: async () => (await import("./compile.js")).compileVerb,
  run: async () => (await import("./run.js")).runVerb,
  inspect: async () => (await import("./inspect.js")).inspect,
  cache: async () => (await import("./cache.js")).cache,
  weights: async () => (await import("./weights.js")).weights,
};

/** All verbs. */
export const allVerbs = (): Promise<readonly Verb[]> => Promise.all(Object.values(files).map((load) => load()));

/** The verb that a command line begins with, alone; all verbs if it begins with anything else. */
export async function verbsFor(typed: readonly string[]): Promise<readonly Verb[]> {
  const name = typed[0] ?? "";
  const load = Object.hasOwn(files, name) ? files[name] : undefined;
  return load ? [await load()] : allVerbs();
}
