// Random training graphs through the whole compiler. In f64, without C++: every pass, fusion, the memory plan and the
// gradients. As compiled code: only some, as programs of one artefact, because compiling C++ takes most of the time.
// SEED=n checks that seed, SEED=n SEEDS=m checks m seeds from n on, and COMPILED=m compiles m of them.

import test from "ava";
import { load } from "node-cuda-rt";
import type { NdArray } from "../../compiler/ir/nd.js";
import type { Value } from "../../compiler/ir/types.js";
import { compiled, runCompiled } from "../support/compiled.js";
import { type Checkable, checkable, checkValues, difference, gradientDifference } from "../support/random_check.js";

const setting = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const first = setting("SEED", 0);
const count = setting("SEEDS", process.env.SEED === undefined ? 300 : 1);
const seeds = Array.from({ length: count }, (_, i) => first + i);

/** Runs a check of a seed's graph; its error names the seed. */
function withSeed<T>(seed: number, check: () => T): T {
  try {
    return check();
  } catch (e) {
    throw new Error(`SEED=${seed}: ${(e as Error).message}`, { cause: e });
  }
}

test("random graphs in f64: each pass and the plan keep all values, gradients agree with differences", (t) => {
  let asked = 0;
  for (const seed of seeds)
    withSeed(seed, () => {
      const c = checkable(seed);
      if (!c) return;
      asked++;
      checkValues(c);
      const error = gradientDifference(c);
      if (!(error < 1e-7)) throw new Error(`the gradient is off by ${error}`);
    });
  t.log(`${asked} of ${count} seeds`);
  t.true(asked >= 0.8 * count || count === 1, `only ${asked} of ${count} seeds make graphs that can be asked`);
});

/** Kernels round within ops too: 1e-5 is asked where rounding between ops makes less than 3e-7. */
const steady = (seed: number): Checkable[] => {
  const c = withSeed(seed, () => checkable(seed));
  return c && c.sensitivity < 3e-7 ? [c] : [];
};
const some: Checkable[] = [];
for (const seed of seeds) if (some.length < setting("COMPILED", 20)) some.push(...steady(seed));

test("random graphs compiled: outputs and states of a step, whatever the number of threads", async (t) => {
  const a = await compiled(
    "random",
    some.map((c) => c.graph),
  );
  const alone = load(a.dir, { threads: 1 });
  const wrong: string[] = [];
  for (const { graph, feed, env } of some) {
    const got = await runCompiled(a, graph, feed);
    const again = await runCompiled(alone, graph, feed);
    const compare = (name: string, v: Value, x?: NdArray, y?: NdArray): void => {
      const error = difference(x as NdArray, env.get(v) as NdArray);
      if (!(error <= 1e-5)) wrong.push(`SEED=${graph.name.slice(1)}: %${name} is off by ${error}`);
      const same = x?.data.every((d, i) => Object.is(d, y?.data[i]));
      if (!same) wrong.push(`SEED=${graph.name.slice(1)}: %${name} depends on the number of threads`);
    };
    for (const [i, v] of graph.outputs.entries()) compare(v.name, v, got.outputs[i], again.outputs[i]);
    for (const [s, v] of graph.updates) compare(s.name, v, got.state.get(s.name), again.state.get(s.name));
  }
  t.deepEqual(wrong, []);
});
