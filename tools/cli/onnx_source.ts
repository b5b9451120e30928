// Programs that were exported as ONNX, as a source of graphs. The values of their state are written to init.safetensors
// in the artefact. This file is a checkpoint of the run at the step at which the export was made.

import { join } from "node:path";
import { planDigest } from "../../compiler/emit/plan_json.js";
import type { State } from "../../compiler/ir/types.js";
import { readModel } from "../../compiler/onnx/files.js";
import { type Imported, importStep } from "../../compiler/onnx/import.js";
import type { Tensor } from "../../compiler/onnx/model.js";
import { digest } from "../../compiler/util/digest.js";
import type { SafetensorsDType } from "../../compiler/util/safetensors.js";
import { writeSafetensors } from "../../compiler/util/safetensors_writer.js";
import { INIT, type Source } from "./graphs.js";

/** The dtypes of safetensors by those of the IR. */
export const safetensorsTypes: Readonly<Record<string, SafetensorsDType>> = {
  f32: "F32",
  bf16: "BF16",
  f16: "F16",
  f64: "F64",
  i64: "I64",
  i32: "I32",
  u8: "U8",
  bool: "BOOL",
};

/**
 * The source with one program per file. Throws, naming the file, if one is not supported or the files are not of one
 * export.
 */
export function onnxSource(files: readonly string[]): Source {
  const programs: Program[] = [];
  const states = new Map<string, Held>();
  for (const file of files) programs.push(take(file, programs, states)); // each state is kept once, not once per file
  const { plan, checkpoint } = programs[0] as Program;
  const tensors = [...states].map(([name, { tensor }]) => ({
    name,
    dtype: safetensorsTypes[tensor.type] as SafetensorsDType,
    shape: tensor.dims,
    bytes: bytesOf(tensor),
  }));
  return {
    name: plan.name,
    meta: plan.meta,
    key: digest(...programs.map((p) => p.key), ...tensors.flatMap((t) => [t.name, t.bytes])),
    graphs: () => programs.map((p) => p.graph),
    write: (dir, compiled) =>
      writeSafetensors(join(dir, INIT), tensors, {
        plan_digest: planDigest(compiled),
        ...checkpoint,
        format: "moproc-checkpoint-1",
      }),
  };
}

type Program = Omit<Imported, "values"> & { readonly file: string; readonly key: string };

/** A state, and the first file that has it. */
interface Held {
  readonly tensor: Tensor;
  readonly file: string;
  readonly as: string; // type, role, init
}

const bytesOf = (t: Tensor): Uint8Array => t.data as Uint8Array; // readModel() reads all tensors into memory

/** The program of a file, which must fit the earlier programs. Adds its states to `states`. */
function take(file: string, before: readonly Program[], states: Map<string, Held>): Program {
  const model = readModel(file);
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
