// The type check of a user's file before it runs, by the user's own TypeScript or one that is installed beside moproc.
// It uses TypeScript's command line, because version 7 has no other interface that is stable.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire, isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, isAbsolute, join, parse, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { root } from "../../compiler/util/root.js";
import { runToEnd } from "../../compiler/util/run.js";
import { configOf, type TypeScript, writeSettings } from "./type_settings.js";

/** Whether a file is TypeScript by its name. */
export const isTypeScript = (file: string): boolean => /\.[cm]?ts$/.test(file);

const SHOWN = 10; // errors in a message, and names in a note

/** An error that TypeScript reports. Errors in settings may have no place. */
interface Finding {
  readonly path?: string; // absolute
  readonly place: string; // "LINE:COLUMN"
  readonly code: number;
  readonly text: string; // several lines if TypeScript explains it
}

/**
 * Type-checks a user's file and the files that it imports. Resolves to notes for the user; one of them says so if no
 * check was possible. Rejects if there are type errors in the user's files, which the message lists, or if the user's
 * tsconfig.json is wrong. TypeScript is looked for from the files `from`, in this order.
 */
export async function checkTypes(
  file: string,
  from: readonly string[] = [resolve(file), fileURLToPath(import.meta.url)],
): Promise<string[]> {
  const typescript = from.map(typeScriptFrom).find((t) => t !== undefined);
  const unchecked = (why: string): string[] => [`${file} was not type-checked: ${why}`];
  if (!typescript) return unchecked("TypeScript is not installed; npm install -D typescript");
  const [major, minor] = typescript.version;
  if (major < 5 || (major === 5 && minor < 4))
    return unchecked(`this needs TypeScript 5.4 or newer, not ${major}.${minor}; npm install -D typescript`);
  const config = configOf(dirname(resolve(file)));
  const dir = mkdtempSync(join(tmpdir(), "moproc-types-"));
  try {
    const untyped = await writeSettings(dir, resolve(file), config, typescript);
    // Paths in the output are relative to the working directory, which has several names if a link leads to it.
    const top = parse(dir).root;
    const { failure, out, err } = await runToEnd(typescript.command, ["--pretty", "false", "-p", dir], top);
    const found = findings(out, top);
    if (failure !== undefined && found.length === 0)
      return unchecked(`${typescript.command[1]}: ${failure}${cause(err || out)}`);
    const inSettings = found.find((f) => f.path === undefined || f.path.endsWith(".json"));
    if (inSettings && config === undefined) return unchecked(inSettings.text);
    if (inSettings) throw new Error(settingsError(inSettings, file, config as string, dir));
    const foreign = found.find((f) => f.code < 2000 && isForeign(f, file)); // bad syntax: nothing else is checked
    if (foreign) return unchecked(shown(foreign, file));
    return judge(file, found, untyped);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function typeScriptFrom(file: string): TypeScript | undefined {
  try {
    const found = createRequire(file).resolve("typescript/package.json");
    const { version, bin } = JSON.parse(readFileSync(found, "utf8")) as { version: string; bin: { tsc: string } };
    const [major = 0, minor = 0] = version.split(".").map(Number);
    return { command: [process.execPath, join(dirname(found), bin.tsc)], version: [major, minor] };
  } catch {
    return undefined;
  }
}

/** The errors that tsc --pretty false printed in `cwd`: `FILE(LINE,COLUMN): error TSCODE: TEXT` and indented lines. */
function findings(out: string, cwd: string): Finding[] {
  const line = /^(?:(.+?)\((\d+),(\d+)\): )?error TS(\d+): (.*(?:\r?\n .*)*)/gm;
  return [...out.matchAll(line)].map(([, path, row, column, code, text]) => ({
    ...(path !== undefined && { path: resolve(cwd, path) }),
    place: `${row}:${column}`,
    code: Number(code),
    text: (text as string).replace(/(?=\r?\n|$)/, ` (TS${code})`),
  }));
}

/** ": " and the line of a crash's output that says what happened, or its first line. */
const cause = (text: string): string => {
  const line = /^\w*(Error|panic)\b.*$/m.exec(text)?.[0] ?? /.+/.exec(text)?.[0];
  return line === undefined ? "" : `: ${line}`;
};

/** A path as the user would type it, who typed `file`. */
const typed = (path: string, file: string): string =>
  path === resolve(file) ? file : isAbsolute(file) ? path : relative("", path);

const shown = (f: Finding, file: string): string => `${typed(f.path as string, file)}:${f.place}: ${f.text}`;

function settingsError(f: Finding, file: string, config: string, dir: string): string {
  // Options that contradict each other are reported without a place, or at those in the temporary folder.
  const placed = f.path !== undefined && basename(dirname(f.path)) !== basename(dir);
  return `${placed ? shown(f, file) : `${typed(config, file)}: ${f.text}`}; correct it, or use --no-type-check`;
}

/** Whether an error is in a file of a package or in moproc's own types, which the user did not write. */
const isForeign = ({ path = "" }: Finding, file: string): boolean =>
  path !== resolve(file) &&
  (/[\\/]node_modules[\\/]/.test(path) || (path.startsWith(join(root, sep)) && path.endsWith(".d.ts")));

/** Throws if errors are left without those that follow from missing type declarations; notes about these. */
function judge(file: string, found: readonly Finding[], untyped: readonly string[]): string[] {
  const own = found.filter((f) => !isForeign(f, file));
  const missing = [...new Set([...untyped, ...own.map(undeclared).filter((n) => n !== undefined)])];
  const left = own.filter((f) => undeclared(f) === undefined);
  // A value without a type is `any`, from which more values of no known type follow.
  const errors = missing.length === 0 ? left : left.filter((f) => f.code !== 2347 && Math.floor(f.code / 1000) !== 7);
  const more = (all: readonly unknown[]): string => (all.length > SHOWN ? `and ${all.length - SHOWN} more` : "");
  if (errors.length > 0)
    throw new Error([...errors.slice(0, SHOWN).map((e) => shown(e, file)), more(errors)].join("\n").trimEnd());
  if (missing.length === 0) return [];
  const names = [...missing.slice(0, SHOWN), more(missing)].filter((n) => n !== "");
  const remedy = missing.some((n) => isBuiltin(n) || isGlobal(n)) ? "; npm install -D @types/node" : "";
  return [`${file}: uses of ${names.join(", ")} were not checked, because type declarations are missing${remedy}`];
}

const isGlobal = (name: string): boolean => name in globalThis || ["NodeJS", "BufferEncoding"].includes(name);

/**
 * The module or global of Node for which an error says only that its type declarations are missing. A file that does
 * not exist is none of these, because the bundler does not miss one that is imported for its types alone.
 */
function undeclared({ path = "", code, text }: Finding): string | undefined {
  const name = /'([^']+)'/.exec(text)?.[1] ?? "";
  if ([2307, 2664, 2688, 2792, 2882, 7016].includes(code))
    return !/^\.{0,2}\//.test(name) || existsSync(resolve(dirname(path), name)) ? name : undefined;
  const isName = /^Cannot find (name|namespace) '/.test(text);
  return isName && (code === 2580 || code === 2591 || isGlobal(name)) ? name : undefined;
}
