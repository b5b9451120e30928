// The compiled training step of a tiny MoPro against the reference evaluator, one step at a time from equal state.
// Sizes are awkward on purpose: 33, 17, 9, 5, 3, 2 pixels, and a queue that no batch divides and that is smaller than
// the largest batch.

import test, { type ExecutionContext } from "ava";
import { type Artefact, load, type Values } from "node-cuda-rt";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph } from "../../compiler/ir/types.js";
import { phases } from "../../models/mopro.js";
import { compiled, type Ran, relativeError, runCompiled, runReference, toValues } from "../support/compiled.js";
import { hyper, MoproSteps } from "../support/mopro_steps.js";
import { checkStep, feedOf, isAllowed } from "../support/step_check.js";
import { numbers, vector } from "../support/tiny_mopro.js";
import type { Inputs, States } from "../support/training.js";

const steps = 20; // of each phase
const batches = new Map([
  [1, 3],
  [2, 4],
  [4, 8],
]); // groups -> images
const mopro = new MoproSteps(
  { arch: "resnet10", width: 1 / 16, num_class: 5, low_dim: 8, queue: 7, image_size: 33 },
  batches,
  2,
);
const artefact = compiled("mopro", mopro.graphs);
const program = (name: string): Graph => mopro.program(name);

for (const groups of batches.keys())
  for (const phase of phases)
    test.serial(`${steps} steps of ${phase}, groups ${groups}`, async (t) =>
      mopro.follow(t, await artefact, phase, groups, steps),
    );

test.serial("evaluate and embed", async (t) => {
  const a = await artefact;
  const warmup = program("warmup_2");
  const after = runReference(warmup, feedOf(warmup, mopro.start(2, 7), mopro.batch(2, 70))); // for running averages
  const states = new Map([
    ...mopro.start(2, 7),
    ...[...after.state].map(([name, x]) => [name, new NdArray(x.shape, x.data.map(Math.fround))] as const),
  ]);
  const { img, target } = mopro.batch(2, 71) as { readonly img: NdArray; readonly target: NdArray };
  const inputs = { img, target, weight: vector([1, 1, 1, 0]), "hyper.temperature": NdArray.scalar(0.25) };
  for (const g of [program("evaluate_2"), program("embed_2")]) {
    const feed = feedOf(g, states, inputs);
    const [got, want] = [await runCompiled(a, g, feed), runReference(g, feed)];
    t.is(got.state.size, 0);
    for (const [i, v] of g.outputs.entries()) {
      const error = relativeError(got.outputs[i] as NdArray, want.outputs[i] as NdArray);
      t.log(`${g.name} ${v.name}: ${error.toExponential(1)}`);
      t.true(v.name.startsWith("correct") ? error === 0 : error < 1e-5, `${v.name} is off by ${error}`);
    }
  }
});

/** Why a step is not finite: a state with one tensor changed, and other hyper-parameters. */
interface Cause {
  readonly tensors?: RegExp;
  readonly change?: (x: number, i: number) => number;
  readonly hyper?: Readonly<Record<string, number>>;
  readonly lossIsFinite?: boolean; // where it must be, or must not be
}
const causes: Readonly<Record<string, Cause>> = {
  "a loss weight that is no number": { hyper: { w_inst: Number.NaN }, lossIsFinite: false },
  "an infinite weight": {
    tensors: /^encoder_q.classifier.weight$/,
    change: (x, i) => (i === 3 ? Number.POSITIVE_INFINITY : x),
  },
  "an overflow in the gradient alone": {
    tensors: /^encoder_q.fc2/, // the shorter the vector before normalisation, the larger its gradient
    change: (x) => Math.fround(x * 1e-5),
    hyper: { w_inst: 1e37 },
    lossIsFinite: true,
  },
};

for (const [what, cause] of Object.entries(causes))
  test.serial(`a step that is not finite changes only the key encoder's parameters: ${what}`, async (t) => {
    const a = await artefact;
    for (const phase of phases) {
      const g = program(`${phase}_4`);
      const { tensors, change, hyper: changed, lossIsFinite } = cause;
      const given = (name: string, x: NdArray): NdArray =>
        tensors?.test(name) && change ? new NdArray(x.shape, x.data.map(change)) : x;
      const states = new Map([...mopro.start(4, 9)].map(([name, x]) => [name, given(name, x)]));
      const got = await runCompiled(a, g, feedOf(g, states, mopro.batch(4, 72, changed)));
      t.deepEqual(numbers(outputOf(g, got, "finite")), [0]);
      const loss = numbers(outputOf(g, got, "loss"));
      if (lossIsFinite !== undefined) t.is(loss.every(Number.isFinite), lossIsFinite, `loss ${loss}`);
      for (const [name, x] of got.state) {
        if (!isKeyParameter(name)) t.deepEqual(numbers(x), numbers(states.get(name)), `${phase}: ${name}`);
        else t.true(followed(x, name, states) < 1e-6, `${phase}: ${name} took another step`);
      }
    }
    const next = await checkStep(a, program("clean_4"), mopro.start(4, 9), mopro.batch(4, 72));
    t.true(isAllowed(next), "a finite step afterwards");
  });

const isKeyParameter = (name: string): boolean => /^encoder_k\..*(weight|bias)$/.test(name);

/** How far `x` is from m k + (1 - m) q, the step of the key parameter `name` from `states`. */
function followed(x: NdArray, name: string, states: States): number {
  const [k, q] = [numbers(states.get(name)), numbers(states.get(name.replace("encoder_k", "encoder_q")))];
  const m = Math.fround(hyper.moco_m);
  const off = numbers(x).map((v, i) => {
    const want = m * (k[i] as number) + (1 - m) * (q[i] as number);
    return v === want ? 0 : Math.abs(v - want) / Math.max(Math.abs(want), 1e-3);
  });
  return Math.max(...off);
}

function outputOf(g: Graph, ran: Ran, name: string): NdArray {
  const x = ran.outputs[g.outputs.findIndex((v) => v.name === name)];
  if (!x) throw new Error(`${g.name} has no output ${name}`);
  return x;
}

/** All that can be seen of a run: outputs of each step by name, and all states after the last one. */
type Trail = readonly (readonly [string, Values])[];

/** Runs one program after the other; only `again` may touch the state in between. */
async function trail(a: Artefact, sequence: readonly string[], again?: (a: Artefact) => void): Promise<Trail> {
  const states = mopro.start(4, 11);
  for (const s of program("clean_4").state) a.set(s.name, toValues(s.type, states.get(s.name) as NdArray));
  const seen: [string, Values][] = [];
  for (const [i, name] of sequence.entries()) {
    const groups = Number(name.at(-1));
    const all: Inputs = {
      ...mopro.batch(groups, 80 + i),
      weight: vector(new Array(batches.get(groups)).fill(1)),
    };
    const inputs = program(name).inputs.map((v) => [v.name, toValues(v.type, all[v.name] as NdArray)] as const);
    const outputs = await a.run(name, Object.fromEntries(inputs));
    for (const [output, x] of Object.entries(outputs)) seen.push([`${i} ${name} ${output}`, x]);
    again?.(a);
  }
  return [
    ...seen,
    ...a.state.filter((s) => s.role !== "derived").map((s) => [s.name, a.get(s.name)] as [string, Values]),
  ];
}

const bytes = (x: Values): Buffer => Buffer.from(x.buffer, x.byteOffset, x.byteLength);

function same(t: ExecutionContext, got: Trail, want: Trail): void {
  t.deepEqual(
    got.map(([name]) => name),
    want.map(([name]) => name),
  );
  const other = want.find(([, x], i) => !bytes(x).equals(bytes((got[i] as Trail[number])[1])));
  t.is(other?.[0], undefined, "other bits");
}

const sequence = [
  "warmup_4",
  "warmup_1",
  "evaluate_2",
  "proto_4",
  "proto_2",
  "embed_2",
  "clean_4",
  "clean_2",
  "evaluate_2",
];

test.serial("bits depend neither on the number of threads nor on the run", async (t) => {
  const a = await artefact;
  const want = await trail(a, sequence);
  same(t, await trail(a, sequence), want);
  for (const threads of [1, 2, 3]) same(t, await trail(load(a.dir, { threads }), sequence), want);
});

test.serial("state stays where it is between steps: setting every tensor to itself changes nothing", async (t) => {
  const a = await artefact;
  const rewrite = (): void => {
    for (const s of a.state.filter((s) => s.role !== "derived")) a.set(s.name, a.get(s.name));
  };
  same(t, await trail(a, sequence, rewrite), await trail(a, sequence));
});
