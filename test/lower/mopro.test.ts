// The compiled training step of a tiny MoPro against the reference evaluator, one step at a time from equal state. The
// images have an odd size (20, 10, 5, 3, 2, 1 pixels), the queue is no multiple of a batch and shorter than the largest.

import test, { type ExecutionContext } from "ava";
import { type Artefact, load } from "node-cuda-rt";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph } from "../../compiler/ir/types.js";
import { type MoproConfig, moproPrograms, phases } from "../../models/mopro.js";
import { compiled, fromValues, relativeError, runCompiled, runReference, toValues } from "../support/compiled.js";
import { uniform } from "../support/random.js";
import { checkStep, feedOf, outputOf, type StepCheck, worst } from "../support/step_check.js";
import { vector } from "../support/tiny_mopro.js";
import { hyperInputs, images, type Inputs, initialStates, type States } from "../support/training.js";

const steps = 20; // of each phase
const small = { arch: "resnet10", width: 1 / 16, num_class: 5, low_dim: 8, queue: 10, image_size: 20 } as const;
const batches = new Map([[1, 4], [2, 8], [4, 12]]); // groups -> images

const configOf = (groups: number): MoproConfig => ({ ...small, groups, batch: batches.get(groups) as number });

/** warmup_1, ..., clean_4; evaluate_2 and embed_2: all share one state. */
const graphs = [...batches.keys()].flatMap((groups) =>
  moproPrograms(configOf(groups))
    .filter((g) => groups === 2 || phases.some((p) => p === g.name))
    .map((g) => ({ ...g, name: `${g.name}_${groups}` })),
);
const program = (name: string): Graph => {
  const g = graphs.find((g) => g.name === name);
  if (!g) throw new Error(`no program ${name}`);
  return g;
};
const artefact = compiled("mopro", graphs);

const hyper = { lr: 0.02, weight_decay: 1e-3, moco_m: 0.9, proto_m: 0.9, temperature: 0.2, pseudo_th: 0.5 };

/** Inputs of step i: two views of new images, a third of the labels wrong, keys in a random order. */
function batchOf(groups: number, i: number, changed: Readonly<Record<string, number>> = {}): Inputs {
  const n = batches.get(groups) as number;
  const next = uniform(1000 * groups + i);
  const labels = Array.from({ length: n }, () => Math.floor(next() * small.num_class));
  const noisy = labels.map((y) => (next() < 0.33 ? Math.floor(next() * small.num_class) : y));
  const order = labels.map((_, j) => j);
  for (let j = n - 1; j > 0; j--) {
    const k = Math.floor(next() * (j + 1));
    [order[j], order[k]] = [order[k] as number, order[j] as number];
  }
  return {
    img: images(labels, small.image_size, 2 * (100 * groups + i)),
    img_aug: images(labels, small.image_size, 2 * (100 * groups + i) + 1),
    target: vector(noisy),
    order: vector(order),
    ...hyperInputs({ ...hyper, ...changed }),
  };
}

/** The state after a reference step as the kernels would hold it. */
const rounded = (states: States, after: ReadonlyMap<string, NdArray>): States =>
  new Map([...states].map(([name, x]) => {
    const now = after.get(name) ?? x;
    return [name, new NdArray(now.shape, now.data.map(Math.fround))];
  }));

/** The 20 steps of each phase, one after the other; every step is checked from the reference's state. */
const trajectories = new Map<number, Promise<ReadonlyMap<string, readonly StepCheck[]>>>();
async function trajectory(groups: number): Promise<ReadonlyMap<string, readonly StepCheck[]>> {
  const a = await artefact;
  const checks = new Map<string, StepCheck[]>();
  let states: States = initialStates(program(`warmup_${groups}`), 40 + groups);
  for (const [p, phase] of phases.entries()) {
    const all: StepCheck[] = [];
    for (let i = 0; i < steps; i++) {
      const check = await checkStep(a, program(`${phase}_${groups}`), states, batchOf(groups, steps * p + i));
      states = rounded(states, check.reference.state);
      all.push(check);
    }
    checks.set(phase, all);
  }
  return checks;
}

for (const groups of batches.keys())
  test(`groups ${groups}`, async (t) => {
    for (const [phase, checks] of await trajectory(groups)) {
      for (const [i,c] of checks.entries()) t.log(phase, i, c.loss.error.toExponential(2), c.loss.at, c.state.error.toExponential(2), c.state.at, c.gradient.error.toExponential(2), c.gradient.at, c.differing.join(), c.margin.toExponential(1), [...(c.reference.outputs[0]as NdArray).data].map(v=>v.toFixed(2)).join(" "), phase==="clean"?[...outputOf(program(`clean_${groups}`), c.reference,"clean").data].join():"");
    }
    t.pass();
  });
