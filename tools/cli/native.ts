// The programs of build/native, run with this terminal.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { root } from "../../compiler/util/root.js";

/** A program has refused the command line and said why; only the exit code is left to set. */
export class Refused extends Error {}

/** Runs a program of build/native with this terminal and returns its exit code. */
export const nativeTool = (name: string, args: readonly string[]): Promise<number> =>
  spawnTool(nativeToolFile(name), args);

/** Where a program of build/native lies. Throws, saying what to do, when it is not built. */
export function nativeToolFile(name: string): string {
  const candidates = [join(root, "build", "native", name), join(root, "build", "native", "tools", "data", name)];
  const file = candidates.find((f) => existsSync(f));
  if (!file) throw new Error(`${name} is not built: run npm run build`);
  return file;
}

/**
 * Runs an executable with this terminal and returns its exit code: 128 + the signal's number when a signal ended it.
 * A training binary ends with a checkpoint when this process is killed (MOPROC_PARENT, runtime/command/entry.cc).
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
