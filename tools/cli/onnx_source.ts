// Programs in ONNX files as a source of graphs: a training run that moproc exported, or an inference graph of another
// exporter. The values of their state are written to init.safetensors in the artefact. For an exported run this file is
// a checkpoint of the step at which the export was made.

import { basename } from "node:path";
import type { State } from "../../compiler/ir/types.js";
import type { Plan } from "../../compiler/lower/plan.js";
import { readModel } from "../../compiler/onnx/files.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import { bindInputs } from "../../compiler/onnx/foreign_data.js";
import { type Imported, importStep, isStep } from "../../compiler/onnx/import.js";
import type { Model, Tensor } from "../../compiler/onnx/model.js";
import { digest } from "../../compiler/util/digest.js";
import type { Source } from "./graphs.js";
import { bytesOf, writeState } from "./weights_file.js";

/**
 * The source with one program per file. `dims` are the extents that a file of another exporter leaves open, `constants`
 * the values of inputs that become constants. Throws, naming the file, if one is not supported, the files are not of
 * one export, or `dims` or `constants` are for no file.
 */
export function onnxSource(
  files: readonly string[],
  dims: ReadonlyMap<string, number>,
  constants: ReadonlyMap<string, Tensor> = new Map(),
): Source {
  const first = readModel(files[0] as string);
  if (!isStep(first)) return foreignSource(files, first, dims, constants);
  if (dims.size > 0) throw new Error(`--dim: ${files[0]} leaves no extent open; leave the flag out`);
  if (constants.size > 0) throw new Error(`--bind: ${files[0]} is a program of moproc's; leave the flag out`);
  const programs: Program[] = [];
  const states = new Map<string, Held>();
  for (const [i, file] of files.entries())
    programs.push(take(file, i === 0 ? first : readModel(file), programs, states)); // each state is kept once
  const { plan, checkpoint } = programs[0] as Program;
  return {
    name: plan.name,
    meta: plan.meta,
    key: digest(...programs.map((p) => p.key), ...digested(valuesOf(states))),
    graphs: () => programs.map((p) => p.graph),
    write: (dir, compiled) => writeState(dir, compiled, valuesOf(states), checkpoint),
  };
}

const valuesOf = (states: ReadonlyMap<string, Held>): ReadonlyMap<string, Tensor> =>
  new Map([...states].map(([name, { tensor }]) => [name, tensor]));
const digested = (values: ReadonlyMap<string, Tensor>): (string | Uint8Array)[] =>
  [...values].flatMap(([name, t]) => [name, bytesOf(t)]);

/** The source of a model that another exporter wrote. Tells on stderr which names the program has instead of others. */
function foreignSource(
  files: readonly string[],
  model: Model,
  dims: ReadonlyMap<string, number>,
  constants: ReadonlyMap<string, Tensor>,
): Source {
  const [file, other] = files as [string, ...string[]];
  if (other !== undefined) throw new Error(`${file}: moproc did not export it; such a model is compiled alone`);
  try {
    const { graph, values, renamed } = importForeign(bindInputs(model, constants), dims);
    const table = [...renamed].map(([from, to]) => `${JSON.stringify(from)} is ${to}`);
    if (table.length > 0) process.stderr.write(`note: ${file}: names that changed: ${table.join(", ")}\n`);
    return {
      name: basename(file, ".onnx").replace(/[^\w.+-]/g, "_"),
      meta: { task: "user" },
      key: digest(JSON.stringify(graph), ...digested(values)),
      graphs: () => [graph],
      ...(values.size > 0 && { write: (dir: string, compiled: Plan) => writeState(dir, compiled, values, {}) }),
    };
  } catch (e) {
    throw new Error(`${file}: ${(e as Error).message}`);
  }
}

type Program = Omit<Imported, "values"> & { readonly file: string; readonly key: string };

/** A state, and the first file that has it. */
interface Held {
  readonly tensor: Tensor;
  readonly file: string;
  readonly as: string; // type, role, init
}

/** The program of a file, which must fit the earlier programs. Adds its states to `states`. */
function take(file: string, model: Model, before: readonly Program[], states: Map<string, Held>): Program {
  try {
    const { values, ...p } = importStep(model);
    const twin = before.find((other) => other.graph.name === p.graph.name);
    if (twin) throw new Error(`holds the program ${p.graph.name}, as does ${twin.file}`);
    if (before[0]) same(before[0], p);
    for (const s of p.graph.state) hold(s, values.get(s.name) as Tensor, file, states);
    // everything except the values, which have a separate digest
    const key = JSON.stringify([p.graph, [...p.graph.updates].map(([s, v]) => [s.name, v.name])]);
    return { ...p, file, key };
  } catch (e) {
    throw new Error(`${file}: ${(e as Error).message}`);
  }
}

function hold(s: State, tensor: Tensor, file: string, states: Map<string, Held>): void {
  const as = JSON.stringify([s.type, s.role, s.init]);
  const known = states.get(s.name);
  if (!known) states.set(s.name, { tensor, file, as });
  else if (known.as !== as)
    throw new Error(`state ${s.name} has another type, role or initial value than in ${known.file}`);
  else if (Buffer.compare(bytesOf(tensor), bytesOf(known.tensor)) !== 0) {
    throw new Error(`state ${s.name} has other values than in ${known.file}`);
  }
}

/** Throws unless a file is of the same artefact and step of a run as the first one. */
function same(first: Program, p: Omit<Imported, "values">): void {
  for (const part of ["plan", "checkpoint"] as const) {
    const [x, y] = [first[part], p[part]].map((v) => JSON.stringify(v));
    if (x !== y) throw new Error(`is not of the same export as ${first.file}: its ${part} is ${y}, not ${x}`);
  }
}
