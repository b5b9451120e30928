// Runs the programs of build/native with this process's terminal.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { root } from "../../compiler/util/root.js";

/** A program has refused the command line and printed the reason, so only the exit code must be set. */
export class Refused extends Error {}

/** Runs a program of build/native with this terminal and returns its exit code. Throws if it is not built. */
export const nativeTool = (name: string, args: readonly string[]): Promise<number> =>
  spawnTool(nativeToolFile(name), args);

/** The path of a program of build/native. Throws, with the remedy, if it is not built. */
export function nativeToolFile(name: string): string {
  const candidates = [join(root, "build", "native", name), join(root, "build", "native", "tools", "data", name)];
  const file = candidates.find((f) => existsSync(f));
  if (!file) throw new Error(`${name} is not built: run npm run build`);
  return file;
}

/**
 * Runs an executable with this terminal and returns its exit code, which is 128 + the signal's number if a signal ended
 * it. If this process is killed, a training binary writes a checkpoint and ends (MOPROC_PARENT,
 * runtime/command/entry.cc).
 */
export function spawnTool(file: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: "inherit", env: { ...process.env, MOPROC_PARENT: `${process.pid}` } });
    const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on("SIGINT", forward).on("SIGTERM", forward).on("SIGUSR1", forward);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      process.off("SIGINT", forward).off("SIGTERM", forward).off("SIGUSR1", forward);
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
}
