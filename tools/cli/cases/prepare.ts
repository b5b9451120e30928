// What a case needs before it runs: a program for each of its sets of data, and which operator the case is about.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Graph, Target } from "../../../compiler/ir/types.js";
import { readModel } from "../../../compiler/onnx/files.js";
import type { Model, Tensor } from "../../../compiler/onnx/model.js";
import { decodeTensorFile, type Outline, outlineOf } from "../../../compiler/onnx/proto.js";
import { Unsupported } from "../../../compiler/onnx/unsupported.js";
import { lower } from "../../../compiler/pipeline.js";
import { type ForeignProgram, foreignProgram } from "../foreign_program.js";
import { readFolder } from "../tensor_files.js";
import { type Case, numbered } from "./find.js";

export type Status = "passed" | "failed" | "unsupported" | "error";

/** What is known of a case. */
export interface Result {
  readonly name: string;
  readonly status: Status;
  readonly operator: string; // that the case is about; "several" for a graph of several operators
  readonly opset: number; // of the model; 0 if it cannot be read
  readonly error?: number; // the largest error, if it passed
  readonly share?: number; // the largest error as a share of the tolerance
  readonly reason?: string; // if it did not pass
  readonly unsupported?: readonly string[]; // operators that are not supported
  readonly constants?: readonly string[]; // inputs whose values were compiled in
  readonly folded?: true; // all outputs are constants, so that no kernel ran
}

export interface SetProgram extends ForeignProgram {
  readonly set: string;
  readonly expected: readonly Tensor[];
}

/** A case whose programs can be compiled. */
export interface Prepared {
  readonly of: Case;
  readonly about: Pick<Result, "operator" | "opset">;
  readonly sets: readonly SetProgram[];
}

/**
 * The operator that a case is about. A case test_X_expanded has the function body of test_X's operator, whose name is
 * at the beginning of the names of the body's values: ReduceL1_test_X_expanded_function_data.
 */
export function operatorOf({ nodes }: Outline): string {
  const named = nodes.flatMap((n) => n.outputs).map((o) => /^(\w+?)_test_\w+_function_/.exec(o)?.[1]);
  const body = named.find((o) => o !== undefined);
  const [first, ...more] = nodes.map((n) => n.operator);
  return body ?? (first !== undefined && more.every((o) => o === first) ? first : "several");
}

/** Whether an error says that something is not supported: the compiler marks its own faults. */
const isRefusal = (e: unknown): e is Error =>
  e instanceof Error && e.constructor !== TypeError && e.constructor !== RangeError && !/^internal/.test(e.message);

/** The programs of a case, or its result if it cannot be compiled. `number` makes names unique among cases. */
export function prepare(of: Case, number: number, target: Target): Prepared | Result {
  const about = { operator: "unknown", opset: 0 };
  const file = join(of.dir, "model.onnx");
  const end = (status: Status, e: Error): Result => {
    const operators = e instanceof Unsupported ? e.operators : [];
    const reason = e.message.replaceAll(`${of.dir}/`, "");
    return { name: of.name, status, ...about, reason, ...(operators.length > 0 && { unsupported: operators }) };
  };
  let model: Model;
  try {
    const outline = outlineOf(readFileSync(file));
    about.operator = operatorOf(outline);
    about.opset = outline.opset;
    model = readModel(file);
    if (of.sets.length === 0) throw new Error("it has no folder test_data_set_0");
  } catch (e) {
    return end(e instanceof Unsupported ? "unsupported" : "error", e as Error);
  }
  try {
    const sets = of.sets.map((s, i) => programOf(model, readSet(of, s, model), `case${number}_${i}`, target));
    return { of, about, sets };
  } catch (e) {
    return end(e instanceof Unsupported ? "unsupported" : "error", e as Error);
  }
}

interface Data {
  readonly set: string;
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly expected: readonly Tensor[];
}

function readSet(of: Case, set: string, model: Model): Data {
  const dir = join(of.dir, set);
  const expected = numbered(dir, "output").map((f) => decodeTensorFile(readFileSync(f)));
  return { set, inputs: readFolder(dir, model.graph), expected };
}

function programOf(model: Model, { set, inputs, expected }: Data, name: string, target: Target): SetProgram {
  const p = foreignProgram(model, inputs, new Map(), { program: name, statePrefix: `${name}.` });
  if (p.graph) requireKernels(p.graph, target);
  return { ...p, set, expected };
}

/** Throws Unsupported if there are no kernels for a graph, so that it stops no others. */
function requireKernels(g: Graph, target: Target): void {
  try {
    lower([g], { name: "case", target });
  } catch (e) {
    throw isRefusal(e) ? new Unsupported(e.message) : e;
  }
}
