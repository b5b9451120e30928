#!/usr/bin/env node
// moproc VERB: one file a verb. Whatever is wrong with what the user gave exits with 2 and one clear message.

import { Command, CommanderError } from "commander";
import { cleanCommand } from "./clean.js";
import { compileCommand } from "./compile.js";
import { convertCommand } from "./convert.js";
import { dataCommand } from "./data.js";
import { doctorCommand } from "./doctor.js";
import { exampleText } from "./examples.js";
import { exportCommand } from "./export.js";
import { exportTrainingCommand } from "./export_training.js";
import { canonicalFlags } from "./flags.js";
import { inspectCommand } from "./inspect.js";
import { reportCommand } from "./report.js";
import { trainCommand } from "./train.js";
import { finetuneCommand, lowshotCommand, retrainCommand } from "./transfer.js";
import { weightsCommand } from "./weights.js";

const output = {
  outputError: (text: string, write: (s: string) => void): void => write(text.replace(/^error: /, "moproc: ")),
};
const program = new Command("moproc")
  .description("An ahead-of-time compiler for training: ResNet and MoPro, from TypeScript to native kernels.")
  .version("0.1.0")
  .exitOverride()
  .configureOutput(output);
const exporting = process.argv.includes("--training") ? exportTrainingCommand() : exportCommand();
for (const c of [
  compileCommand(),
  trainCommand(),
  cleanCommand(),
  retrainCommand(),
  finetuneCommand(),
  lowshotCommand(),
  reportCommand(),
  weightsCommand(),
  exporting,
  convertCommand(),
  dataCommand(),
  inspectCommand(),
  doctorCommand(),
]) {
  program.addCommand(c.exitOverride().configureOutput(output).addHelpText("after", exampleText(c.name())));
}

try {
  await program.parseAsync(canonicalFlags(program, process.argv.slice(2)), { from: "user" });
} catch (e) {
  if (e instanceof CommanderError) process.exitCode = e.exitCode === 0 ? 0 : 2;
  else {
    const message = e instanceof Error ? (process.env.MOPROC_DEBUG ? (e.stack ?? e.message) : e.message) : String(e);
    process.stderr.write(`moproc: ${message}\n`);
    process.exitCode = 2;
  }
}
