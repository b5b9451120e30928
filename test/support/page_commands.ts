// The commands that a page of docs prints for a clone, run in a test's folder.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../compiler/util/root.js";
import type { Shell } from "./cli.js";

/** The lines of a page's blocks of shell commands, by the heading of the section that they stand in. */
export function pageCommands(...path: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const sections = readFileSync(join(root, ...path), "utf8")
    .split(/^#+ /m)
    .slice(1);
  const of = (text: string): string[] =>
    [...text.matchAll(/```sh\n(.*?)```/gs)].flatMap(([, block]) => (block as string).trim().split("\n"));
  return new Map(sections.map((text) => [text.slice(0, text.indexOf("\n")), of(text)]));
}

/** Runs a line, which must begin a command of ours or of `others` and succeed. Returns all that it prints. */
export function runLine(shell: Shell, line: string, others: readonly string[] = []): string {
  const word = line.slice(0, line.indexOf(" "));
  if (!line.startsWith("npx moproc ") && !others.includes(word)) throw new Error(`${line}: is not run`);
  const own = line.replace(/^npx moproc/, '"$0" "$1"').replaceAll("test/fixtures/", '"$2"/test/fixtures/');
  const r = shell.start("bash", "-c", own, process.execPath, shell.main, root);
  if (r.status !== 0) throw new Error(`${line}\n${r.err}`);
  return r.out + r.err;
}
