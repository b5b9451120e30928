// The artefact of a model that this machine is to run. Before anything is compiled, its plan is compared with the
// machine's memory; if it does not fit, or cannot be planned at all, the message says which batch would fit.

import { totalmem } from "node:os";
import type { Target } from "../../compiler/ir/types.js";
import type { Plan, Tensor } from "../../compiler/lower/plan.js";
import { TooLarge } from "../../compiler/lower/too_large.js";
import { jobs } from "../../compiler/util/host.js";
import type { Fitting } from "./binary_verb.js";
import { type Extra, type ModelFlags, targetOf } from "./flags.js";
import { modelGraphs } from "./graphs.js";
import { cachedArtefact } from "./obtain.js";
import { notePrecision } from "./precision.js";

/** The bytes that a process on this machine may have: of the machine, or of the container. */
export function memoryLimit(): number {
  const limit = process.constrainedMemory?.() ?? 0; // an absurd number if there is none
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

/** The bytes that a plan needs on the CPU, without images that are being decoded. */
export const memoryOf = (plan: Plan): number =>
  Object.values(plan.arenas).reduce((a, b) => a + b, 0) + plan.scratchBytes * jobs();

/** A plan needs more memory than this machine has. */
class TooMuchMemory extends Error {}

/** What a plan needs of each limit. */
interface Needs {
  readonly bytes: number;
  readonly elements: number; // of the largest tensor
}

const MOST_ELEMENTS = 2 ** 31 - 1; // of a launch

const elementsOf = (t: Tensor): number => t.type.shape.reduce((a, b) => a * b, 1);

const needsOf = (plan: Plan): Needs => ({
  bytes: memoryOf(plan),
  elements: Math.max(...plan.tensors.map(elementsOf)),
});

const trains = new Set(["mopro", "classifier"]);

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

/** The plan for another batch; undefined if there is none. */
async function planFor(
  task: string,
  flags: ModelFlags,
  wanted: readonly Extra[],
  batchSize: number,
): Promise<Needs | undefined> {
  const { lower } = await import("../../compiler/pipeline.js");
  const target: Target = targetOf(flags);
  try {
    const { name, meta, graphs } = modelGraphs(task, { ...flags, batchSize }, wanted);
    return needsOf(lower(graphs(), { name, target, meta }).plan);
  } catch {
    return undefined;
  }
}

/** A batch, in groups, and what its plan needs. */
interface Planned extends Needs {
  readonly rounds: number;
}

/** The largest number of groups within the limits, on the line through two plans. */
function onLine(a: Planned, b: Planned, limit: number): number {
  const reach = (most: number, at: (n: Needs) => number): number =>
    a.rounds + ((most - at(a)) * (b.rounds - a.rounds)) / Math.max(1, at(b) - at(a));
  return Math.floor(
    Math.min(
      reach(limit, (n) => n.bytes),
      reach(MOST_ELEMENTS, (n) => n.elements),
    ),
  );
}

/**
 * The largest batch that fits, in words. Memory and sizes grow almost linearly with the batch, so the lines through
 * plans of smaller batches say it: first through small ones, then through a plan that nearly fills the memory.
 */
async function advice(task: string, flags: ModelFlags, wanted: readonly Extra[], limit: number): Promise<string> {
  const groups = flags.bnGroups ?? Math.max(...flags.ranks);
  const plan = async (rounds: number): Promise<Planned | undefined> => {
    const needs = await planFor(task, flags, wanted, rounds * groups);
    return needs && { ...needs, rounds };
  };
  const smaller = "a smaller --image-size, --width or --moco_queue is needed";
  const one = await plan(1);
  if (!one) return `even -b ${groups} is too large: ${smaller}`;
  if (one.bytes > limit) return `even -b ${groups} needs ${gigabytes(one.bytes)}: ${smaller}`;
  const two = await plan(2);
  const first = two ? onLine(one, two, limit) : 1;
  const near = await plan(Math.max(3, Math.floor(first / 2)));
  const fits = near ? onLine(one, near, limit) : 1;
  const low = trains.has(task) && flags.target === "cpu" && flags.memory !== "low" ? "; --memory low needs less" : "";
  return `-b ${fits * groups} is about the largest batch that fits${low}`;
}

/**
 * The artefact of a task for the flags, which is found or built. Rejects, with the largest batch that fits, if it
 * cannot be planned or needs more memory than this machine has.
 */
export async function modelArtefact(task: string, flags: ModelFlags, wanted: readonly Extra[] = []): Promise<Fitting> {
  const target = targetOf(flags);
  if (target.device === "cpu" && (trains.has(task) || flags.precision !== undefined)) notePrecision(flags.precision);
  const limit = memoryLimit();
  const source = modelGraphs(task, flags, wanted);
  const check = (plan: Plan): void => {
    const bytes = memoryOf(plan);
    if (target.device === "cpu" && bytes > limit)
      throw new TooMuchMemory(
        `-b ${flags.batchSize} needs ${gigabytes(bytes)} of memory, this machine has ${gigabytes(limit)}`,
      );
  };
  const { dir } = await cachedArtefact(source, target, check).catch(async (e: Error) => {
    const asked = e instanceof TooLarge ? `-b ${flags.batchSize}, --image-size ${flags.imageSize}: ` : "";
    if (!asked && !(e instanceof TooMuchMemory)) throw e;
    throw new Error(`${asked}${e.message}; ${await advice(task, flags, wanted, limit)}`);
  });
  return { dir };
}
