// moproc run: compiles an ONNX model for given inputs and runs it.

import { basename } from "node:path";
import type { Graph, Target } from "../../compiler/ir/types.js";
import { readModel } from "../../compiler/onnx/files.js";
import type { Tensor } from "../../compiler/onnx/model.js";
import { digest } from "../../compiler/util/digest.js";
import { type ModelFlags, modelFlagList, targetOf } from "./flags.js";
import { execute, type ForeignProgram, foreignProgram, modelOutputs } from "./foreign_program.js";
import { requireGpu } from "./gpu.js";
import { extent } from "./kinds.js";
import { cachedArtefact } from "./obtain.js";
import { type Options, sections, type Verb } from "./record.js";
import { readInputs, requireTensorFile, writeTensors } from "./tensor_files.js";

const device = ["--target", "--target-arch", "--precision"];

export const runVerb: Verb = {
  name: "run",
  usage: "MODEL.onnx --inputs FILE|DIR --outputs FILE [flags], or --cases DIR --out DIR",
  purpose: "Compiles an ONNX model for the given inputs and runs it, or runs test cases of the ONNX project.",
  more:
    "Extents that the model leaves open are those of the inputs. Inputs whose values decide shapes become constants " +
    "of the compiled program, which a note names. " +
    "With --cases every folder below DIR that has a model.onnx is a case, " +
    "with data in test_data_set_N/input_I.pb and output_I.pb; one line per case says whether it passed, failed, is " +
    "unsupported, or why there was an error. The exit code is 1 if a case failed or had an error.",
  arguments: [{ name: "[MODEL]", help: "The .onnx file." }],
  flags: [
    {
      names: ["--inputs"],
      unit: "PATH",
      section: sections.run,
      help:
        "The inputs by name: an .npz or .safetensors file, or a folder with input_0.pb, input_1.pb, ... in the " +
        "model's order, or NAME.pb or NAME.npy.",
    },
    {
      names: ["--dim"],
      unit: "NAME=N",
      kind: extent,
      repeated: true,
      section: sections.run,
      help: "An extent that the model leaves open as NAME (or INPUT:AXIS); inputs that have another one are refused.",
    },
    {
      names: ["--cases"],
      unit: "DIR",
      section: sections.run,
      help: "Instead of a model: the folder of test cases. Its tolerances.json, and a case's data.json, are read.",
    },
    {
      names: ["--outputs"],
      unit: "FILE",
      section: sections.output,
      help: "The outputs by name, as .npz or .safetensors.",
    },
    {
      names: ["--out"],
      unit: "DIR",
      section: sections.output,
      help: "With --cases: the folder for what the models computed, CASE/test_data_set_N/output_I.pb.",
    },
    {
      names: ["--json"],
      unit: "FILE",
      section: sections.output,
      help: "With --cases: the file for all results, with errors and reasons.",
    },
    ...modelFlagList.filter((f) => device.includes(f.names.at(-1) as string)),
  ],
  async run({ options, args }) {
    const target = targetOf({ ...(options as unknown as ModelFlags), ranks: [1] });
    requireGpu(options);
    if (options.cases !== undefined) return casesOf(options, args, target);
    const [file] = args;
    if (file === undefined) throw new Error("give the model, or --cases DIR");
    const { inputs, outputs } = needed(options, "a model", ["inputs", "outputs"], ["out", "json"]);
    const dims = new Map((options.dim as (readonly [string, number])[] | undefined) ?? []);
    requireTensorFile(outputs as string);
    const results = await runModel(file, inputs as string, dims, target);
    writeTensors(outputs as string, results);
    process.stdout.write(`${outputs}: ${results.map((t) => `${t.name} ${t.type}[${t.dims}]`).join(", ")}\n`);
  },
};

const flagOf = (name: string): string => `--${name}`;

/** The options that must be there. Throws if one is missing, or if one of `others` is given. */
function needed(options: Options, what: string, names: readonly string[], others: readonly string[]): Options {
  const missing = names.filter((n) => options[n] === undefined);
  if (missing.length > 0) throw new Error(`with ${what}, ${missing.map(flagOf).join(" and ")} must be given`);
  const odd = others.find((n) => options[n] !== undefined);
  if (odd !== undefined) throw new Error(`${flagOf(odd)}: does not go with ${what}; leave the flag out`);
  return options;
}

async function casesOf(options: Options, args: readonly string[], target: Target): Promise<void> {
  const o = needed(options, "--cases", ["out"], ["inputs", "outputs", "dim"]);
  if (args.length > 0) throw new Error(`${args[0]}: a model is run alone, without --cases`);
  const { runCases } = await import("./cases/run_cases.js");
  const counts = await runCases(String(o.cases), String(o.out), o.json as string | undefined, target);
  if (counts.failed + counts.error > 0) process.exitCode = 1;
}

/** The outputs of a model, by its order, for the inputs in a file or folder. Every error names the model. */
async function runModel(
  file: string,
  inputs: string,
  dims: ReadonlyMap<string, number>,
  target: Target,
): Promise<Tensor[]> {
  const model = readModel(file);
  const data = readInputs(inputs, model.graph);
  let p: ForeignProgram;
  try {
    p = foreignProgram(model, data, dims, { program: "main", statePrefix: "" });
  } catch (e) {
    throw new Error(`${file}: ${(e as Error).message}`);
  }
  if (p.bound.length > 0)
    process.stderr.write(`note: ${file}: constants of the program, with their values: ${p.bound.join(", ")}\n`);
  if (!p.graph) return modelOutputs(p, {});
  const { dir } = await cachedArtefact(sourceOf(file, p.graph), target);
  const { load } = await import("node-cuda-rt"); // only here: other verbs do not need the addon
  return modelOutputs(p, await execute(load(dir), p.job));
}

/** The source of the program alone: the states' values are set when it runs, so they are not in the key. */
const sourceOf = (file: string, graph: Graph) => ({
  name: `run_${basename(file, ".onnx").replace(/[^\w.+-]/g, "_")}`,
  meta: { task: "user" },
  key: digest(JSON.stringify(graph)),
  graphs: () => [graph],
});
