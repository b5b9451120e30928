#!/usr/bin/env node
// moproc VERB. An error in the user's input ends with exit code 2 and one message that begins with the verb; so does a
// tool that is missing or fails, or a full disk, with exit code 1.

import { constants } from "node:os";
import { Command, CommanderError } from "commander";
import { Stopped, ToolFailure, underNohup } from "../../compiler/util/run.js";
import { version } from "../../compiler/util/version.js";
import { addVerb, choose, output } from "./command.js";
import { helpPage } from "./help.js";
import { Refused } from "./native.js";
import type { Verb } from "./record.js";
import { canonical, settleArch } from "./spelling.js";
import { verbsFor } from "./verbs.js";

// The reader of the output may close it (`moproc train --help | head -3`); this is not an error.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (e: NodeJS.ErrnoException) => {
    if (e.code === "EPIPE") process.exit(process.exitCode ?? 128 + constants.signals.SIGPIPE); // a run has its own
    if (process.exitCode) process.exit(process.exitCode); // its program has said so
    if (stream === process.stdout) process.stderr.write(`moproc: standard output: ${e.message}\n`);
    process.exit(1);
  });

if (underNohup) process.on("SIGHUP", () => {});

const diskIsFull = (e: unknown): boolean =>
  ["ENOSPC", "EDQUOT", "EFBIG"].includes((e as NodeJS.ErrnoException | undefined)?.code ?? "");

function fail(path: string, e: unknown): void {
  const message = e instanceof Error ? (process.env.MOPROC_DEBUG ? (e.stack ?? e.message) : e.message) : String(e);
  process.stderr.write(`${path}: ${message}\n`);
  process.exitCode = e instanceof ToolFailure || diskIsFull(e) ? 1 : 2;
}

const typed = process.argv.slice(2);
const verbs = await verbsFor(typed);

const everything: Verb = {
  name: "moproc",
  usage: "VERB [flags]",
  purpose:
    "An ahead-of-time compiler for training: ResNets, vision transformers and MoPro, from TypeScript to kernels.",
  more: "`moproc VERB --help` shows the flags of a verb; `moproc --version` the version.",
  verbs,
};

let path = "moproc";
try {
  const called = choose(verbs, typed);
  if (called) path = `moproc ${called.path}`;
  const settled = settleArch(called?.argv ?? [], called?.flags ?? [], (text) =>
    process.stderr.write(`note: ${text}\n`),
  );
  const chosen = called && { ...called, argv: settled };
  const program = new Command("moproc")
    .version(version())
    .configureHelp({ formatHelp: () => helpPage("moproc", everything, []) })
    .exitOverride()
    .configureOutput(output("moproc"));
  for (const v of verbs) addVerb(program, v, chosen);
  const verb = typed.slice(0, typed.length - (called?.argv.length ?? typed.length));
  const args = chosen && !chosen.verb.native ? canonical(chosen.argv, chosen.flags) : typed.slice(verb.length);
  await program.parseAsync([...verb, ...args], { from: "user" });
} catch (e) {
  if (e instanceof Refused) process.exitCode = 2;
  else if (e instanceof Stopped) process.exitCode = 128 + constants.signals[e.signal];
  else if (e instanceof CommanderError) process.exitCode = e.exitCode === 0 ? 0 : 2;
  else fail(path, e);
}
