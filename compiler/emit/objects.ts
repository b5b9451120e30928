// Compiles sources in parallel, with a cache: a compiled source is found by the digest of its compiler, flags, headers
// and text without comments. Kernels are compiled several at a time, because most of the time of a small source goes
// into its headers, but they are found one by one, so that networks share those that they have in common.

import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cacheDir, explainFull } from "../util/cache.js";
import { debug } from "../util/debug.js";
import { digest } from "../util/digest.js";
import { jobs } from "../util/host.js";
import { temporary } from "../util/own.js";
import { root } from "../util/root.js";
import { type Command, runAll, runSaying } from "../util/run.js";

/** A source and how it is compiled: `command flags -c source -o result`. */
export interface Unit {
  readonly name: string; // for people
  readonly text: string;
  readonly together?: boolean; // it may be in one file with other sources of the same tool
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
  readonly files: readonly string[]; // which contain all units, in the order of the first unit of each
  readonly reports: readonly string[]; // the compiler's stderr for each file: registers and spills from ptxas
  readonly compiled: number; // number of units that were not in the cache
}

interface Keyed extends Unit {
  readonly key: string;
}

/** The most sources of one file, so that a file never takes many seconds while other cores have nothing to do. */
const MOST = 16;

/**
 * Compiles the units that are not in the cache, as many at once as there are cores (util/host.ts), and calls `progress`
 * with numbers of units. Rejects with the compiler's messages if one fails. A file may contain more than the units that
 * were asked for, and two files may contain the same one: link with --gc-sections and -z muldefs.
 */
export async function compileAll(
  units: readonly Unit[],
  progress: (done: number, total: number) => void,
  attempt = 1,
): Promise<Compiled> {
  const cache = cacheDir();
  const headers = new Map<string, string>();
  const headerKey = (folders: readonly string[]): string => {
    const key = folders.join(" ");
    const known = headers.get(key) ?? headerDigest(folders);
    headers.set(key, known);
    return known;
  };
  const keyed = units.map((u): Keyed => {
    const code = u.names ? u.text : u.text.replace(/\/\/.*$/gm, "");
    return { ...u, key: shortDigest(...u.command.slice(1), u.version, u.flags.join(" "), headerKey(u.headers), code) };
  });
  const missing = [...new Map(keyed.filter((u) => !fileOf(cache, u)).map((u) => [u.key, u])).values()];
  const started = missing.filter((u) => !underWay.has(u.key));
  const dir = started.length > 0 ? mkdtempSync(join(tmpdir(), "moproc-kernels-")) : undefined;
  let done = 0;
  try {
    // Another artefact of this process that needs a unit at the same time waits for this compiler.
    const work = batches(started).map((batch) => {
      let finish = (): void => {};
      const ended = new Promise<void>((resolve) => (finish = resolve));
      for (const u of batch) underWay.set(u.key, ended);
      const end = (): void => {
        for (const u of batch) underWay.delete(u.key);
        finish();
      };
      return { batch, end };
    });
    const others = new Set(missing.flatMap((u) => (started.includes(u) ? [] : [underWay.get(u.key)])));
    await runAll(jobs(), work, async ({ batch, end }) => {
      await compileBatch(cache, dir as string, batch).finally(end);
      done += batch.length;
      progress(done, missing.length);
    }).finally(() => {
      for (const { end } of work) end(); // also those that did not begin because another failed
    });
    await Promise.all(others);
  } catch (e) {
    throw explainFull(e as Error);
  } finally {
    if (dir) rmSync(dir, { recursive: true, force: true });
  }
  const found = keyed.map((u) => fileOf(cache, u));
  if (found.includes(undefined)) {
    // The other artefact's compiler failed, or somebody has freed the cache meanwhile.
    if (attempt === 3) throw new Error(`the cache folder ${cache}: what is compiled there is removed again and again`);
    return compileAll(units, progress, attempt + 1);
  }
  const files = [...new Set(found as string[])];
  const reports = files.map((f) => (existsSync(reportOf(f)) ? readFileSync(reportOf(f), "utf8") : ""));
  return { files, reports, compiled: missing.length };
}

const underWay = new Map<string, Promise<void>>();

const shortDigest = (...parts: readonly string[]): string => digest(...parts).slice(0, 40);
const reportOf = (file: string): string => `${file}.txt`;
/** KEY.in holds the name of the object file that contains a unit which was compiled together with others. */
const noteOf = (cache: string, u: Keyed): string => join(cache, `${u.key}.in`);

/** The file in the cache that contains the unit; undefined if there is none. */
function fileOf(cache: string, u: Keyed): string | undefined {
  const note = noteOf(cache, u);
  if (u.together && !existsSync(note)) return undefined;
  const file = join(cache, u.together ? readFileSync(note, "utf8") : `${u.key}.${u.result}`);
  return existsSync(file) ? file : undefined;
}

/** The units that one call of the compiler compiles; all of a batch have the same tool. */
function batches(units: readonly Keyed[]): readonly (readonly Keyed[])[] {
  const tools = new Map<string, Keyed[]>();
  for (const u of units.filter((u) => u.together)) {
    const tool = [...u.command, u.version, ...u.flags, ...u.headers].join(" ");
    tools.set(tool, [...(tools.get(tool) ?? []), u]);
  }
  const grouped = [...tools.values()].flatMap((all) => {
    const size = Math.min(MOST, Math.ceil(all.length / (2 * jobs())));
    return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
  });
  return [...units.filter((u) => !u.together).map((u) => [u]), ...grouped];
}

/** Compiles one batch in the folder `dir` and enters the result into the cache. */
async function compileBatch(cache: string, dir: string, batch: readonly Keyed[]): Promise<void> {
  const first = batch[0] as Keyed;
  const name = first.together ? shortDigest(...batch.map((u) => u.key)) : first.key;
  const file = join(cache, `${name}.${first.result}`);
  const source = join(dir, `${name}.${first.result === "o" ? "cpp" : "cu"}`);
  writeFileSync(source, batch.map((u) => u.text).join("\n"));
  debug(2, () => `${first.command.join(" ")} ${batch.map((u) => u.name).join(" ")}`);
  const part = temporary(file);
  const what = first.result === "o" ? [...(await precompiled(cache, first)), "-c"] : [];
  const { err } = await runSaying(first.command, [...first.flags, ...first.include, ...what, source, "-o", part]);
  if (err !== "") writeFileSync(reportOf(file), err);
  renameSync(part, file);
  for (const u of batch.filter((u) => u.together)) {
    const note = temporary(noteOf(cache, u));
    writeFileSync(note, `${name}.${u.result}`);
    renameSync(note, noteOf(cache, u));
  }
}

const preludes = new Map<string, Promise<void>>();

/** The flags that include the precompiled prelude of `u`, which is made if it is missing; none without a prelude. */
async function precompiled(cache: string, u: Unit): Promise<readonly string[]> {
  if (!u.prelude) return [];
  const text = u.prelude.map((h) => `#include <${h}>\n`).join("");
  const header = join(cache, `${shortDigest(...u.command.slice(1), u.version, u.flags.join(" "), text)}.hpp`);
  if (!existsSync(`${header}.gch`)) {
    const make = preludes.get(header) ?? precompile(u, header, text).finally(() => preludes.delete(header));
    preludes.set(header, make);
    await make;
  }
  return ["-include", header];
}

async function precompile(u: Unit, header: string, text: string): Promise<void> {
  const part = temporary(header);
  writeFileSync(part, text);
  renameSync(part, header);
  await runSaying(u.command, [...u.flags, "-x", "c++-header", header, "-o", part]);
  renameSync(part, `${header}.gch`);
}

/** The digest of all headers below these folders of the project. */
export function headerDigest(folders: readonly string[]): string {
  const files = folders.flatMap((f) =>
    readdirSync(join(root, f), { recursive: true, withFileTypes: true })
      .filter((e) => e.isFile() && /\.(h|hpp|cuh)$/.test(e.name))
      .map((e) => join(e.parentPath, e.name)),
  );
  return digest(...files.sort().map((f) => readFileSync(f)));
}
