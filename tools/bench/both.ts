// An ONNX model compiled by us and loaded by ONNX Runtime, on the same inputs.

import { type Artefact, load, type Values } from "node-cuda-rt";
import type { Graph } from "../../compiler/ir/types.js";
import { type Elements, elementsOf, type Model, type Tensor } from "../../compiler/onnx/model.js";
import { encodeModel } from "../../compiler/onnx/proto.js";
import { digest } from "../../compiler/util/digest.js";
import { onnxRuntime } from "../cli/export_runtime.js";
import { targetOf } from "../cli/flags.js";
import { execute, type ForeignProgram, foreignProgram, modelOutputs } from "../cli/foreign_program.js";
import { cachedArtefact } from "../cli/obtain.js";

export const ort = await onnxRuntime();
export type Session = Awaited<ReturnType<typeof ort.InferenceSession.create>>;

export const peerName = `ONNX Runtime ${ort.env.versions.node ?? ort.env.versions.common}`;

/** A model with data for its inputs. */
export interface Subject {
  readonly name: string;
  readonly model: Model;
  readonly inputs: readonly Tensor[];
}

/** A subject that both can run, and how far their outputs differ at most, relative to the largest output. */
export interface Pair {
  readonly name: string;
  readonly ours: () => Promise<unknown>;
  readonly peer: () => Promise<unknown>;
  readonly difference: number;
  close(): Promise<void>;
}

const programName = (i: number): string => `p${i}`;

/** All subjects compiled as one artefact: its folder, the programs and the seconds that it took. */
export async function compileAll(subjects: readonly Subject[]) {
  const programs = subjects.map(({ model, inputs }, i) =>
    foreignProgram(model, new Map(inputs.map((t) => [t.name, t])), new Map(), {
      program: programName(i),
      statePrefix: `${programName(i)}.`,
    }),
  );
  const graphs = programs.flatMap((p) => (p.graph ? [p.graph] : [])) as Graph[];
  const { dir, built } = await cachedArtefact(
    { name: "bench", meta: { task: "user" }, key: digest(JSON.stringify(graphs)), graphs: () => graphs },
    targetOf({ target: "cpu", ranks: [1] } as never),
  );
  return { dir, programs, seconds: built?.seconds };
}

export const feeds = (inputs: readonly Tensor[]): Record<string, InstanceType<typeof ort.Tensor>> =>
  Object.fromEntries(
    inputs.map((t) => [t.name, new ort.Tensor(ortType(t.type) as never, elementsOf(t) as never, [...t.dims])]),
  );

const ortType = (type: string): string =>
  ({ f32: "float32", f64: "float64", i64: "int64", i32: "int32", u8: "uint8", i8: "int8", bool: "bool" })[type] ?? type;

export async function session(model: Model, threads: number): Promise<Session> {
  return ort.InferenceSession.create(encodeModel(model), {
    intraOpNumThreads: threads,
    logSeverityLevel: 3,
    // without this its threads spin on for tens of milliseconds after a run, on cores that the other one needs
    extra: { session: { force_spinning_stop: "1" } },
  });
}

/** Runs a subject once with each, and returns both for measuring. Throws if the outputs have other sizes. */
export async function pair(s: Subject, p: ForeignProgram, a: Artefact, threads: number): Promise<Pair> {
  const peer = await session(s.model, threads);
  const fed = feeds(s.inputs);
  const theirs = await peer.run(fed);
  const own = modelOutputs(p, await execute(a, p.job));
  let difference = 0;
  for (const t of own) {
    const [got, want] = [elementsOf(t) as Elements, theirs[t.name]?.data as unknown as ArrayLike<number>];
    if (got.length !== want.length)
      throw new Error(`${s.name}: ${t.name} has ${got.length} elements, not ${want.length}`);
    difference = Math.max(difference, relative(got, want));
  }
  const inputs: Readonly<Record<string, Values>> = p.job.inputs;
  return {
    name: s.name,
    ours: () => a.run(p.job.program, inputs),
    peer: () => peer.run(fed),
    difference,
    close: () => peer.release(),
  };
}

/** The largest difference, relative to the largest element. */
function relative(got: Elements, want: ArrayLike<number>): number {
  let [most, largest] = [0, 0];
  for (let i = 0; i < got.length; i++) {
    const [x, y] = [Number(got[i]), Number(want[i])];
    if (Object.is(x, y)) continue;
    most = Math.max(most, Math.abs(x - y));
    largest = Math.max(largest, Math.abs(y));
  }
  return most === 0 ? 0 : most / Math.max(largest, 1e-30);
}

export const loaded = (dir: string, threads: number): Artefact => load(dir, { threads });
