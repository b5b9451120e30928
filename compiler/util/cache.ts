// The user's cache: objects of kernels, artefacts, and the native build of an installed package.

import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { makeFolder } from "./own.js";
import { ToolFailure } from "./run.js";

/** What is wrong with the cache, with the remedy. */
const unusable = (dir: string, why: string): string =>
  `the cache folder ${dir}: ${why}; set MOPROC_CACHE to a folder that can be written`;

/**
 * The folder of the cache, which is made if needed: $MOPROC_CACHE, or moproc in the user's cache folder
 * ($XDG_CACHE_HOME or ~/.cache). Throws, with the remedy, if it cannot be made or written.
 */
export function cacheDir(): string {
  const { MOPROC_CACHE, XDG_CACHE_HOME } = process.env;
  const dir = resolve(MOPROC_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "moproc"));
  try {
    makeFolder(dir);
    accessSync(dir, constants.W_OK | constants.X_OK);
  } catch (e) {
    throw new Error(unusable(dir, (e as Error).message));
  }
  return dir;
}

const FULL = /ENOSPC|EDQUOT|EFBIG|No space left on device|Disk quota exceeded|File too large/;

/** `e` with the cache folder and the remedy if it says that no more can be written there; otherwise `e` itself. */
export function explainFull(e: Error): Error {
  const why = FULL.exec(e.message)?.[0];
  if (why === undefined) return e;
  const text = `is full (${why}), and \`moproc cache --all\` frees what moproc keeps there`;
  return new ToolFailure(unusable(cacheDir(), text));
}
