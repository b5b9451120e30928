// Runs the programs of the native part with this process's terminal.

import { spawn } from "node:child_process";
import { constants } from "node:os";
import { basename } from "node:path";
import { nativeFile } from "../../compiler/emit/native.js";
import { underNohup } from "../../compiler/util/run.js";

/** A program has refused the command line and printed the reason, so only the exit code must be set. */
export class Refused extends Error {}

/** The usual reason for a signal that nobody sent by hand. */
const signalHint = (signal: NodeJS.Signals): string =>
  signal === "SIGKILL" ? ", as the system does when memory runs out (see dmesg)" : "";

/** A word as a shell reads it. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** Runs a program of the native part with this terminal and returns its exit code. */
export const nativeTool = (name: string, args: readonly string[]): Promise<number> => spawnTool(nativeFile(name), args);

/**
 * Runs an executable with this terminal and returns its exit code, which is 128 + the signal's number if a signal ended
 * it. If this process is killed, a training binary writes a checkpoint and ends (MOPROC_PARENT,
 * runtime/command/entry.cc). The log of a run says what the user typed (MOPROC_COMMAND,
 * runtime/train/report_start.cc).
 */
export function spawnTool(file: string, args: readonly string[]): Promise<number> {
  const command = ["moproc", ...process.argv.slice(2)].map(quoted).join(" ");
  const env = { ...process.env, MOPROC_PARENT: `${process.pid}`, MOPROC_COMMAND: command };
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: "inherit", env, detached: underNohup });
    const forward = (signal: NodeJS.Signals): void => {
      if (signal !== "SIGHUP" || !underNohup) child.kill(signal);
    };
    const stopping = ["SIGHUP", "SIGINT", "SIGTERM", "SIGUSR1"] as const;
    for (const signal of stopping) process.on(signal, forward);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      for (const signal of stopping) process.off(signal, forward);
      if (signal && signal !== "SIGPIPE")
        process.stderr.write(`${basename(file)} was ended by ${signal}${signalHint(signal)}\n`);
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
}
