// The tiny MoPro of the tests: programs, a batch, states to start from.

import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph } from "../../compiler/ir/types.js";
import { type MoproConfig, moproPrograms } from "../../models/mopro.js";
import { randomArray } from "./random.js";
import { hyperInputs, type Inputs, images, initialStates, run, type States, type StepResult } from "./training.js";

export const config: MoproConfig = {
  arch: "resnet10",
  width: 1 / 16,
  num_class: 4,
  low_dim: 8,
  queue: 12,
  image_size: 32,
  batch: 8,
  groups: 2,
};
/** Labels as given. */
export const given = [0, 1, 2, 3, 3, 2, 1, 1];
export const identity = [0, 1, 2, 3, 4, 5, 6, 7];

/** The programs by name, for `config` with some settings changed. */
export const programs = (changed: Partial<MoproConfig> = {}): ReadonlyMap<string, Graph> =>
  new Map(moproPrograms({ ...config, ...changed }).map((g) => [g.name, g]));
export const graphs = programs();
export const program = (name: string, from = graphs): Graph => from.get(name) as Graph;
export const numbers = (x: NdArray | undefined): number[] => [...(x as NdArray).data];
export const vector = (v: readonly number[]): NdArray => new NdArray([v.length], Float64Array.from(v));

/** Inputs of a step. */
export function batch(order: readonly number[] = identity, hyper: Readonly<Record<string, number>> = {}): Inputs {
  return {
    img: images(given, config.image_size, 1),
    img_aug: images(given, config.image_size, 2),
    target: vector(given),
    order: vector(order),
    ...hyperInputs(hyper),
  };
}

/** Initial states with meaningful prototypes and a queue pointer that is not at the beginning. */
export function start(g = program("clean")): States {
  const states = new Map(initialStates(g, 5));
  states.set("queue_ptr", vector([7]));
  const p = randomArray([config.num_class, config.low_dim], 77);
  for (let k = 0; k < config.num_class; k++) {
    const row = p.data.subarray(k * config.low_dim, (k + 1) * config.low_dim);
    const norm = Math.hypot(...row);
    row.set(row.map((v) => Math.fround(v / norm)));
  }
  return states.set("prototypes", p);
}

/** Asserts that no element differs by more than `tolerance`. */
export function near(
  t: { true(ok: boolean, message: string): unknown },
  got: NdArray,
  want: NdArray,
  tolerance: number,
  name: string,
): void {
  t.true(got.data.length === want.data.length, `${name}: ${got.data.length} values`);
  const worst = got.data.reduce((w, v, i) => Math.max(w, Math.abs(v - (want.data[i] as number))), 0);
  t.true(worst <= tolerance, `${name}: off by ${worst}`);
}

const steps = new Map<string, StepResult>();
/** One step of a phase from `start`, evaluated once. */
export function stepOf(phase: string): StepResult {
  const known = steps.get(phase) ?? run(program(phase), start(), batch([3, 0, 6, 1, 7, 2, 5, 4]));
  steps.set(phase, known);
  return known;
}
