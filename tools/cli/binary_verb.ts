// Verbs that run a training binary. They find or build the binary for the flags that are compiled in; the binary reads
// all other flags.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { nativeFile } from "../../compiler/emit/native.js";
import { modelFlagList } from "./flags.js";
import { requireGpu } from "./gpu.js";
import { Refused, spawnTool } from "./native.js";
import { hasLauncher } from "./ranks.js";
import { type Given, sections, type Verb } from "./record.js";
import { nameOf, passedOn } from "./spelling.js";

type Described = Pick<Verb, "name" | "usage" | "purpose" | "more" | "arguments" | "flags" | "examples">;

/** What is known about a command's input before an artefact is compiled for it. */
export interface Preflight {
  readonly checkpoint: string; // from which the run begins or which it continues; "" for none
  readonly num_class: number; // classes of the data folder; 0 if the verb reads none
  readonly all_classes: boolean; // whether a network with fewer classes cannot use the folder
  readonly images: number; // for training; 0 if they are not known, as many in class folders are without --recipe auto
}

/** The artefact for a command, and further arguments that its binary gets. */
export interface Fitting {
  readonly dir: string;
  readonly args?: readonly string[];
}

/** A verb of the training binary. */
export interface BinaryVerb extends Described {
  /** The first argument of the binary; absent for training itself. */
  readonly command?: string;
  /** Finds or builds the artefact whose binary runs, unless --artefact names one. */
  artefact(given: Given, preflight: Preflight): Promise<Fitting>;
  /** Throws or rejects for arguments that can be recognised as wrong before anything is built. */
  check?(given: Given): void | Promise<void>;
  /** Arguments that the binary gets besides those of the command line. */
  added?(given: Given): Promise<readonly string[]>;
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
 * Checks the command before the binary is built: whether its flags parse, whether it would replace a file that moproc
 * did not write, whether its data folder and checkpoint can be read. Throws Refused if something is wrong; the reason
 * is on stderr then.
 */
function preflightOf(args: readonly string[]): Preflight {
  const r = spawnSync(nativeFile("moproc-train-help"), ["preflight", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  if (r.error) throw r.error;
  if (r.status !== 0) throw new Refused();
  return JSON.parse(r.stdout) as Preflight;
}

/** Throws if the artefact cannot be found, or needs a GPU that this machine does not have. */
function requireDevice({ options }: Given): void {
  const { artefact } = options;
  if (artefact !== undefined && !existsSync(String(artefact)))
    throw new Error(`--artefact ${artefact}: no such folder; \`moproc compile\` makes artefacts`);
  if (options.artefact === undefined && options.target === "cpu" && options.gpu !== undefined)
    throw new Error(
      `--gpu ${options.gpu}: the kernels are compiled for the CPU; --target cuda compiles them for a GPU`,
    );
  if (options.artefact === undefined) requireGpu(options);
}

/** Throws, with what to do, if a checkpoint is named and the file is an ONNX model. */
function requireCheckpoint({ options }: Given, verb: string, takesModel: boolean): void {
  const named = [options.resume, options.modelPath, options.pretrained];
  const model = named.find((path) => typeof path === "string" && path.endsWith(".onnx"));
  if (model === undefined) return;
  const remedy = takesModel
    ? `name it without a flag: moproc ${verb} ${model}`
    : `\`moproc finetune ${model}\` trains it and writes checkpoints, \`moproc run ${model}\` computes its outputs`;
  throw new Error(`${model}: is an ONNX model, not a checkpoint; ${remedy}`);
}

/** The record of a verb that runs a training binary. */
export function binaryVerb({ command, artefact, check, added, targets, after, ...described }: BinaryVerb): Verb {
  return {
    ...described,
    flags: [...modelFlagList, artefactFlag, ...(described.flags ?? [])],
    trains: true,
    async run(given) {
      const parent = process.ppid;
      const takesModel = described.arguments?.some((a) => a.name === "[MODEL.onnx]") === true;
      requireCheckpoint(given, described.name, takesModel);
      await check?.(given);
      const own = takesModel ? given.args : []; // not the binary's
      const argv = given.argv.filter((a) => !own.includes(a));
      const args = [
        ...(command === undefined ? [] : [command]),
        ...passedOn(argv, given.flags),
        ...((await added?.(given)) ?? []),
      ];
      const preflight = preflightOf(args);
      targets?.(given);
      requireDevice(given);
      const named = given.options.artefact as string | undefined;
      const { dir, args: fitting = [] } = named === undefined ? await artefact(given, preflight) : { dir: named };
      const binary = join(dir, "train");
      if (!existsSync(binary) && existsSync(join(dir, "run")))
        throw new Error(`${dir}: holds graphs of your own, which no training verb can run; see ${dir}/run --help`);
      if (hasLauncher() && process.ppid !== parent)
        throw new Error(`the launcher of this rank (process ${parent}) has ended before training could begin`);
      const status = await spawnTool(binary, [...args, ...fitting]);
      process.exitCode = status;
      await after?.(given, status);
    },
  };
}

/** The value of a text option, or otherwise the binary's default; undefined if there is neither. */
export function textOf(given: Given, option: string, name: string): string | undefined {
  return (given.options[option] as string | undefined) ?? given.flags.find((f) => nameOf(f) === name)?.shown;
}
