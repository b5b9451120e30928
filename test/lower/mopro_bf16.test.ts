// The tiny MoPro in bf16 on the CPU: every launch of a step against its op's reference, computed from the same bytes;
// the same bits on AVX2, AVX-512 and AVX512-BF16 and for any number of threads; and 20 steps beside f32.

import test from "ava";
import type { Artefact, Values } from "node-cuda-rt";
import type { NdArray } from "../../compiler/ir/nd.js";
import type { Target } from "../../compiler/ir/types.js";
import { phases } from "../../models/mopro.js";
import { amx, archs, hasAmx, missingArchs } from "../support/bf16_cases.js";
import { compiled, toValues } from "../support/compiled.js";
import { checkLaunches, gpuCheck, small } from "../support/cuda_mopro.js";
import { MoproSteps } from "../support/mopro_steps.js";

const target = (arch: string): Target => ({ device: "cpu", arch, ranks: [1], precision: "bf16" });
const best = archs.at(-1) as string;
const native = target(hasAmx ? amx : best);
/** Awkward on purpose: odd images, channels that are no whole vectors (9, 18, ...), two groups of four images. */
const odd = { ...small, width: 9 / 64, queue: 7, image_size: 33 };
const mopro = new MoproSteps(odd, new Map([[2, 8]]));
const names = new Map([...archs, amx].map((a) => [a, `mopro_bf16_${a.replaceAll(/\W/g, "_")}`]));
const artefact = (arch: string, threads = 2): Promise<Artefact> =>
  compiled(names.get(arch) as string, mopro.graphs, target(arch), threads);

test.serial("every launch of a step against the op's reference", async (t) => {
  const { dir, record } = await checkLaunches(t, mopro, 2, names.get(native.arch) as string, native);
  const again = gpuCheck("compare", dir, record);
  t.is(again.status, 0, again.text);
  t.regex(again.text, /, 0 wrong/);
});

/** Outputs and states of one step of each phase, one after the other. */
async function chained(a: Artefact): Promise<readonly (readonly [string, Values])[]> {
  const states = mopro.start(2, 11);
  for (const s of mopro.program("clean_2").state) a.set(s.name, toValues(s.type, states.get(s.name) as NdArray));
  const seen: [string, Values][] = [];
  for (const [i, phase] of phases.entries()) {
    const inputs = mopro.batch(2, 80 + i);
    const feed = mopro
      .program(`${phase}_2`)
      .inputs.map((v) => [v.name, toValues(v.type, inputs[v.name] as NdArray)] as const);
    for (const [name, x] of Object.entries(await a.run(`${phase}_2`, Object.fromEntries(feed))))
      seen.push([`${phase} ${name}`, x]);
  }
  const kept = a.state.filter((s) => s.role !== "derived"); // packed weights have another form for each CPU
  return [...seen, ...kept.map((s) => [s.name, a.get(s.name)] as [string, Values])];
}

const bytesOf = (x: Values): Buffer => Buffer.from(x.buffer, x.byteOffset, x.byteLength);
test.serial("the same bits on every kind of CPU and for every number of threads", async (t) => {
  const want = await chained(await artefact(best));
  t.true(want.length > 100);
  for (const [name, x] of want) if (x instanceof Float32Array) t.true(x.every(Number.isFinite), name);
  const others = [...archs.slice(0, -1).map((a) => artefact(a)), artefact(best, 1)];
  for (const other of others) {
    const got = await chained(await other);
    for (const [i, [name, x]] of want.entries())
      t.true(bytesOf(x).equals(bytesOf((got[i] as (typeof want)[number])[1])), `${(await other).dir}: ${name}`);
  }
});
if (hasAmx)
  test.serial("AMX computes the same bits for every number of threads", async (t) => {
    const [want, got] = [await chained(await artefact(amx)), await chained(await artefact(amx, 1))];
    for (const [i, [name, x]] of want.entries())
      t.true(bytesOf(x).equals(bytesOf((got[i] as (typeof want)[number])[1])), name);
  });
for (const arch of missingArchs) test.skip(`bf16 on ${arch}: this CPU does not have it`, () => {});

test.serial("losses of 20 steps lie within 3 % of those in f32", async (t) => {
  // With a larger learning rate, the losses of a network this small jump from batch to batch, and both runs diverge.
  const slowly = { lr: 5e-4 };
  const even = new MoproSteps({ ...small, image_size: 64, residual: 1 / 4 }, new Map([[1, 32]]));
  const g = even.program("proto_1");
  const [half, whole] = await Promise.all([
    compiled("mopro_bf16_even", [g], native),
    compiled("mopro_bf16_f32", [g], { ...native, precision: "f32" }),
  ]);
  const states = even.start(1, 11);
  for (const a of [half, whole])
    for (const s of g.state) a.set(s.name, toValues(s.type, states.get(s.name) as NdArray));
  let worst = 0;
  for (let step = 0; step < 20; step++) {
    const inputs = even.batch(1, 100 + step, slowly);
    const feed = Object.fromEntries(g.inputs.map((v) => [v.name, toValues(v.type, inputs[v.name] as NdArray)]));
    const [x, y] = [await half.run(g.name, feed), await whole.run(g.name, feed)];
    for (const name of Object.keys(x).filter((n) => n.startsWith("loss"))) {
      const [a, b] = [(x[name] as Float32Array)[0] as number, (y[name] as Float32Array)[0] as number];
      worst = Math.max(worst, Math.abs(a - b) / Math.abs(b));
    }
  }
  t.log(`largest difference ${worst.toExponential(1)}`);
  t.true(worst > 0 && worst < 3e-2, `${worst}`);
});
