// The compiled training step of a tiny MoPro against the reference evaluator, one step at a time from equal
// state. Sizes are awkward on purpose: 33, 17, 9, 5, 3, 2 pixels, and a queue that no batch divides and the
// largest exceeds.

import test, { type ExecutionContext } from "ava";
import { type Artefact, load, type Values } from "node-cuda-rt";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";
import { dce } from "../../compiler/passes/dce.js";
import { type MoproConfig, moproPrograms, phases } from "../../models/mopro.js";
import {
  compiled,
  nativeTarget,
  type Ran,
  relativeError,
  runCompiled,
  runReference,
  toValues,
} from "../support/compiled.js";
import { randomArray, uniform } from "../support/random.js";
import { type allowed, checkStep, feedOf, isAllowed, type StepCheck, worst } from "../support/step_check.js";
import { numbers, vector } from "../support/tiny_mopro.js";
import { hyperInputs, images, type Inputs, initialStates, rows, type States } from "../support/training.js";

const steps = 20; // of each phase
const small = {
  arch: "resnet10",
  width: 1 / 16,
  num_class: 5,
  low_dim: 8,
  queue: 7,
  image_size: 33,
} as const;
const batches = new Map([
  [1, 3],
  [2, 4],
  [4, 8],
]); // groups -> images

const configOf = (groups: number): MoproConfig => ({
  ...small,
  groups,
  batch: batches.get(groups) as number,
});

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

/**
 * The learning rate is small because on noise the embeddings collapse to one, where the instance loss would
 * show nothing.
 */
const hyper = {
  lr: 0.002,
  weight_decay: 1e-3,
  moco_m: 0.97,
  proto_m: 0.9,
  temperature: 0.3,
  pseudo_th: 0.45,
};

/** Initial states, and prototypes that mean something. */
function startOf(groups: number, seed: number): States {
  const { num_class, low_dim } = small;
  const states = new Map(initialStates(program(`warmup_${groups}`), seed));
  const p = randomArray([num_class, low_dim], seed + 1);
  const norm = Array.from({ length: num_class }, (_, c) => Math.hypot(...rows(p, c, c + 1).data));
  return states.set(
    "prototypes",
    toF32(NdArray.fill(p.shape, (i) => (p.data[i] as number) / (norm[Math.floor(i / low_dim)] as number))),
  );
}

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
  new Map([
    ...states,
    ...[...g.updates].map(([s, v]) => [s.name, toF32(reference.get(v) as NdArray)] as const),
  ]);
const toF32 = (x: NdArray): NdArray => new NdArray(x.shape, x.data.map(Math.fround));

const exponent = (x: number): string => x.toExponential(1);

/** Asserts what a step may differ by, and logs the largest differences of all. */
function judge(t: ExecutionContext, g: Graph, checks: readonly StepCheck[]): void {
  for (const [i, c] of checks.entries()) {
    const at = `${g.name}, step ${i}`;
    t.true(
      isAllowed(c),
      `${at}: loss ${c.loss.at} is off by ${exponent(c.loss.error)}, state ${c.state.at} by ` +
        `${exponent(c.state.error)}, the gradient of ${c.gradient.at} by ${exponent(c.gradient.error)}`,
    );
    t.true(
      c.margin > 1e-5,
      `${at}: the margin to another label or verdict is ${exponent(c.margin)}: choose another batch`,
    );
    t.deepEqual(c.unequal, [], at);
    for (const d of c.otherwise)
      t.log(
        `${at}: at %${d.value.name} f32 decides otherwise, ${exponent(d.margin)} of its size from 0 or a tie`,
      );
  }
  t.true(
    checks.filter((c) => c.otherwise.length > 0).length <= steps / 5,
    "rounding reverses a decision now and then, not often",
  );
  const of = (kind: keyof typeof allowed): string => {
    const { error, at } = worst(checks.map((c) => c[kind]));
    return `${kind} ${exponent(error)} (${at})`;
  };
  const margin = Math.min(...checks.map((c) => c.margin));
  const verdicts = Number.isFinite(margin) ? `, margin of label correction ${exponent(margin)}` : "";
  t.log(`${g.name}: ${of("loss")}, ${of("state")}, ${of("gradient")}${verdicts}`);
}

for (const groups of batches.keys())
  for (const [p, phase] of phases.entries())
    test.serial(`${steps} steps of ${phase}, groups ${groups}`, async (t) => {
      const a = await artefact;
      const g = program(`${phase}_${groups}`);
      const checks: StepCheck[] = [];
      let states = startOf(groups, 40 + 10 * groups + p);
      for (let i = 0; i < steps; i++) {
        const check = await checkStep(a, g, states, batchOf(groups, steps * p + i));
        states = rounded(g, states, check);
        checks.push(check);
      }
      judge(t, g, checks);
      if (phase === "clean") coversVerdicts(t, g, checks);
    });

/** The data make the label correction do all it can: keep, drop and relabel. */
function coversVerdicts(t: ExecutionContext, g: Graph, checks: readonly StepCheck[]): void {
  const [target, kept] = ["target_out", "kept"].map((name) => g.outputs.find((v) => v.name === name)) as [
    Value,
    Value,
  ];
  const given = g.inputs.find((v) => v.name === "target") as Value;
  const of = (v: Value): number[] => checks.flatMap((c) => numbers(c.reference.get(v)));
  const changed = of(target).filter((y, i) => y !== of(given)[i]).length;
  const dropped = of(kept).filter((k) => k === 0).length;
  t.log(`${g.name}: of ${of(kept).length} samples ${changed} relabelled, ${dropped} dropped`);
  t.true(changed > 0 && dropped > 0 && changed + dropped < of(kept).length);
}

test.serial("evaluate and embed", async (t) => {
  const a = await artefact;
  const warmup = program("warmup_2");
  const after = runReference(warmup, feedOf(warmup, startOf(2, 7), batchOf(2, 70))); // for running averages
  const states = new Map([
    ...startOf(2, 7),
    ...[...after.state].map(([name, x]) => [name, toF32(x)] as const),
  ]);
  const { img, target } = batchOf(2, 71) as { readonly img: NdArray; readonly target: NdArray };
  const inputs = { img, target, weight: vector([1, 1, 1, 0]), "hyper.temperature": NdArray.scalar(0.25) };
  for (const g of [program("evaluate_2"), program("embed_2")]) {
    const feed = feedOf(g, states, inputs);
    const [got, want] = [await runCompiled(a, g, feed), runReference(g, feed)];
    t.is(got.state.size, 0);
    for (const [i, v] of g.outputs.entries()) {
      const error = relativeError(got.outputs[i] as NdArray, want.outputs[i] as NdArray);
      t.log(`${g.name} ${v.name}: ${exponent(error)}`);
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
      const states = new Map([...startOf(4, 9)].map(([name, x]) => [name, given(name, x)]));
      const got = await runCompiled(a, g, feedOf(g, states, batchOf(4, 72, changed)));
      t.deepEqual(numbers(outputOf(g, got, "finite")), [0]);
      const loss = numbers(outputOf(g, got, "loss"));
      if (lossIsFinite !== undefined) t.is(loss.every(Number.isFinite), lossIsFinite, `loss ${loss}`);
      for (const [name, x] of got.state) {
        if (!isKeyParameter(name)) t.deepEqual(numbers(x), numbers(states.get(name)), `${phase}: ${name}`);
        else t.true(followed(x, name, states) < 1e-6, `${phase}: ${name} took another step`);
      }
    }
    const next = await checkStep(a, program("clean_4"), startOf(4, 9), batchOf(4, 72));
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
async function trail(
  a: Artefact,
  sequence: readonly string[],
  again?: (a: Artefact) => void,
): Promise<Trail> {
  const states = startOf(4, 11);
  for (const s of program("clean_4").state) a.set(s.name, toValues(s.type, states.get(s.name) as NdArray));
  const seen: [string, Values][] = [];
  for (const [i, name] of sequence.entries()) {
    const groups = Number(name.at(-1));
    const all: Inputs = {
      ...batchOf(groups, 80 + i),
      weight: vector(new Array(batches.get(groups)).fill(1)),
    };
    const inputs = program(name).inputs.map(
      (v) => [v.name, toValues(v.type, all[v.name] as NdArray)] as const,
    );
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

test.serial(
  "state stays where it is between steps: setting every tensor to itself changes nothing",
  async (t) => {
    const a = await artefact;
    const rewrite = (): void => {
      for (const s of a.state.filter((s) => s.role !== "derived")) a.set(s.name, a.get(s.name));
    };
    same(t, await trail(a, sequence, rewrite), await trail(a, sequence));
  },
);
