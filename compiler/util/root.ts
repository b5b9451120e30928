// Finds the project's folder, so that kernels/, runtime/ and build/ are found from any working directory.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that contains kernels/ and runtime/. */
export const root: string = findRoot(dirname(fileURLToPath(import.meta.url)));

function findRoot(dir: string): string {
  if (existsSync(join(dir, "kernels", "common", "params.h"))) return dir;
  const parent = dirname(dir);
  if (parent === dir) throw new Error("internal: the kernels/ directory of moproc is not above its own code");
  return findRoot(parent);
}
