// Optimizers over several steps beside PyTorch's, LARS beside NumPy; steps that do not count; ranks; launches.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { grad } from "../../compiler/autodiff/grad.js";
import { Builder } from "../../compiler/ir/builder.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Value } from "../../compiler/ir/types.js";
import * as op from "../../compiler/ops/index.js";
import { distribute } from "../../compiler/passes/distribute.js";
import { lower } from "../../compiler/pipeline.js";
import { root } from "../../compiler/util/root.js";
import * as optim from "../../models/optim.js";
import { compiled, nativeTarget, relativeError, runCompiled } from "../support/compiled.js";
import { noPythonWith, pythonWith } from "../support/python.js";
import { randomArray } from "../support/random.js";
import { evaluateRanks } from "../support/ranks.js";
import { initialStates, rows, run, type States } from "../support/training.js";

const f32 = (...shape: readonly number[]) => ({ dtype: "f32", shape }) as const;

/** An optimizer with what can be combined with it, on these parameters. */
interface Setting {
  readonly name: string;
  readonly optimizer: "sgd" | "adamw" | "lars";
  readonly hyper: Readonly<Record<string, number>>;
  readonly grouped?: boolean; // only matrices decay
  readonly clip?: number;
  readonly warm_up?: number;
  readonly ema?: number;
}

const shapes: Readonly<Record<string, readonly number[]>> = {
  "a.weight": [4, 3],
  "a.bias": [4],
  "b.weight": [2, 4, 3, 3],
  "b.none": [3, 2], // whose gradients are 0
};
const adamw = { lr: 0.05, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.1 };
const sgd = { lr: 0.1, momentum: 0.9, weight_decay: 0.05 };
const settings: readonly Setting[] = [
  { name: "adamw", optimizer: "adamw", hyper: adamw },
  { name: "adamw, groups", optimizer: "adamw", hyper: { ...adamw, beta1: 0.8, beta2: 0.95, eps: 1e-2 }, grouped: true },
  {
    name: "adamw, clipped",
    optimizer: "adamw",
    hyper: { ...adamw, eps: 0.1 },
    grouped: true,
    clip: 0.5,
    warm_up: 3,
    ema: 0.75,
  },
  { name: "sgd, clipped", optimizer: "sgd", hyper: sgd, grouped: true, clip: 3, warm_up: 2, ema: 0.5 },
  { name: "lars", optimizer: "lars", hyper: { ...sgd, trust: 0.02 } },
];

/** Updates by gradients that are inputs `g.NAME`, twice as large as they count; its result is the norm, if it clips. */
function program(s: Setting): { graph: Graph; params: readonly Value[] } {
  const b = Builder.create(s.name);
  const params = Object.entries(shapes).map(([name, shape]) =>
    b.at("").state(name, f32(...shape), { kind: "constant", value: 0 }),
  );
  const grads = params.map((p) => b.input(`g.${p.name}`, p.type));
  const finite = b.input("finite", f32());
  const given = Object.fromEntries(Object.keys(s.hyper).map((name) => [name, b.input(name, f32())]));
  const lr = s.warm_up ? optim.warm_up(b, given.lr as Value, s.warm_up, finite) : (given.lr as Value);
  const hyper = { ...given, lr } as never;
  const clipped = s.clip ? optim.clip_by_norm(b, grads, op.scalar(b, s.clip), 0.5) : undefined;
  const options = { ...(s.grouped && { decay: optim.decayMatrices() }), ...(clipped && { clip: clipped.clip }) };
  optim[s.optimizer](b, params, grads, hyper, finite, 0.5, options);
  if (s.ema) optim.ema(b, params, s.ema, finite);
  return { graph: b.finish([clipped ? clipped.norm : op.neg(b, lr)]), params };
}

const made = settings.map((s) => ({ s, ...program(s) }));
const finites = [1, 1, 0, 1, 1];
const gradient = (name: string, step: number): NdArray => {
  const shape = shapes[name] as readonly number[];
  return name.endsWith("none") ? NdArray.fill(shape, () => 0) : randomArray(shape, 17 * step + name.length);
};
const start = (graph: Graph): States =>
  new Map(
    [...initialStates(graph, 1)].map(([name, x]) => {
      const key = name.replace("ema.", "");
      return [name, key in shapes ? randomArray(x.shape, key.length) : x];
    }),
  );
const inputs = (s: Setting, step: number) => ({
  finite: NdArray.scalar(finites[step] as number),
  ...Object.fromEntries(Object.entries(s.hyper).map(([name, v]) => [name, NdArray.scalar(v)])),
  ...Object.fromEntries(
    Object.keys(shapes).map((name) => {
      const g = gradient(name, step);
      return [
        `g.${name}`,
        new NdArray(
          g.shape,
          g.data.map((v) => 2 * v),
        ),
      ];
    }),
  ),
});

/** The states after each step, and the output. */
function history({ s, graph }: (typeof made)[number]): { states: States; output: number }[] {
  let states = start(graph);
  return finites.map((_, step) => {
    const r = run(graph, states, inputs(s, step));
    states = r.states;
    return { states, output: (Object.values(r.outputs)[0] as NdArray).at() };
  });
}

const python = pythonWith("torch", "numpy");
if (python === undefined) test.skip(`optimizers beside PyTorch: ${noPythonWith("torch", "numpy")}`, (t) => t.pass());
else
  test("each step has the states of PyTorch's optimizers, and of LARS in NumPy", (t) => {
    const dir = join(root, "build", "test");
    mkdirSync(dir, { recursive: true });
    const scratch = mkdtempSync(join(dir, "optim-"));
    const [asked, answered] = [join(scratch, "runs.json"), join(scratch, "results.json")];
    const runs = made.map(({ s, graph }) => {
      const first = start(graph);
      const params = Object.entries(shapes).map(([name, shape]) => [
        name,
        { shape, data: [...(first.get(name) as NdArray).data] },
      ]);
      const steps = finites.map((finite, step) => ({
        finite,
        grads: Object.fromEntries(Object.keys(shapes).map((name) => [name, [...gradient(name, step).data]])),
      }));
      const decays = Object.keys(shapes).filter((name) => !s.grouped || (shapes[name] as number[]).length > 1);
      const { optimizer, hyper, clip = 0, warm_up = 1, ema = 1 } = s;
      return { optimizer, hyper, clip, warm_up, ema, decays, params: Object.fromEntries(params), steps };
    });
    writeFileSync(asked, JSON.stringify(runs));
    const r = spawnSync(python, [join(root, "test", "models", "optim_check.py"), asked, answered], {
      encoding: "utf8",
    });
    t.is(r.status, 0, r.stderr);
    type Step = { state: Record<string, number[]>; norm: number | null };
    const results = JSON.parse(readFileSync(answered, "utf8")) as Step[][];
    rmSync(scratch, { recursive: true });
    for (const [i, m] of made.entries())
      for (const [step, { states, output }] of history(m).entries()) {
        const want = results[i]?.[step] as Step;
        for (const [name, x] of states) {
          if (name === "optimizer.step") {
            t.is(x.at(), finites.slice(0, step + 1).filter(Boolean).length);
            continue;
          }
          const wanted = want.state[name] as number[];
          const worst = Math.max(...x.data.map((v, j) => Math.abs(v - (wanted[j] as number))));
          t.true(worst < 1e-12, `${m.s.name}, step ${step}: ${name} is off by ${worst}`); // both compute in f64
        }
        if (want.norm !== null)
          t.true(Math.abs(output - want.norm) < 1e-12, `${m.s.name}: norm ${output}, ${want.norm}`);
      }
  });

test("a step that is not finite changes nothing, also if gradients and norms are NaN", (t) => {
  for (const { s, graph } of made) {
    const before = history({ s, graph, params: [] })[1]?.states as States;
    const bad = Object.fromEntries(
      Object.entries(inputs(s, 2)).map(([name, x]) =>
        name.startsWith("g.") ? [name, NdArray.fill(x.shape, () => Number.NaN)] : [name, x],
      ),
    );
    const { states } = run(graph, before, bad);
    for (const [name, x] of states)
      t.deepEqual([...x.data], [...(before.get(name) as NdArray).data], `${s.name}: ${name}`);
  }
});

test("compiled, three steps have the same states in f32", async (t) => {
  for (const { s, graph } of made) {
    const artefact = await compiled(`optim_${s.name.replace(/\W+/g, "_")}`, [graph]);
    let states = start(graph);
    for (const step of [0, 1, 2]) {
      // 1 - beta2 shows the rounding of beta2 to f32, so both get it rounded
      const rounded = Object.entries(inputs(s, step)).map(([k, x]) => [
        k,
        new NdArray(x.shape, x.data.map(Math.fround)),
      ]);
      const given = Object.fromEntries(rounded) as Readonly<Record<string, NdArray>>;
      const feed = new Map<Value, NdArray>([
        ...graph.inputs.map((v) => [v, given[v.name] as NdArray] as const),
        ...graph.state.map((v) => [v, states.get(v.name) as NdArray] as const),
      ]);
      const { state } = await runCompiled(artefact, graph, feed);
      states = run(graph, states, given).states;
      for (const [name, x] of states)
        if (state.has(name)) {
          const error = relativeError(state.get(name) as NdArray, x);
          t.true(error < 1e-5 || x.data.every((v) => v === 0), `${s.name}, step ${step}: ${name} is off by ${error}`);
        }
    }
  }
});

test("AdamW of many parameters is one launch if all decay alike", (t) => {
  const launches = (s: Setting): string[] =>
    lower([program(s).graph], { name: "optim", target: nativeTarget }).plan.programs[0]?.steps.flatMap((step) =>
      step.do === "launch" && step.name.startsWith("optimizer") ? [step.name] : [],
    ) ?? [];
  const updates = launches(settings[0] as Setting).filter((name) => /weight|bias|none/.test(name));
  t.is(updates.length, 1, updates.join());
});

test("ranks compute the updates of the whole batch", (t) => {
  const b = Builder.create("step", { groups: 4 });
  const x = b.input("x", f32(8, 3));
  const params = [
    b.state("w", f32(3, 5), { kind: "uniform", bound: 1 }),
    b.state("c", f32(5), { kind: "uniform", bound: 1 }),
  ];
  const y = op.add(b, op.matmul(b, x, params[0] as Value), params[1] as Value);
  const loss = op.sum(b, op.reshape(b, op.channel_sum(b, op.square(b, y), { groups: 4 }), { shape: [4, 5] }), {
    axes: [1],
  });
  const weights = op.constant(b, { values: [1], shape: [4] });
  const tanh = op.tanh(b, y);
  const ce = op.softmax_cross_entropy(
    b,
    tanh,
    b.input("target", { dtype: "i64", shape: [8] }),
    op.constant(b, { values: [1], shape: [8] }),
    { groups: 4 },
  );
  const grads = grad(b, ce, weights, params);
  const finite = op.all_finite(b, [ce, ...grads]);
  const { clip } = optim.clip_by_norm(b, grads, op.scalar(b, 0.1), 0.25);
  const hyper = Object.fromEntries(Object.entries(adamw).map(([name, v]) => [name, op.scalar(b, v)])) as never;
  optim.adamw(b, params, grads, hyper, finite, 0.25, { clip, decay: optim.decayMatrices() });
  optim.ema(b, params, 0.9, finite);
  const whole = b.finish([loss, ce]);
  const feed = { x: randomArray([8, 3], 3), target: new NdArray([8], Float64Array.from([0, 1, 2, 3, 4, 0, 1, 2])) };
  const states = initialStates(whole, 9);
  const want = run(whole, states, feed);
  const local = distribute(whole, 2, "load");
  const envs = evaluateRanks(
    local,
    [0, 1].map((r) => {
      const own = local.inputs.map((v) => {
        if (v.name === "mail") return [v.name, NdArray.fill(v.type.shape, () => r)] as const;
        return [v.name, rows(feed[v.name as "x"], 4 * r, 4 * r + 4)] as const;
      });
      return new Map([...states, ...own]);
    }),
  );
  for (const env of envs)
    for (const [s, v] of local.updates) {
      const error = relativeError(env.get(v) as NdArray, want.states.get(s.name) as NdArray);
      t.true(error < 1e-12, `${s.name} is off by ${error}`);
    }
});

test("ema before the optimizer is refused, and so is a missing gradient", (t) => {
  const b = Builder.create("g");
  const p = b.state("p", f32(2), { kind: "constant", value: 0 });
  const finite = op.scalar(b, 1);
  t.throws(() => optim.ema(b, [p], 0.9, finite), { message: /ema of %p, which has no update: call it after/ });
  t.throws(() => optim.adamw(b, [p], [], {} as never, finite), { message: /0 gradients for 1 parameters/ });
});
