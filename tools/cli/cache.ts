// moproc cache: lists what moproc keeps in the user's cache folder and frees it. Only names that moproc gives are
// touched.

import { existsSync, lstatSync, readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { InvalidArgumentError } from "commander";
import { cacheDir } from "../../compiler/util/cache.js";
import { waitForLock } from "../../compiler/util/lock.js";
import { type Kind, sections, type Verb } from "./record.js";
import { megabytes } from "./units.js";

/** What is kept: its name below the cache folder, and what it is for. */
const kinds = [
  { kind: "native part", what: "the runtime of an installed package", at: /^native\/[0-9a-f]{16}$/ },
  {
    kind: "artefact",
    what: "a compiled program of train, clean and the like",
    at: /^artefacts\/[\w.-]+-[0-9a-f]{16}$/,
  },
  { kind: "network", what: "the weights of an ONNX file", at: /^networks\/[\w.+-]+-[0-9a-f]{16}$/ },
  { kind: "object", what: "compiled kernels", at: /^[0-9a-f]{40}\.(in|(o|fatbin)(\.txt)?)$/ },
  { kind: "header", what: "a precompiled header", at: /^[0-9a-f]{40}\.hpp(\.gch)?$/ },
  { kind: "unfinished", what: "files that a stopped command left", at: /(\.partial-\w+|\.[0-9a-f]{16}\.tmp|\.lock)$/ },
] as const;
type KindName = (typeof kinds)[number]["kind"];

export interface Kept {
  readonly name: string; // below the cache folder
  readonly kind: KindName;
  readonly bytes: number;
  readonly used: number; // ms since 1970, of the last read or, if the disk does not record that, of the last write
}

const DAY = 86_400_000;
const ages = { d: DAY, h: DAY / 24, m: DAY / 1440 } as const;

/** "30d", "12h" or "90m"; the value is in milliseconds. */
const age: Kind = {
  range: "a number of days, hours or minutes, such as 30d, 12h or 90m",
  parse(text) {
    const [, n, unit] = /^(\d+(?:\.\d+)?)([dhm])$/.exec(text) ?? [];
    if (unit === undefined) throw new InvalidArgumentError("It must be such as 30d, 12h or 90m.");
    return Number(n) * ages[unit as keyof typeof ages];
  },
};

/** Bytes and last use of a file, or of all files of a folder. Symbolic links are not followed. */
function measure(path: string): { bytes: number; used: number } {
  const s = lstatSync(path, { throwIfNoEntry: false });
  if (!s) return { bytes: 0, used: 0 }; // another process has just removed it
  const own = {
    bytes: s.isDirectory() ? 0 : s.size,
    used: s.isDirectory() ? s.mtimeMs : Math.max(s.atimeMs, s.mtimeMs),
  };
  if (!s.isDirectory()) return own;
  return readdirSync(path)
    .map((name) => measure(join(path, name)))
    .reduce((a, b) => ({ bytes: a.bytes + b.bytes, used: Math.max(a.used, b.used) }), own);
}

/** The entries of moproc in the cache folder `dir`, and the number of other entries. */
export function kept(dir: string): { readonly all: readonly Kept[]; readonly others: number } {
  const names = ["", "native", "artefacts", "networks"].flatMap((sub) =>
    existsSync(join(dir, sub)) ? readdirSync(join(dir, sub)).map((n) => (sub === "" ? n : `${sub}/${n}`)) : [],
  );
  const wanted = names.filter((n) => !["native", "artefacts", "networks"].includes(n));
  const all = wanted.flatMap((name) => {
    const kind = kinds.find((k) => k.at.test(name))?.kind;
    return kind === undefined ? [] : [{ name, kind, ...measure(join(dir, name)) }];
  });
  return { all, others: wanted.length - all.length };
}

/**
 * Removes the entries that have not been used for `older` milliseconds, and returns them. Before it removes an entry,
 * it waits for a command that makes the native part or artefact to which the entry belongs.
 */
export function free(dir: string, all: readonly Kept[], older: number, now = Date.now()): Kept[] {
  const old = all.filter((k) => now - k.used >= older);
  for (const k of old) {
    const made = k.name.replace(/(\.partial-\w+|\.lock)$/, "");
    const release = made.includes("/") ? waitForLock(join(dir, `${made}.lock`), `work on ${basename(made)}`) : () => {};
    if (!k.name.endsWith(".lock")) rmSync(join(dir, k.name), { recursive: true, force: true });
    release(); // which removes the lock
  }
  return old;
}

const total = (ks: readonly Kept[]): number => ks.reduce((s, k) => s + k.bytes, 0);
const days = (k: Kept): string => `${Math.max(0, Math.floor((Date.now() - k.used) / DAY))} d`;

/** One line per folder, and one per kind of file. */
function table(all: readonly Kept[]): string {
  const rows: string[][] = [];
  for (const { kind, what } of kinds) {
    const own = all.filter((k) => k.kind === kind).sort((a, b) => b.bytes - a.bytes);
    if (own.length === 0) continue;
    const oldest = own.reduce((a, b) => (a.used < b.used ? a : b));
    rows.push([`${own.length} ${kind}${own.length > 1 ? "s" : ""}`, megabytes(total(own)), days(oldest), what]);
    if (kind === "native part" || kind === "artefact")
      for (const k of own) rows.push([`  ${basename(k.name)}`, megabytes(k.bytes), days(k), ""]);
  }
  const head = ["kept", "size", "unused", ""];
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => (r[i] as string).length)));
  return [head, ...rows]
    .map((r) =>
      r.map((c, i) => (i === 0 ? c.padEnd(widths[i] as number) : i < 3 ? c.padStart(widths[i] as number) : c)),
    )
    .map((r) => `${r.join("  ").trimEnd()}\n`)
    .join("");
}

export const cache: Verb = {
  name: "cache",
  usage: "[flags]",
  purpose: "Shows what moproc keeps in its cache folder, with size and age, and frees it.",
  more:
    "The folder is $MOPROC_CACHE, otherwise moproc in $XDG_CACHE_HOME or ~/.cache. Everything in it is made again " +
    "when it is needed. `unused` is the time since the last read or, if the disk does not record reads, the last " +
    "write.",
  flags: [
    {
      names: ["--older"],
      unit: "AGE",
      kind: age,
      section: sections.run,
      help: "Removes what has not been used for this time.",
    },
    { names: ["--all"], section: sections.run, help: "Removes everything." },
    { names: ["--json"], section: sections.output, help: "Prints what was found, or removed, as JSON." },
  ],
  examples: ["moproc cache"],
  run({ options }) {
    if (options.all && options.older !== undefined)
      throw new Error("--all and --older contradict each other: give one");
    const dir = cacheDir();
    const { all, others } = kept(dir);
    const older = options.all ? Number.NEGATIVE_INFINITY : (options.older as number | undefined);
    const shown = older === undefined ? all : free(dir, all, older);
    if (options.json) {
      const entries = shown.map((k) => ({ ...k, used: new Date(k.used).toISOString() }));
      process.stdout.write(`${JSON.stringify({ dir, removed: older !== undefined, entries, others }, undefined, 1)}\n`);
      return;
    }
    process.stdout.write(`${dir}: ${older === undefined ? "" : "removed "}${megabytes(total(shown))}\n`);
    if (older === undefined && all.length > 0) process.stdout.write(table(all));
    if (others > 0)
      process.stdout.write(
        `${others} more ${others > 1 ? "entries are" : "entry is"} not moproc's and stay${others > 1 ? "" : "s"}\n`,
      );
  },
};
