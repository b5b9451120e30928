// docs/ranks.md and docs/launch as data: sections, commands, tables, and the corresponding facts from the sources.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../compiler/util/root.js";

export const page = readFileSync(join(root, "docs", "ranks.md"), "utf8");
export const launchFile = (name: string): string => readFileSync(join(root, "docs", "launch", name), "utf8");

/**
 * The text below a heading, up to the next one of its level; "" is the text before the first. Throws if there is none.
 */
export function section(title: string): string {
  const parts = page.split(/^## /m);
  const found = title === "" ? parts[0] : parts.find((p) => p.startsWith(`${title}\n`));
  if (found === undefined) throw new Error(`docs/ranks.md has no section ${title}`);
  return found;
}

/** The lines of the fenced blocks of a language ("" for plain ones); lines that end with \ are joined with the next. */
export const blocks = (text: string, language = ""): string[][] =>
  [...text.matchAll(/^```(\w*)\n([\s\S]*?)\n```$/gm)]
    .filter((m) => m[1] === language)
    .map((m) => (m[2] as string).replaceAll(/\\\n\s*/g, "").split("\n"));
export const commands = (text: string): string[] =>
  blocks(text)
    .flat()
    .filter((l) => !l.startsWith("FROM ") && !l.startsWith("COPY "));

/** The rows of the tables whose first column has this heading. */
export const rows = (text: string, heading: string): string[][] =>
  [...text.matchAll(/^\|(.*)\|\n\| -+ .*\n((?:\|.*\n?)+)/gm)]
    .filter((m) => (m[1] as string).split("|")[0]?.trim() === heading)
    .flatMap((m) =>
      (m[2] as string)
        .trim()
        .split("\n")
        .map((r) =>
          r
            .slice(1, -1)
            .split("|")
            .map((c) => c.trim()),
        ),
    );

/** The names in backquotes in a text. */
export const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map((m) => m[1] as string);

/** The words after the training binary's name in a command; undefined if the command does not call it. */
export function trainArguments(command: string): string[] | undefined {
  const words = command
    .replace(/ &$/, "")
    .replaceAll('"', "")
    .split(/\s+/)
    .filter((w) => w !== "");
  const at = words.findIndex((w) => w === "train" || w.endsWith("/train"));
  return at < 0 ? undefined : words.slice(at + 1);
}

/** The flags that a help text lists: true if one takes a value. */
export function flagsOf(help: string): ReadonlyMap<string, boolean> {
  const flags = new Map<string, boolean>();
  for (const line of help.split("\n")) {
    const names = /^ {2}((?:-[\w-]+, )*-[\w-]+)( [A-Z<][^ ]*)?/.exec(line);
    for (const name of names?.[1]?.split(", ") ?? []) flags.set(name, names?.[2] !== undefined);
  }
  return flags;
}

export const trainFlags = (): ReadonlyMap<string, boolean> =>
  flagsOf(spawnSync(join(root, "build", "native", "moproc-train-help"), ["train"], { encoding: "utf8" }).stdout);

/** Errors in arguments of the training binary: unknown flags, missing or superfluous values. */
export function wrongArguments(words: readonly string[], known: ReadonlyMap<string, boolean>): string[] {
  const wrong: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const [name = "", inline] = (words[i] as string).split(/=(.*)/s, 2);
    const takes = known.get(name);
    if (takes === undefined) wrong.push(`unknown ${words[i]}`);
    else if (takes && inline === undefined && (words[++i] ?? "--").startsWith("--"))
      wrong.push(`${name} needs a value`);
    else if (!takes && inline !== undefined) wrong.push(`${name} takes no value`);
  }
  return wrong;
}

const launchSource = readFileSync(join(root, "runtime", "comm", "launch.cc"), "utf8");
const variablesIn = (code: string): string[] =>
  [...code.matchAll(/"([A-Z][A-Z_]{3,})[="]/g)].map((m) => m[1] as string);

/** All variables that launch.cc names. */
export const allVariables = (): string[] => [...new Set(variablesIn(launchSource))].sort();

/**
 * The variables that a function of launch.cc names, and those of master_of if it calls that. Throws if there is no such
 * function.
 */
export function variablesOf(name: string): string[] {
  const body = (f: string): string => {
    const found = new RegExp(`^[\\w:<> ]+ ${f}\\([^;]*?\\) \\{\\n[\\s\\S]*?\\n\\}$`, "m").exec(launchSource)?.[0];
    if (found === undefined) throw new Error(`launch.cc has no function ${f}`);
    return found;
  };
  const own = body(name);
  const more = own.includes("master_of(") ? variablesIn(body("master_of")) : [];
  const constants = [...launchSource.matchAll(/constexpr const char\* (k\w+) = "([A-Z_]+)";/g)];
  const named = constants.flatMap(([, constant = "", variable = ""]) => (own.includes(constant) ? [variable] : []));
  return [...new Set([...variablesIn(own), ...more, ...named])].sort();
}

/** The exit codes of supervisor.h by the names of their constants. */
export const exitCodes = (): Readonly<Record<string, number>> =>
  Object.fromEntries(
    [
      ...readFileSync(join(root, "runtime", "train", "supervisor.h"), "utf8").matchAll(
        /constexpr int (k\w+) = (\d+);/g,
      ),
    ].map((m) => [m[1], Number(m[2])]),
  );
