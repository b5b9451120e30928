#!/usr/bin/env node
// moproc VERB: one file a verb. Whatever is wrong with what the user gave exits with 2 and one clear message.

import { Command, CommanderError } from "commander";
import { exampleText } from "./examples.js";
import { canonicalFlags } from "./flags.js";

/**
 * The verbs, in the order of the help. The file of a verb is loaded only where its command is needed: a run of one verb
 * needs one, because loading all of them takes longer than many a verb.
 */
const verbs: Readonly<Record<string, () => Promise<Command>>> = {
  compile: async () => (await import("./compile.js")).compileCommand(),
  train: async () => (await import("./train.js")).trainCommand(),
  clean: async () => (await import("./clean.js")).cleanCommand(),
  retrain: async () => (await import("./transfer.js")).retrainCommand(),
  finetune: async () => (await import("./transfer.js")).finetuneCommand(),
  lowshot: async () => (await import("./transfer.js")).lowshotCommand(),
  report: async () => (await import("./report.js")).reportCommand(),
  weights: async () => (await import("./weights.js")).weightsCommand(),
  export: async () =>
    process.argv.includes("--training")
      ? (await import("./export_training.js")).exportTrainingCommand()
      : (await import("./export.js")).exportCommand(),
  convert: async () => (await import("./convert.js")).convertCommand(),
  data: async () => (await import("./data.js")).dataCommand(),
  inspect: async () => (await import("./inspect.js")).inspectCommand(),
  doctor: async () => (await import("./doctor.js")).doctorCommand(),
};
const args = process.argv.slice(2);

const output = {
  outputError: (text: string, write: (s: string) => void): void => write(text.replace(/^error: /, "moproc: ")),
};
const program = new Command("moproc")
  .description("An ahead-of-time compiler for training: ResNet and MoPro, from TypeScript to native kernels.")
  .version("0.1.0")
  .exitOverride()
  .configureOutput(output);
const asked = Object.keys(verbs).filter((v) => v === args[0]);
for (const verb of asked.length > 0 ? asked : Object.keys(verbs)) {
  const command = await (verbs[verb] as () => Promise<Command>)();
  program.addCommand(command.exitOverride().configureOutput(output).addHelpText("after", exampleText(verb)));
}

try {
  await program.parseAsync(canonicalFlags(program, args), { from: "user" });
} catch (e) {
  if (e instanceof CommanderError) process.exitCode = e.exitCode === 0 ? 0 : 2;
  else {
    const message = e instanceof Error ? (process.env.MOPROC_DEBUG ? (e.stack ?? e.message) : e.message) : String(e);
    process.stderr.write(`moproc: ${message}\n`);
    process.exitCode = 2;
  }
}
