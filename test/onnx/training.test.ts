// ONNX Runtime trains MoPro without changes: five steps of each phase of a tiny MoPro, each from the compiled program's
// state, give the compiled program's results. So every gradient of the compiler is checked with other people's
// operators.

import test from "ava";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph } from "../../compiler/ir/types.js";
import type { Model, OnnxFunction } from "../../compiler/onnx/proto.js";
import { phases } from "../../models/mopro.js";
import { compiled, relativeError } from "../support/compiled.js";
import { OrtModel } from "../support/ort.js";
import { type Comparison, compareStep, ortStep, stepModel, withoutDefaults } from "../support/ort_step.js";
import { uniform } from "../support/random.js";
import { feedOf, runStep, worst } from "../support/step_check.js";
import { config, program, programs, start, vector } from "../support/tiny_mopro.js";
import { hyperInputs, type Inputs, images } from "../support/training.js";

const steps = 5; // of each phase
const groups = [1, 2];
const graphs = groups.flatMap((n) =>
  [...programs({ groups: n }).values()]
    .filter((g) => phases.some((p) => p === g.name))
    .map((g) => ({ ...g, name: `${g.name}_${n}` })),
);
const artefact = compiled("onnx_training", graphs);
const graphOf = (phase: string, n: number): Graph => program(`${phase}_${n}`, new Map(graphs.map((g) => [g.name, g])));

/** Images of noisy labels, in a random order for the keys. */
function batchOf(seed: number): Inputs {
  const next = uniform(seed);
  const draw = (n: number): number => Math.floor(next() * n);
  const labels = Array.from({ length: config.batch }, () => draw(config.num_class));
  const order = labels.map((_, j) => j);
  for (let j = order.length - 1; j > 0; j--) order.splice(j, 0, ...order.splice(draw(j + 1), 1));
  return {
    img: images(labels, config.image_size, 2 * seed),
    img_aug: images(labels, config.image_size, 2 * seed + 1),
    target: vector(labels.map((y) => (next() < 1 / 3 ? draw(config.num_class) : y))),
    order: vector(order),
    ...hyperInputs({
      lr: 0.002,
      weight_decay: 1e-3,
      moco_m: 0.97,
      proto_m: 0.9,
      temperature: 0.3,
      pseudo_th: 0.45,
    }),
  };
}

for (const n of groups)
  for (const [p, phase] of phases.entries())
    test.serial(`${steps} steps of ${phase}, groups ${n}`, async (t) => {
      const [a, g] = [await artefact, graphOf(phase, n)];
      let states = start(g);
      const m = await OrtModel.load(withoutDefaults(stepModel(g, states)));
      t.true(
        m.model.functions.every((f) => f.nodes.every((node) => node.domain === "")),
        "bodies are standard operators",
      );
      const all: Comparison[] = [];
      for (let i = 0; i < steps; i++) {
        const c = await compareStep(a, m, g, states, batchOf(100 * n + 10 * p + i));
        t.true(c.ok, `step ${i}: ${show(c)}`);
        states = c.states;
        all.push(c);
      }
      t.log(`${g.name}: loss ${error(all, "loss")}, state ${error(all, "state")}, gradient ${error(all, "gradient")}`);
      t.true(all.filter((c) => c.decisions > 0).length <= 1, "rounding reverses a decision now and then, not often");
    });

const error = (all: readonly Comparison[], kind: "loss" | "state" | "gradient"): string => {
  const w = worst(all.map((c) => c[kind]));
  return `${w.error.toExponential(1)} (${w.at})`;
};
const show = (c: Comparison): string =>
  `loss ${error([c], "loss")}, state ${error([c], "state")}, gradient ${error([c], "gradient")}; ` +
  `${c.unequal.join("; ")}`;

test.serial("a step that is not finite changes the key encoder's parameters only", async (t) => {
  const [a, g] = [await artefact, graphOf("clean", 2)];
  const m = await OrtModel.load(withoutDefaults(stepModel(g, start(g))));
  const feed = feedOf(g, start(g), { ...batchOf(1), "hyper.w_inst": NdArray.scalar(Number.NaN) });
  const [ours, theirs] = [await runStep(a, g, feed), await ortStep(m, g, feed)];
  for (const [name, x] of theirs.state) {
    const isKey = /^encoder_k\..*(weight|bias)$/.test(name);
    if (isKey) t.true(relativeError(x, ours.state.get(name) as NdArray) < 1e-6, name);
    else t.deepEqual(x.data, (start(g).get(name) as NdArray).data, name);
  }
});

/** The model with one result of a function a little larger. */
function spoiled(m: Model, name: string, result: number): Model {
  const functions = m.functions.map((f) =>
    f.name.replace(/_\d+$/, "") === name ? spoil(f, f.outputs[result] as string) : f,
  );
  return { ...m, functions };
}
function spoil(f: OnnxFunction, result: string): OnnxFunction {
  const true_ = `${result}_true`;
  const now = (v: string): string => (v === result ? true_ : v);
  const nodes = f.nodes.map((n) => ({ ...n, inputs: n.inputs.map(now), outputs: n.outputs.map(now) }));
  const factor = { kind: "float" as const, value: 1.002 };
  return {
    ...f,
    nodes: [
      ...nodes,
      {
        name: "",
        op: "Constant",
        domain: "",
        inputs: [],
        outputs: ["too_much"],
        attributes: { value_float: factor },
      },
      { name: "", op: "Mul", domain: "", inputs: [true_, "too_much"], outputs: [result], attributes: {} },
    ],
  };
}

const wrong: readonly (readonly [name: string, result?: number])[] = [
  ["ConvDgrad"],
  ["ConvWgrad"],
  ["BatchNormGrad", 0],
  ["BatchNormGrad", 1],
  ["MaxPoolGrad"],
  ["ReluGrad"],
  ["Matmul"],
  ["SoftmaxCrossEntropyGrad"],
  ["L2NormalizeGrad"],
  ["Sgd", 1],
  ["Ema"],
  ["QueuePush"],
  ["PrototypeUpdate"],
  ["RunningAverage"],
];
for (const [name, result = 0] of wrong)
  test.serial(`the comparison finds ${name} with result ${result} off by 0.2 %`, async (t) => {
    const [a, g] = [await artefact, graphOf("proto", 2)];
    const model = spoiled(withoutDefaults(stepModel(g, start(g))), name, result);
    const m = await OrtModel.load(model, [], false);
    const c = await compareStep(a, m, g, start(g), batchOf(1));
    t.false(c.ok, show(c));
    t.log(show(c));
  });
