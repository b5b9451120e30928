// The native part: the runtime's libraries, with which artefacts are linked, the programs of the command line, and the
// addon. A clone has it in build/native (npm run build). An installed package builds it once, when it is first needed,
// into the user's cache, in a folder that is named by the digest of what it is built from.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheDir } from "../util/cache.js";
import { digest } from "../util/digest.js";
import { root } from "../util/root.js";
import { ToolFailure } from "../util/run.js";

/** What the native part is built from. */
const SOURCES = ["CMakeLists.txt", "runtime", "kernels", "tools/data", "tools/convert"];

/** The file that lists, one a line, what a training binary is linked with; a complete native part has it. */
const LINK = "link.txt";
const RELEASE = "/etc/os-release";

const inClone = join(root, "build", "native");

/** All files of the sources, as paths below the project's folder, sorted. */
function sourceFiles(): string[] {
  return SOURCES.flatMap((part) =>
    statSync(join(root, part)).isFile()
      ? [part]
      : readdirSync(join(root, part), { recursive: true, encoding: "utf8" })
          .filter((f) => !/(^|\/)(build|node_modules)\//.test(`${f}/`) && statSync(join(root, part, f)).isFile())
          .map((f) => `${part}/${f}`),
  ).sort();
}

/**
 * Its folder in the cache, which may not exist yet. Another compiler command, machine or distribution has another one,
 * because homes are shared.
 */
export function inCache(): string {
  const files = sourceFiles();
  const distribution = existsSync(RELEASE) ? readFileSync(RELEASE) : "";
  const texts = files.map((f) => readFileSync(join(root, f)));
  const key = digest(process.arch, distribution, process.env.CXX ?? "", ...files, ...texts);
  return join(cacheDir(), "native", key.slice(0, 16));
}

export const isComplete = (folder: string): boolean => existsSync(join(folder, LINK));

/** The folder of the native part if there is one; does not build. */
export function existingNative(): string | undefined {
  if (isComplete(inClone)) return inClone; // first, so that a clone reads neither the sources nor the cache
  const folder = inCache();
  return isComplete(folder) ? folder : undefined;
}

let found: string | undefined;

/**
 * The folder of the native part. If there is none, it is built, with progress on stderr. Throws, with the remedy, if
 * that fails.
 */
export function nativeFolder(): string {
  if (found !== undefined) return found;
  const folder = isComplete(inClone) ? inClone : inCache();
  if (!isComplete(folder)) {
    // In a process of its own, because callers do not wait for promises: the addon's `load`, the flags of verbs.
    const builder = fileURLToPath(new URL("native_build.js", import.meta.url));
    const r = spawnSync(process.execPath, [builder, folder], { stdio: ["ignore", 2, 2, "pipe"], encoding: "utf8" });
    if (r.status !== 0) throw new ToolFailure(r.output[3] || `building moproc's native part: ${r.signal ?? r.status}`);
  }
  found = folder;
  return folder;
}

/** The path of a file of the native part, which is built if there is none. */
export const nativeFile = (name: string): string => join(nativeFolder(), name);

/** What a training binary is linked with: paths of libraries and flags. */
export const linkArguments = (): string[] =>
  readFileSync(nativeFile(LINK), "utf8")
    .split("\n")
    .filter((l) => l !== "")
    .map((l) => (/^[-/]/.test(l) ? l : nativeFile(l)));

/** The plug-in for CPU ranks on several machines, which training binaries load; undefined without MPI. */
export function mpiPlugin(): string | undefined {
  const file = nativeFile("moproc_mpi.so");
  return existsSync(file) ? file : undefined;
}
