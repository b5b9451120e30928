// Files that are complete or not there, in the place of nothing but an older one of moproc's.

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { type Mark, requireFile, temporary } from "./own.js";

/**
 * Writes `parts` one after the other to `path`, by way of a file beside it. Throws naming `path`, and then leaves an
 * older one as it is; also where the file that is there does not carry the mark.
 */
export function writeWhole(path: string, parts: readonly Uint8Array[], mark: Mark): void {
  requireFile(path, mark);
  const partial = temporary(path);
  try {
    const fd = openSync(partial, "wx");
    try {
      for (const p of parts)
        for (let done = 0; done < p.length; ) done += writeSync(fd, p, done, Math.min(p.length - done, 1 << 30));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (e) {
    rmSync(partial, { force: true });
    throw new Error(`cannot write ${path}: ${(e as Error).message}`);
  }
  putInPlace(partial, path, mark);
}

/** Gives the complete file `partial` its name. Throws as writeWhole() does, and then removes it. */
export function putInPlace(partial: string, path: string, mark: Mark): void {
  try {
    requireFile(path, mark);
    renameSync(partial, path);
  } catch (e) {
    rmSync(partial, { force: true });
    throw e;
  }
}
