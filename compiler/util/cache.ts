// The user's cache: objects of kernels, artefacts, and the native build of an installed package.

import { accessSync, constants, existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";

/** An error of the cache, with the remedy. */
const unusable = (dir: string, why: string): Error =>
  new Error(`the cache folder ${dir}: ${why}; set MOPROC_CACHE to a folder that can be written`);

/**
 * The folder of the cache, which is made if needed: $MOPROC_CACHE, or moproc in the user's cache folder
 * ($XDG_CACHE_HOME or ~/.cache). Throws, with the remedy, if it cannot be made or written.
 */
export function cacheDir(): string {
  const { MOPROC_CACHE, XDG_CACHE_HOME } = process.env;
  const dir = resolve(MOPROC_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "moproc"));
  try {
    make(dir);
    accessSync(dir, constants.W_OK | constants.X_OK);
  } catch (e) {
    throw unusable(dir, (e as Error).message);
  }
  return dir;
}

/** Makes a folder and those above it. (mkdirSync with `recursive` never returns below /proc.) */
function make(dir: string): void {
  if (existsSync(dir)) return;
  if (dirname(dir) !== dir) make(dirname(dir));
  try {
    mkdirSync(dir);
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== "EEXIST") throw e; // another process was faster
  }
}

/** `e` with the cache folder and the remedy if it says that the disk is full; otherwise `e` itself. */
export const explainFull = (e: Error): Error =>
  /ENOSPC|EDQUOT|No space left on device|Disk quota exceeded/.test(e.message)
    ? unusable(
        cacheDir(),
        `is full; \`moproc cache --all\` frees what moproc keeps there (${e.message.split("\n")[0]})`,
      )
    : e;
