// Verbs that run a training binary. They find or build the binary for the flags that are compiled in; the binary reads
// all other flags.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { nativeFile } from "../../compiler/emit/native.js";
import { modelFlagList } from "./flags.js";
import { Refused, spawnTool } from "./native.js";
import { type Given, sections, type Verb } from "./record.js";
import { nameOf, passedOn } from "./spelling.js";

type Described = Pick<Verb, "name" | "usage" | "purpose" | "more" | "arguments" | "flags" | "examples">;

/** A verb of the training binary. */
export interface BinaryVerb extends Described {
  /** The first argument of the binary; absent for training itself. */
  readonly command?: string;
  /** Finds or builds the artefact whose binary runs, unless --artefact names one. */
  artefact(given: Given): Promise<string>;
  /** Throws for arguments that can be recognised as wrong before anything is built. */
  check?(given: Given): void;
  /** Throws if `after` would replace a file that moproc did not write. */
  targets?(given: Given): void;
  /** Runs after the binary has ended with exit code `status`. */
  after?(given: Given, status: number): Promise<void>;
}

const artefactFlag = {
  names: ["--artefact"],
  unit: "DIR",
  section: sections.compiled,
  help: "Uses this artefact; without it a fitting one is found or built in the cache.",
} as const;

/**
 * Checks the binary's flags before it is built: whether they parse, and whether the run would replace a file that
 * moproc did not write. Throws Refused if something is wrong; the reason is on stderr then.
 */
function requireTargets(args: readonly string[]): void {
  const r = spawnSync(nativeFile("moproc-train-help"), ["targets", ...args], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (r.error) throw r.error;
  if (r.status !== 0) throw new Refused();
}

/** The record of a verb that runs a training binary. */
export function binaryVerb({ command, artefact, check, targets, after, ...described }: BinaryVerb): Verb {
  return {
    ...described,
    flags: [...modelFlagList, artefactFlag, ...(described.flags ?? [])],
    trains: true,
    async run(given) {
      check?.(given);
      const args = [...(command === undefined ? [] : [command]), ...passedOn(given.argv, given.flags)];
      requireTargets(args);
      targets?.(given);
      const dir = (given.options.artefact as string | undefined) ?? (await artefact(given));
      const binary = join(dir, "train");
      if (!existsSync(binary) && existsSync(join(dir, "run")))
        throw new Error(`${dir}: holds graphs of your own, which no training verb can run; see ${dir}/run --help`);
      const status = await spawnTool(binary, args);
      process.exitCode = status;
      await after?.(given, status);
    },
  };
}

/** The value of a text option, or otherwise the binary's default; undefined if there is neither. */
export function textOf(given: Given, option: string, name: string): string | undefined {
  return (given.options[option] as string | undefined) ?? given.flags.find((f) => nameOf(f) === name)?.shown;
}
