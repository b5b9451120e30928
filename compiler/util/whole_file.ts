// Writes files so that an incomplete one never has the final name, and only files of moproc's are replaced.

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { type Mark, requireFile, temporary } from "./own.js";

/**
 * Writes `parts` one after the other to a temporary file beside `path`, and renames it to `path`. Throws if the file
 * cannot be written, or if there is a file at `path` without the mark; an older file then stays as it is.
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

/**
 * Renames the complete file `partial` to `path`. Throws if that fails or there is a file at `path` without the mark;
 * `partial` is then removed.
 */
export function putInPlace(partial: string, path: string, mark: Mark): void {
  try {
    requireFile(path, mark);
    renameSync(partial, path);
  } catch (e) {
    rmSync(partial, { force: true });
    throw e;
  }
}
