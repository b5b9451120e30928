// Makes Commander's commands from the records of verbs.

import { Command, Option } from "commander";
import { binaryFlags, withBinaryFlags } from "./binary_flags.js";
import { helpPage } from "./help.js";
import { nativeTool } from "./native.js";
import type { Flag, Given, Verb } from "./record.js";
import { nameOf } from "./spelling.js";

/** The verb on a command line: its record, how it was called, and the arguments after it. */
export interface Chosen {
  readonly verb: Verb;
  readonly path: string; // "weights fetch"
  readonly flags: readonly Flag[];
  readonly argv: readonly string[];
}

/** The innermost verb that the arguments begin with, possibly after `help`; undefined if they name none. */
export function choose(verbs: readonly Verb[], argv: readonly string[]): Chosen | undefined {
  const [name, ...rest] = argv[0] === "help" ? argv.slice(1) : argv;
  const found = verbs.find((v) => v.name === name);
  if (!found) return undefined;
  const deeper = choose(found.verbs ?? [], rest);
  if (deeper) return { ...deeper, path: `${found.name} ${deeper.path}` };
  const verb = found.instead && rest.includes(found.instead.flag) ? found.instead.verb : found;
  return { verb, path: verb.name, flags: flagsOf(verb), argv: rest };
}

const flagsOf = (v: Verb): readonly Flag[] =>
  v.trains ? withBinaryFlags(v.flags ?? [], binaryFlags(v.name)) : (v.flags ?? []);

/** Adds a verb to `parent`. Only the chosen verb can run, so only its flags are added. */
export function addVerb(parent: Command, listed: Verb, chosen: Chosen | undefined): void {
  const isChosen = chosen !== undefined && (chosen.verb === listed || chosen.verb === listed.instead?.verb);
  const verb = isChosen ? chosen.verb : listed;
  const flags = isChosen ? chosen.flags : [];
  const c = new Command(verb.name).description(verb.purpose).exitOverride();
  parent.addCommand(c);
  const path = `${pathOf(parent)} ${verb.name}`;
  c.configureOutput(output(path)).configureHelp({ formatHelp: () => helpPage(path, verb, flags) });
  for (const v of verb.verbs ?? []) addVerb(c, v, chosen);
  const { native } = verb;
  if (native) {
    c.helpOption(false).allowUnknownOption().allowExcessArguments();
    c.action(async () => {
      process.exitCode = await nativeTool(native.tool, [...native.args, ...c.args]);
    });
    return;
  }
  for (const a of verb.arguments ?? []) c.argument(a.name.replace(/^(?=[^[])(.*)$/, "<$1>"), a.help);
  for (const f of flags) c.addOption(optionOf(f));
  const { run } = verb;
  if (!run) return;
  c.action(() => {
    const given: Given = {
      options: c.opts(),
      args: c.args,
      argv: chosen?.argv ?? [],
      flags,
      said: (option) => c.getOptionValueSource(option) === "cli",
    };
    return run.call(verb, given);
  });
}

const pathOf = (c: Command): string => (c.parent ? `${pathOf(c.parent)} ${c.name()}` : c.name());

/** Commander's output settings for the verb at `path`, with which messages begin. */
export const output = (path: string) => ({
  outputError: (text: string, write: (s: string) => void): void => write(text.replace(/^error: /, `${path}: `)),
});

/** Commander's names of a flag: one short and one long name. Others are rewritten before it parses (spelling.ts). */
function optionOf(f: Flag): Option {
  const short = f.names.find((n) => !n.startsWith("--"));
  const value = f.unit === undefined ? "" : ` <${f.unit}>`;
  const option = new Option(`${short === undefined ? "" : `${short}, `}${nameOf(f)}${value}`, f.help);
  if (f.kind) option.argParser(f.repeated || f.unit?.endsWith("...") ? collect(f.kind.parse) : f.kind.parse);
  if (f.default !== undefined) option.default(f.default);
  return f.needed ? option.makeOptionMandatory() : option;
}

const collect =
  (parse: (text: string) => unknown) =>
  (text: string, before: unknown): unknown[] => [...(Array.isArray(before) ? before : []), parse(text)];
