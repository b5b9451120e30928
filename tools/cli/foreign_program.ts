// A foreign model with data for its inputs as a program that can be run: its graph, the values of states and inputs,
// and how the model's outputs come from the program's.

import type { Artefact, Values } from "node-cuda-rt";
import type { DType, Graph, Value } from "../../compiler/ir/types.js";
import { importWithData } from "../../compiler/onnx/foreign_data.js";
import { elementsOf, type Model, type Tensor, tensorOf } from "../../compiler/onnx/model.js";

/** What a loaded artefact runs. It can be sent to another process. */
export interface Job {
  readonly program: string;
  readonly states: Readonly<Record<string, Values>>;
  readonly inputs: Readonly<Record<string, Values>>;
}

/** An output of the model: a constant, or an output of the program with another name. */
type Output =
  | { readonly constant: Tensor }
  | { readonly name: string; readonly from: string; readonly type: DType; readonly shape: readonly number[] };

export interface ForeignProgram {
  readonly graph: Graph | undefined; // undefined: all outputs are constants
  readonly job: Job;
  readonly outputs: readonly Output[];
  readonly bound: readonly string[]; // inputs of the model that are constants in the program
}

export interface Naming {
  readonly program: string;
  readonly statePrefix: string;
}

/** The program of a model for these data. Throws as importWithData(). */
export function foreignProgram(
  m: Model,
  data: ReadonlyMap<string, Tensor>,
  dims: ReadonlyMap<string, number>,
  naming: Naming,
): ForeignProgram {
  const { foreign, bound } = importWithData(m, data, dims, naming);
  const { graph, values, inputs, outputs, folded } = foreign;
  const valuesOf = (t: Tensor): Values => elementsOf(t) as Values;
  const job: Job = {
    program: naming.program,
    states: eachWhenRead(values, valuesOf),
    inputs: Object.fromEntries([...inputs].map(([name, to]) => [to, valuesOf(data.get(name) as Tensor)])),
  };
  const of = (name: string): Output => {
    const constant = folded.get(name);
    if (constant) return { constant: { ...constant, name } };
    const from = outputs.get(name) as string;
    const { type } = graph.outputs.find((v) => v.name === from) as Value;
    return { name, from, type: type.dtype, shape: type.shape };
  };
  return {
    graph: outputs.size > 0 ? graph : undefined,
    job,
    outputs: m.graph.outputs.map((v) => of(v.name)),
    bound,
  };
}

/**
 * An object whose members are made when they are read. Tensors that a file does not align are copied, and all copies
 * together would be as large as the file.
 */
function eachWhenRead<T, V>(of: ReadonlyMap<string, T>, make: (x: T) => V): Readonly<Record<string, V>> {
  const made = {};
  for (const [name, x] of of) Object.defineProperty(made, name, { enumerable: true, get: () => make(x) });
  return made;
}

/** Runs a program of a loaded artefact; resolves with the program's outputs by name. */
export async function execute(a: Artefact, { program, states, inputs }: Job): Promise<Record<string, Values>> {
  for (const name of Object.keys(states)) a.set(name, states[name] as Values); // one after the other
  return a.run(program, inputs);
}

/** The model's outputs, in its order and with its names, from those of the program. */
export const modelOutputs = (p: ForeignProgram, results: Readonly<Record<string, Values>>): Tensor[] =>
  p.outputs.map((o) => ("constant" in o ? o.constant : tensorOf(o.name, o.type, o.shape, results[o.from] as Values)));
