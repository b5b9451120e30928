// moproc compile: compiles a network by name, a user's own step.ts, or programs that were exported as ONNX, to an
// artefact folder.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { binaryName } from "../../compiler/emit/project.js";
import { launchesOf } from "../../compiler/lower/launches.js";
import { type Extra, extras, modelFlagList, modelFlags, targetOf } from "./flags.js";
import { modelGraphs, printGraphs, type Source, userGraphs } from "./graphs.js";
import { extent, namedFile } from "./kinds.js";
import { learningFlags } from "./learning.js";
import { artefactKey, type Obtained, obtain } from "./obtain.js";
import { notePrecision } from "./precision.js";
import { sections, type Verb } from "./record.js";
import { sampleModel } from "./sample_run.js";
import { isTypeScript } from "./type_check.js";
import { megabytes } from "./units.js";
import { INIT } from "./weights_file.js";

export const compileVerb: Verb = {
  name: "compile",
  usage: "[STEP...] [flags]",
  purpose:
    "Builds an artefact directory: a training binary (for graphs of your own, the binary `run`), program.so for the " +
    "Node addon, plan and kernels to read.",
  arguments: [
    {
      name: "[STEP...]",
      help:
        "Instead of -a: step.ts, a module of your own that exports programs(): Graph[]; the .onnx files that " +
        "`moproc export --training` wrote, which share their state; or one .onnx file of another exporter, whose " +
        "inference graph becomes the program `main`.",
    },
  ],
  flags: [
    {
      names: ["-o", "--out"],
      unit: "DIR",
      shown: "out/NAME",
      section: sections.output,
      help: "The artefact directory. An older artefact is replaced; any other folder with files is refused.",
    },
    {
      names: ["--stop-after"],
      unit: "PASS",
      section: sections.output,
      help: "Stops after this pass and prints the graphs; nothing is built.",
    },
    {
      names: ["--task"],
      unit: "NAME",
      default: "mopro",
      section: sections.compiled,
      help:
        "What is trained: mopro; classifier, by plain cross-entropy; retrain, a classifier's last layer alone; or, " +
        "without training, embed, features, or predict, features and classes.",
    },
    {
      names: ["--with"],
      unit: "LIST",
      section: sections.compiled,
      help: `What the steps of --task classifier take besides images and labels, of ${extras.join(", ")}.`,
    },
    ...modelFlagList,
    ...learningFlags,
    {
      names: ["--dim"],
      unit: "NAME=N",
      kind: extent,
      repeated: true,
      section: sections.compiled,
      help: "The extent that a .onnx file of another exporter leaves open as NAME (or INPUT:AXIS), such as its batch.",
    },
    {
      names: ["--bind"],
      unit: "NAME=FILE",
      kind: namedFile,
      repeated: true,
      section: sections.compiled,
      help:
        "Makes input NAME of a .onnx file of another exporter a constant, such as one that decides shapes: the " +
        "tensor of a .pb or .npy file, or the one of this name of an .npz or .safetensors file.",
    },
    {
      names: ["--no-type-check"],
      section: "check",
      help: "Does not check the types of step.ts before it runs; otherwise TypeScript does, if it is installed.",
    },
  ],
  examples: [`moproc compile ${sampleModel} -o built`],
  async run({ options, args: steps }) {
    const flags = modelFlags(options);
    const target = targetOf(flags);
    if (target.device === "cpu" && flags.precision !== undefined) notePrecision(flags.precision);
    const typeCheck = options.typeCheck as boolean;
    if (!typeCheck && !steps.some(isTypeScript))
      throw new Error("--no-type-check: only a step.ts of your own is type-checked; leave the flag out");
    const dims = new Map((options.dim as (readonly [string, number])[] | undefined) ?? []);
    if (dims.size > 0 && !steps.some(isOnnx))
      throw new Error("--dim: only a .onnx file leaves extents open; leave the flag out");
    const bind = new Map((options.bind as (readonly [string, string])[] | undefined) ?? []);
    if (bind.size > 0 && !steps.some(isOnnx))
      throw new Error("--bind: only a .onnx file has inputs that can be constants; leave the flag out");
    const source =
      steps.length > 0
        ? await filesSource(steps, typeCheck, dims, bind)
        : modelGraphs(String(options.task), flags, extrasOf(options.with));
    const stopAfter = options.stopAfter as string | undefined;
    if (stopAfter !== undefined) return printGraphs(source.graphs(), target, stopAfter);
    const dir = (options.out as string | undefined) ?? `out/${source.name}`;
    process.stdout.write(summary(await obtain(source, target, dir, await artefactKey(source, target))));
  },
};

function extrasOf(list: unknown): readonly Extra[] {
  const names = typeof list === "string" ? list.split(",") : [];
  const unknown = names.find((n) => !(extras as readonly string[]).includes(n));
  if (unknown !== undefined) throw new Error(`--with ${unknown}: known are ${extras.join(", ")}`);
  return names as Extra[];
}

const isOnnx = (file: string): boolean => file.endsWith(".onnx");

async function filesSource(
  steps: readonly string[],
  typeCheck: boolean,
  dims: ReadonlyMap<string, number>,
  bind: ReadonlyMap<string, string>,
): Promise<Source> {
  if (steps.every(isOnnx)) {
    const { readTensor } = await import("./tensor_files.js");
    const constants = new Map([...bind].map(([name, file]) => [name, readTensor(file, name)]));
    return (await import("./onnx_source.js")).onnxSource(steps, dims, constants);
  }
  const [file, other] = steps as [string, ...string[]];
  if (other !== undefined)
    throw new Error(`${other}: if several files are given, all must be programs exported as .onnx`);
  return userGraphs(file, typeCheck);
}

function summary({ dir, plan, built }: Obtained): string {
  const work = Math.max(...plan.programs.map((p) => p.workBytes));
  const lower = Math.max(...plan.programs.map((p) => p.liveBytesMax));
  const init = join(dir, INIT);
  const trains = binaryName(plan.meta) === "train";
  const cached =
    built &&
    (built.compiled === 0
      ? "all from the cache"
      : `${built.compiled} compiled, ${built.objects - built.compiled} from the cache`);
  return [
    `${dir}: ${plan.programs.map((p) => `${p.name} ${launchesOf(p).length}`).join(", ")} launches; ` +
      `${plan.kernels.length} kernels for ${plan.target.arch}`,
    `  state ${megabytes(plan.arenas.state)}, gradients ${megabytes(plan.arenas.grad)}, work ${megabytes(work)} ` +
      `(lower bound ${megabytes(lower)}), io ${megabytes(plan.arenas.io)}`,
    ...(existsSync(init)
      ? [`  the files' state is in ${init}; ${trains ? "train --resume reads it" : "run begins with it"}`]
      : []),
    ...(trains ? [] : [`  ${join(dir, "run")} --help says how to run them`]),
    built ? `  ${built.objects} objects, ${cached}, ${built.seconds.toFixed(1)} s` : "  unchanged: nothing to do",
    "",
  ].join("\n");
}
