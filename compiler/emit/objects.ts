// Compiles sources in parallel, with a cache: a compiled file is found by the digest of its compiler, flags, headers
// and text without comments.

import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheDir, explainFull } from "../util/cache.js";
import { debug } from "../util/debug.js";
import { digest } from "../util/digest.js";
import { jobs } from "../util/host.js";
import { temporary } from "../util/own.js";
import { root } from "../util/root.js";
import { type Command, runAll, runSaying } from "../util/run.js";

/** One compiler call: `command flags -c source -o result`. */
export interface Unit {
  readonly source: string;
  readonly command: Command;
  readonly version: string; // of the command; part of the cache key
  readonly flags: readonly string[];
  readonly include: readonly string[]; // -I flags; not part of the key, so that clones of the project share objects
  readonly headers: readonly string[]; // folders of the project whose headers it may include
  readonly names: boolean; // whether the key covers what follows "//" too, because it may be in a string
  readonly result: "o" | "fatbin";
  readonly prelude?: readonly string[]; // system headers that most sources include; precompiled once (g++)
}

export interface Compiled {
  readonly files: readonly string[]; // in the order of the units
  readonly reports: readonly string[]; // the compiler's stderr for each: registers and spills from ptxas
  readonly compiled: number; // number of files that were not in the cache
}

/**
 * Compiles the units that are not in the cache, as many at once as there are cores (util/host.ts), and calls `progress`
 * after each. Rejects with the compiler's messages if one fails.
 */
export async function compileAll(
  units: readonly Unit[],
  progress: (done: number, total: number) => void,
): Promise<Compiled> {
  const cache = cacheDir();
  const headers = new Map<string, string>();
  const headerKey = (folders: readonly string[]): string => {
    const key = folders.join(" ");
    const known = headers.get(key) ?? headerDigest(folders);
    headers.set(key, known);
    return known;
  };
  const keyed = units.map((u) => {
    const text = readFileSync(u.source, "utf8");
    const code = u.names ? text : text.replace(/\/\/.*$/gm, "");
    const key = digest(...u.command.slice(1), u.version, u.flags.join(" "), headerKey(u.headers), code);
    return { ...u, file: join(cache, `${key.slice(0, 40)}.${u.result}`) };
  });
  const missing = [...new Map(keyed.filter((j) => !existsSync(j.file)).map((j) => [j.file, j])).values()];
  const preludes = new Map<string, Promise<readonly string[]>>();
  const preludeOf = (j: Unit): Promise<readonly string[]> => {
    const key = [...j.command, ...j.flags, ...(j.prelude ?? [])].join(" ");
    const flags = preludes.get(key) ?? precompiled(cache, j);
    preludes.set(key, flags);
    return flags;
  };
  let done = 0;
  await runAll(jobs(), missing, async (j) => {
    await once(j.file, async () => {
      const part = temporary(j.file);
      debug(2, () => `${j.command.join(" ")} ${j.source}`);
      const what = j.result === "o" ? [...(await preludeOf(j)), "-c", "-x", "c++"] : [];
      const { err } = await runSaying(j.command, [...j.flags, ...j.include, ...what, j.source, "-o", part]);
      writeFileSync(reportOf(j.file), err);
      renameSync(part, j.file);
    });
    progress(++done, missing.length);
  }).catch((e: Error) => {
    throw explainFull(e);
  });
  const files = keyed.map((j) => j.file);
  const reports = files.map((f) => (existsSync(reportOf(f)) ? readFileSync(reportOf(f), "utf8") : ""));
  return { files, reports, compiled: missing.length };
}

const underWay = new Map<string, Promise<void>>();

/** Makes a file of the cache; several artefacts of one process that need it at the same time wait for one compiler. */
function once(file: string, make: () => Promise<void>): Promise<void> {
  const running = underWay.get(file) ?? make().finally(() => underWay.delete(file));
  underWay.set(file, running);
  return running;
}

/** The flags that include the precompiled prelude of `u`, which is made if it is missing; none without a prelude. */
async function precompiled(cache: string, u: Unit): Promise<readonly string[]> {
  if (!u.prelude) return [];
  const text = u.prelude.map((h) => `#include <${h}>\n`).join("");
  const header = join(cache, `${digest(...u.command.slice(1), u.version, u.flags.join(" "), text).slice(0, 40)}.hpp`);
  if (!existsSync(`${header}.gch`))
    await once(header, async () => {
      const part = temporary(header);
      writeFileSync(part, text);
      renameSync(part, header);
      await runSaying(u.command, [...u.flags, "-x", "c++-header", header, "-o", part]);
      renameSync(part, `${header}.gch`);
    });
  return ["-include", header];
}

const reportOf = (file: string): string => `${file}.txt`;

/** The digest of all headers below these folders of the project. */
export function headerDigest(folders: readonly string[]): string {
  const files = folders.flatMap((f) =>
    readdirSync(join(root, f), { recursive: true, withFileTypes: true })
      .filter((e) => e.isFile() && /\.(h|hpp|cuh)$/.test(e.name))
      .map((e) => join(e.parentPath, e.name)),
  );
  return digest(...files.sort().map((f) => readFileSync(f)));
}
