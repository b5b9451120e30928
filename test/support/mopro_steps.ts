// A small MoPro, step by step: the inputs for tests of compiled networks, and the checks of each step. Batch sizes are
// awkward on purpose, and the queue is not a multiple of any batch.

import type { ExecutionContext } from "ava";
import type { Artefact } from "node-cuda-rt";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";
import { dce } from "../../compiler/passes/dce.js";
import { type MoproConfig, moproPrograms, type Phase, phases } from "../../models/mopro.js";
import { nativeTarget } from "./compiled.js";
import { randomArray, uniform } from "./random.js";
import { type allowed, checkStep, isAllowed, type StepCheck, worst } from "./step_check.js";
import { numbers, vector } from "./tiny_mopro.js";
import { hyperInputs, type Inputs, images, initialStates, rows, type States } from "./training.js";

/** A network without batch and groups. */
export interface Small extends Omit<MoproConfig, "batch" | "groups"> {
  /**
   * Factor on the weights of the last BatchNorm of each block. At 1, a deep network of random weights amplifies
   * rounding until it looks like a mistake.
   */
  readonly residual?: number;
}

/**
 * The learning rate is small, because on noise the embeddings become equal, and then the instance loss would show
 * nothing.
 */
export const hyper = {
  lr: 0.002,
  weight_decay: 1e-3,
  moco_m: 0.97,
  proto_m: 0.9,
  temperature: 0.3,
  pseudo_th: 0.45,
};

const exponent = (x: number): string => x.toExponential(1);
const toF32 = (x: NdArray): NdArray => new NdArray(x.shape, x.data.map(Math.fround));

/** The step programs of a network for several numbers of groups, and their inputs and states. */
export class MoproSteps {
  /** warmup_1, ..., clean_4, and for `others` groups evaluate and embed: programs of one artefact with one state. */
  readonly graphs: readonly Graph[];

  /** `batches`: groups -> images. */
  constructor(
    private readonly small: Small,
    readonly batches: ReadonlyMap<number, number>,
    others?: number,
  ) {
    this.graphs = [...batches].flatMap(([groups, batch]) =>
      moproPrograms({ ...small, groups, batch })
        .filter((g) => groups === others || phases.some((p) => p === g.name))
        .map((g) => dce.run({ ...g, name: `${g.name}_${groups}` }, nativeTarget)),
    );
  }

  program(name: string): Graph {
    const g = this.graphs.find((g) => g.name === name);
    if (!g) throw new Error(`no program ${name}`);
    return g;
  }

  /** Initial states, and prototypes that mean something. */
  start(groups: number, seed: number): States {
    const { num_class, low_dim, residual = 1 } = this.small;
    const states = new Map(initialStates(this.program(`warmup_${groups}`), seed));
    for (const [name, x] of states)
      if (/^encoder_.*bn3\.weight$/.test(name))
        states.set(
          name,
          toF32(
            new NdArray(
              x.shape,
              x.data.map((v) => v * residual),
            ),
          ),
        );
    const p = randomArray([num_class, low_dim], seed + 1);
    const norm = Array.from({ length: num_class }, (_, c) => Math.hypot(...rows(p, c, c + 1).data));
    return states.set(
      "prototypes",
      toF32(NdArray.fill(p.shape, (i) => (p.data[i] as number) / (norm[Math.floor(i / low_dim)] as number))),
    );
  }

  /** Inputs of step i: two views of new images, some labels wrong, the keys in a random order. */
  batch(groups: number, i: number, changed: Readonly<Record<string, number>> = {}): Inputs {
    const next = uniform(1000 * groups + i);
    const draw = (n: number): number => Math.floor(next() * n);
    const labels = Array.from({ length: this.batches.get(groups) as number }, () => draw(this.small.num_class));
    const order = labels.map((_, j) => j);
    for (let j = order.length - 1; j > 0; j--) order.splice(j, 0, ...order.splice(draw(j + 1), 1));
    const views = 2 * (100 * groups + i);
    return {
      img: images(labels, this.small.image_size, views),
      img_aug: images(labels, this.small.image_size, views + 1),
      target: vector(labels.map((y) => (next() < 1 / 3 ? draw(this.small.num_class) : y))),
      order: vector(order),
      ...hyperInputs({ ...hyper, ...changed }),
    };
  }

  /** Asserts that `count` steps of a phase, each from the reference's state, agree with the reference. */
  async follow(t: ExecutionContext, a: Artefact, phase: Phase, groups: number, count: number): Promise<void> {
    const g = this.program(`${phase}_${groups}`);
    const p = phases.indexOf(phase);
    const checks: StepCheck[] = [];
    let states = this.start(groups, 40 + 10 * groups + p);
    for (let i = 0; i < count; i++) {
      const check = await checkStep(a, g, states, this.batch(groups, 20 * p + i));
      states = after(g, states, check);
      checks.push(check);
    }
    judge(t, g, checks);
    if (phase === "clean") coversVerdicts(t, g, checks);
  }
}

/** States after a step by the reference, as f32 numbers. */
const after = (g: Graph, states: States, { reference }: StepCheck): States =>
  new Map([...states, ...[...g.updates].map(([s, v]) => [s.name, toF32(reference.get(v) as NdArray)] as const)]);

/** Asserts that steps differ by no more than is allowed, and logs the largest differences of all. */
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
      t.log(`${at}: at %${d.value.name} f32 decides otherwise, ${exponent(d.margin)} of its size from 0 or a tie`);
  }
  t.true(
    checks.filter((c) => c.otherwise.length > 0).length <= checks.length / 5,
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

/** Asserts that the label correction keeps, drops and relabels some of the data. */
function coversVerdicts(t: ExecutionContext, g: Graph, checks: readonly StepCheck[]): void {
  const [target, kept] = ["target_out", "kept"].map((name) => g.outputs.find((v) => v.name === name)) as [Value, Value];
  const given = g.inputs.find((v) => v.name === "target") as Value;
  const of = (v: Value): number[] => checks.flatMap((c) => numbers(c.reference.get(v)));
  const changed = of(target).filter((y, i) => y !== of(given)[i]).length;
  const dropped = of(kept).filter((k) => k === 0).length;
  t.log(`${g.name}: of ${of(kept).length} samples ${changed} relabelled, ${dropped} dropped`);
  t.true(changed > 0 && dropped > 0 && changed + dropped < of(kept).length);
}
