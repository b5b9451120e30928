// The most memory of a training step: ours, with and without --memory low, beside PyTorch's and beside what the plan
// says; and how much longer a step with --memory low takes.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Artefact } from "node-cuda-rt";
import type { Plan } from "../../compiler/lower/plan.js";
import { memoryOf } from "../cli/model_artefact.js";
import { compared, type Entry, type Options } from "./compare.js";
import { jobOf, ownStep, type Precision, peakOf, type Step, Torch, titleOf } from "./steps.js";

const GOALS = { memory: 2, plan: 0.85, time: 0.9 };

/** The most memory that PyTorch had after two steps, in MB, and its name. */
async function torchPeak(python: string, s: Step, precision: Precision, threads: number) {
  const torch = await Torch.start(python, s, precision, "eager", threads);
  try {
    await torch.step();
    return { name: torch.name, mb: torch.peakMb };
  } finally {
    torch.end();
  }
}

/** What the plan of an artefact needs on the CPU, in MB. */
const plannedMb = (a: Artefact): number =>
  memoryOf(JSON.parse(readFileSync(join(a.dir, "plan.json"), "utf8")) as Plan) / 1e6;

async function measure(s: Step, precision: Precision, python: string | undefined, o: Options): Promise<Entry[]> {
  const entries: Entry[] = [];
  const add = (name: string, ours: number, peer: number, peer_name: string, goal: number): void => {
    o.say(`${name}: ${ours.toFixed(0)} MB; ${peer_name}: ${peer.toFixed(0)} MB`);
    entries.push({ name, ours, peer, peer_name, ratio: peer / ours, goal, unit: "MB", spread: null });
  };
  const torch = python === undefined ? undefined : await torchPeak(python, s, precision, o.threads);
  const title = titleOf(s, precision);
  const steps: (() => Promise<unknown>)[] = [];
  for (const memory of ["normal", "low"] as const) {
    const a = await ownStep(s, precision, o.threads, memory);
    const name = `${title}${memory === "low" ? ", --memory low" : ""}`;
    const peak = peakOf(a, o.threads);
    if (torch) add(`${name}, peak memory`, peak, torch.mb, torch.name, GOALS.memory);
    add(`${name}, peak beside the plan`, peak, plannedMb(a), "the plan", GOALS.plan);
    a.initState(1);
    const { program, inputs } = jobOf(a);
    steps.push(() => a.run(program, inputs));
  }
  const [normal, low] = steps as [() => Promise<unknown>, () => Promise<unknown>];
  const name = `${title}, time of --memory low`;
  entries.push(await compared(name, low, normal, "--memory normal", GOALS.time, o));
  return entries;
}

/** ResNet-50 at 224 pixels: MoPro's and a classifier's step for 32 images (`quick`: the classifier's, for 16). */
export async function stepMemory(python: string | undefined, quick: boolean, o: Options): Promise<Entry[]> {
  const of = (task: Step["task"], batch: number): Step => ({ network: "resnet50", size: 224, batch, task });
  const steps = quick ? [of("classifier", 16)] : [of("mopro", 32), of("classifier", 32)];
  const entries: Entry[] = [];
  for (const s of steps)
    for (const precision of ["f32", "bf16"] as const) entries.push(...(await measure(s, precision, python, o)));
  return entries;
}
