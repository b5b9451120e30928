// Training binaries in tests: compiled below build/test, run on replay files, their traces read; and the comparison
// tool, called as by its users.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Values } from "node-cuda-rt";
import type { Target } from "../../compiler/ir/types.js";
import { compile } from "../../compiler/pipeline.js";
import { root } from "../../compiler/util/root.js";
import { type MoproConfig, moproPrograms, type Phase } from "../../models/mopro.js";
import { nativeTarget } from "./compiled.js";

export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Values;
}
export type Tensors = ReadonlyMap<string, Tensor>;

interface Files {
  readSafetensors(path: string): {
    readonly tensors: Map<string, Tensor>;
    readonly metadata: Record<string, string>;
  };
  writeSafetensors(path: string, tensors: Tensors, metadata: Readonly<Record<string, string>>): void;
}
const tool = (name: string): string => join(root, "tools", "replay", name);
export const { readSafetensors, writeSafetensors } = (await import(
  pathToFileURL(tool("safetensors.mjs")).href
)) as Files;

/** The entry of a step that --trace writes. Lists have one value per group; null if the phase lacks the quantity. */
export interface TraceEntry {
  readonly phase: Phase;
  readonly loss: readonly (number | null)[];
  readonly loss_cls: readonly (number | null)[];
  readonly loss_inst: readonly (number | null)[];
  readonly loss_proto: readonly (number | null)[];
  readonly acc_cls: readonly (number | null)[];
  readonly acc_inst: readonly (number | null)[];
  readonly acc_proto: readonly (number | null)[];
  readonly clean: readonly (number | null)[];
  readonly target: readonly (readonly number[] | null)[];
  readonly kept: readonly (readonly number[] | null)[];
  readonly finite: boolean;
  readonly grad_l2: Readonly<Record<string, number>>;
}

export interface OwnTrace {
  readonly steps: readonly TraceEntry[];
  readonly tensors: Readonly<
    Record<string, { readonly l2: number; readonly mean: number; readonly first: readonly number[] }>
  >;
}

export interface ReplayStep {
  readonly phase: Phase;
  readonly lr: number;
  readonly epoch: number;
}

/** Compiles MoPro as an artefact with a training binary; returns its folder. */
export async function compileMopro(name: string, config: MoproConfig, target: Target = nativeTarget): Promise<string> {
  const dir = join(root, "build", "test", name);
  const { keep_values, foreign: _, ...rest } = config;
  const meta = { task: "mopro", ...rest, ...(keep_values && { keep_values: 1 }) };
  await compile(moproPrograms(config), dir, { name, target, meta });
  return dir;
}

export interface Ran {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a program to its end. */
export function run(command: string, args: readonly string[]): Ran {
  const r = spawnSync(command, args, { encoding: "utf8" });
  return { status: r.status, out: r.stdout, err: r.stderr };
}

/**
 * Runs a replay into `folder` (trace.json, states with `states`). Throws an Error with the binary's message if it
 * fails.
 */
export function replay(
  dir: string,
  folder: string,
  file: string,
  more: readonly string[] = [],
  states = false,
): OwnTrace {
  mkdirSync(folder, { recursive: true });
  const trace = join(folder, "trace.json");
  const flags = [
    "--replay",
    file,
    "--trace",
    trace,
    "--threads",
    "2",
    ...(states ? ["--trace-state", folder] : []),
    ...more,
  ];
  const r = run(join(dir, "train"), flags);
  if (r.status !== 0) throw new Error(`train ${flags.join(" ")}: ${r.err}`);
  return JSON.parse(readFileSync(trace, "utf8")) as OwnTrace;
}

/** Writes a replay file. */
export function writeReplay(path: string, steps: readonly ReplayStep[], tensors: Tensors): string {
  writeSafetensors(path, tensors, { steps: JSON.stringify(steps) });
  return path;
}

/** A number that differs between two runs. */
export interface Difference {
  readonly step: number;
  readonly phase: string;
  readonly tensor: string;
  readonly ulp: number;
}
export interface Report {
  readonly first?: Difference;
  readonly beyond?: Difference;
  readonly notes: readonly string[];
}
interface Comparison {
  compareRuns(
    a: unknown,
    b: unknown,
    options?: { readonly variants?: readonly unknown[]; readonly replay?: string },
  ): Report;
}
export const { compareRuns } = (await import(pathToFileURL(tool("compare.mjs")).href)) as Comparison;
export const { openRun } = (await import(pathToFileURL(tool("run.mjs")).href)) as {
  openRun(path: string): unknown;
};

/** `node tools/replay/main.mjs ARGS`. */
export const replayTool = (...args: readonly string[]): Ran => run(process.execPath, [tool("main.mjs"), ...args]);
