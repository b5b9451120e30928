// Files that are complete or not there.

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";

/**
 * Writes `parts` one after the other to `path`, by way of a file beside it. Throws naming `path`, and then leaves an
 * older one as it is.
 */
export function writeWhole(path: string, parts: readonly Uint8Array[]): void {
  const partial = `${path}.${process.pid}.tmp`;
  try {
    const fd = openSync(partial, "w");
    try {
      for (const p of parts)
        for (let done = 0; done < p.length; ) done += writeSync(fd, p, done, Math.min(p.length - done, 1 << 30));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(partial, path);
  } catch (e) {
    rmSync(partial, { force: true });
    throw new Error(`cannot write ${path}: ${(e as Error).message}`);
  }
}
