// Digests of contents, for the names of kernels and the keys of the build cache.

import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";

/** Hex SHA-256 of the parts. Each is preceded by its length, so that ["a", "bc"] and ["ab", "c"] differ. */
export function digest(...parts: readonly (string | Uint8Array)[]): string {
  const h = createHash("sha256");
  for (const p of parts) h.update(`${p.length}:`).update(p);
  return h.digest("hex");
}

const CHUNK = 4 << 20;

/** Hex SHA-256 of an open file from byte `at` to its end, as sha256sum prints it. Throws if the file cannot be read. */
export function streamDigest(fd: number, at = 0): string {
  const h = createHash("sha256");
  const chunk = new Uint8Array(CHUNK);
  for (let n = readSync(fd, chunk, 0, CHUNK, at); n > 0; n = readSync(fd, chunk, 0, CHUNK, at)) {
    h.update(chunk.subarray(0, n));
    at += n;
  }
  return h.digest("hex");
}

/** Hex SHA-256 of a file. Throws if it cannot be opened or read. */
export function fileDigest(path: string): string {
  const fd = openSync(path, "r");
  try {
    return streamDigest(fd);
  } finally {
    closeSync(fd);
  }
}
