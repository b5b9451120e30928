// The types of compiler/util/host.mjs, which is plain JavaScript because the set-up uses it before the build.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./root.js";
import type { Command } from "./run.js";

interface Host {
  /** The CPU quota of a container in cores; Infinity without one. The arguments stand for its files, in tests. */
  cpuQuota(sys?: string, self?: string): number;
  /** How many compilers may run at once. */
  jobs(quota?: number): number;
  /** The C++ compiler's command: $CXX, which may have several words, or g++. */
  cxx(): Command;
  /** The Debian packages that the native build needs and that are not here. */
  missingPackages(): string[];
  /** Those that the native build would use, for more formats of images, and that are not here. */
  missingOptionalPackages(): string[];
}

export const { cpuQuota, cxx, jobs, missingPackages, missingOptionalPackages } = (await import(
  pathToFileURL(join(root, "compiler", "util", "host.mjs")).href
)) as Host;
