// The compiled training step of a tiny MoPro against the reference evaluator, one step at a time from equal state. Sizes
// are awkward on purpose: 33, 17, 9, 5, 3, 2 pixels, and a queue that no batch divides and the largest exceeds.

import test, { type ExecutionContext } from "ava";
import { type Artefact, load } from "node-cuda-rt";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";
import { dce } from "../../compiler/passes/dce.js";
import { type MoproConfig, moproPrograms, phases } from "../../models/mopro.js";
import { compiled, nativeTarget, type Ran, relativeError, runCompiled, runReference, toValues } from "../support/compiled.js";
import { uniform } from "../support/random.js";
import { allowed, checkStep, feedOf, isAllowed, type StepCheck, worst } from "../support/step_check.js";
import { numbers, vector } from "../support/tiny_mopro.js";
import { hyperInputs, images, type Inputs, initialStates, type States } from "../support/training.js";

const steps = 20; // of each phase
const small = { arch: "resnet10", width: 1 / 16, num_class: 5, low_dim: 8, queue: 7, image_size: 33 } as const;
const batches = new Map([[1, 4], [2, 4], [4, 8]]); // groups -> images

const configOf = (groups: number): MoproConfig => ({ ...small, groups, batch: batches.get(groups) as number });

/** warmup_1, ..., clean_4, evaluate_2 and embed_2: programs of one artefact, with one state. */
const graphs = [...batches.keys()].flatMap((groups) =>
  moproPrograms(configOf(groups))
    .filter((g) => groups === 2 || phases.some((p) => p === g.name))
    .map((g) => dce.run({ ...g, name: `${g.name}_${groups}` }, nativeTarget)),
);
const artefact = compiled("mopro", graphs);

function program(name: string): Graph {
  const g = graphs.find((g) => g.name === name);
  if (!g) throw new Error(`no program ${name}`);
  return g;
}

const hyper = { lr: 0.02, weight_decay: 1e-3, moco_m: 0.9, proto_m: 0.9, temperature: 0.2, pseudo_th: 0.5 };

/** Inputs of step i: two views of new images, some labels wrong, the keys in a random order. */
function batchOf(groups: number, i: number, changed: Readonly<Record<string, number>> = {}): Inputs {
  const next = uniform(1000 * groups + i);
  const draw = (n: number): number => Math.floor(next() * n);
  const labels = Array.from({ length: batches.get(groups) as number }, () => draw(small.num_class));
  const order = labels.map((_, j) => j);
  for (let j = order.length - 1; j > 0; j--) order.splice(j, 0, ...order.splice(draw(j + 1), 1));
  const views = 2 * (100 * groups + i);
  return {
    img: images(labels, small.image_size, views),
    img_aug: images(labels, small.image_size, views + 1),
    target: vector(labels.map((y) => (next() < 1 / 3 ? draw(small.num_class) : y))),
    order: vector(order),
    ...hyperInputs({ ...hyper, ...changed }),
  };
}

/** States after a step by the reference, as f32 numbers. */
const rounded = (g: Graph, states: States, { reference }: StepCheck): States =>
  new Map([...states, ...[...g.updates].map(([s, v]) => [s.name, toF32(reference.get(v) as NdArray)] as const)]);
const toF32 = (x: NdArray): NdArray => new NdArray(x.shape, x.data.map(Math.fround));

const exponent = (x: number): string => x.toExponential(1);

/** Asserts what a step may differ by, and logs the largest differences of all. */
function judge(t: ExecutionContext, g: Graph, checks: readonly StepCheck[]): void {
  for (const [i, c] of checks.entries()) {
    const at = `${g.name}, step ${i}`;
    t.true(isAllowed(c), `${at}: loss ${c.loss.at} is off by ${exponent(c.loss.error)}, state ${c.state.at} by ` +
      `${exponent(c.state.error)}, the gradient of ${c.gradient.at} by ${exponent(c.gradient.error)}`);
    t.true(c.margin > 1e-5, `${at}: the margin to another label or verdict is ${exponent(c.margin)}: choose another batch`);
    t.deepEqual(c.unequal, [], at);
    for (const d of c.otherwise)
      t.log(`${at}: at %${d.value.name} f32 decides otherwise, ${exponent(d.margin)} of its size from 0 or a tie`);
  }
  const of = (kind: keyof typeof allowed): string => {
    const { error, at } = worst(checks.map((c) => c[kind]));
    return `${kind} ${exponent(error)} (${at})`;
  };
  const margin = Math.min(...checks.map((c) => c.margin));
  const verdicts = Number.isFinite(margin) ? `, margin of label correction ${exponent(margin)}` : "";
  t.log(`${g.name}: ${of("loss")}, ${of("state")}, ${of("gradient")}${verdicts}`);
}

for (const groups of batches.keys()) {
  test.serial(`${steps} steps of each phase, groups ${groups}`, async (t) => {
    const a = await artefact;
    let states: States = initialStates(program(`warmup_${groups}`), 40 + groups);
    for (const [p, phase] of phases.entries()) {
      const g = program(`${phase}_${groups}`);
      const checks: StepCheck[] = [];
      for (let i = 0; i < steps; i++) {
        const check = await checkStep(a, g, states, batchOf(groups, steps * p + i));
        states = rounded(g, states, check);
        checks.push(check);
      }
      judge(t, g, checks);
      if (phase === "clean") coversVerdicts(t, g, checks);
    }
  });
}

/** The data make the label correction do all it can: keep, drop and relabel. */
function coversVerdicts(t: ExecutionContext, g: Graph, checks: readonly StepCheck[]): void {
  const [target, kept] = ["target_out", "kept"].map((name) => g.outputs.find((v) => v.name === name)) as [Value, Value];
  const given = g.inputs.find((v) => v.name === "target") as Value;
  const of = (v: Value): number[] => checks.flatMap((c) => numbers(c.reference.get(v)));
  const changed = of(target).filter((y, i) => y !== of(given)[i]).length;
  const dropped = of(kept).filter((k) => k === 0).length;
  t.log(`${g.name}: of ${of(kept).length} samples ${changed} relabelled, ${dropped} dropped`);
  t.true(changed > 0 && dropped > 0 && changed + dropped < of(kept).length);
}

/** All states and outputs of `ran` are those of `other` to the bit. */
function same(t: ExecutionContext, ran: Ran, other: Ran, what: string): void {
  ran.outputs.forEach((x, i) => t.deepEqual(numbers(x), numbers(other.outputs[i]), `${what}: output ${i}`));
  t.deepEqual([...ran.state.keys()], [...other.state.keys()]);
  for (const [name, x] of ran.state) t.deepEqual(numbers(x), numbers(other.state.get(name)), `${what}: ${name}`);
}
