// Content digests: names of kernels, keys of the build cache.

import { createHash } from "node:crypto";

/** Hex SHA-256 of the parts, each preceded by its length so that no two lists collide. */
export function digest(...parts: readonly (string | Uint8Array)[]): string {
  const h = createHash("sha256");
  for (const p of parts) h.update(`${p.length}:`).update(p);
  return h.digest("hex");
}
