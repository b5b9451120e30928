// The whole tiny MoPro as CUDA kernels in the emulator: in f32 against the reference evaluator, one step at a time from
// equal state; in bf16 finite, and with the same bits under another order of threads. mopro.long.test.ts has more.

import { readFileSync, writeFileSync } from "node:fs";
import test from "ava";
import { type Artefact, load, type Values } from "node-cuda-rt";
import type { NdArray } from "../../compiler/ir/nd.js";
import { phases } from "../../models/mopro.js";
import { compiled, toValues } from "../support/compiled.js";
import { checkLaunches, gpuCheck, small } from "../support/cuda_mopro.js";
import { emulated, haveEmulator } from "../support/emulated.js";
import { MoproSteps } from "../support/mopro_steps.js";

const run = haveEmulator ? test.serial : test.serial.skip; // the native tests are not built

const even = new MoproSteps(small, new Map([[1, 8]]));
const wide = new MoproSteps({ ...small, width: 1 / 2 }, new Map([[2, 8]]));

const inF32 = haveEmulator ? compiled("cuda_mopro_f32", even.graphs, emulated("f32")) : undefined;
for (const phase of phases)
  run(`CUDA, f32: a step of ${phase}`, async (t) => {
    await even.follow(t, (await inF32) as Artefact, phase, 1, 1);
  });

/** Outputs and states of one step of each phase, one after the other. */
async function chained(
  mopro: MoproSteps,
  groups: number,
  a: Artefact,
): Promise<readonly (readonly [string, Values])[]> {
  const states = mopro.start(groups, 11);
  for (const s of mopro.program(`clean_${groups}`).state)
    a.set(s.name, toValues(s.type, states.get(s.name) as NdArray));
  const seen: [string, Values][] = [];
  for (const [i, phase] of phases.entries()) {
    const inputs = mopro.batch(groups, 80 + i);
    const feed = mopro
      .program(`${phase}_${groups}`)
      .inputs.map((v) => [v.name, toValues(v.type, inputs[v.name] as NdArray)] as const);
    for (const [name, x] of Object.entries(await a.run(`${phase}_${groups}`, Object.fromEntries(feed))))
      seen.push([`${phase} ${name}`, x]);
  }
  return [...seen, ...a.state.map((s) => [s.name, a.get(s.name)] as [string, Values])];
}

const bytesOf = (x: Values): Buffer => Buffer.from(x.buffer, x.byteOffset, x.byteLength);
const sameBits = (a: Values, b: Values): boolean => bytesOf(a).equals(bytesOf(b));

/** The words of bf16 that f32 values are rounded to: nearest, ties to even. */
function inBf16(xs: Float32Array): Uint16Array {
  const bits = new Uint32Array(xs.buffer, xs.byteOffset, xs.length);
  return Uint16Array.from(bits, (u) => (u + 0x7fff + ((u >>> 16) & 1)) >>> 16);
}

/** The path that all GPUs take, and that of sm_90a, at a width where some channels come in units of 64. */
const archs = [
  ["emulator", even, 1],
  ["emulator_sm_90a", wide, 2],
] as const;
for (const [arch, mopro, groups] of archs) {
  run(
    `CUDA, bf16, ${arch}: every launch of a step against the op's reference; a record is checked on another device`,
    async (t) => {
      const target = emulated("bf16", 1, arch);
      const { dir, values, record } = await checkLaunches(t, mopro, groups, `cuda_mopro_bf16_${arch}`, target);

      emulated("bf16", 9);
      const again = gpuCheck("compare", dir, record);
      t.is(again.status, 0, again.text);
      t.regex(again.text, /, 0 wrong/);

      const bytes = readFileSync(record);
      for (let i = bytes.length >> 1; i < (bytes.length >> 1) + 64; i++) bytes[i] = (bytes[i] as number) ^ 0x40;
      writeFileSync(`${record}.spoiled`, bytes);
      const spoiled = gpuCheck("compare", dir, `${record}.spoiled`);
      t.is(spoiled.status, 1, "a record of other bytes is found");
      t.regex(spoiled.text, /WRONG step \d+ \w+ /);
      t.is(gpuCheck("compare", dir, values).status, 2);
    },
  );

  run(
    `CUDA, bf16, ${arch}: three steps are finite, keep the parameters' bf16 copies, and give the same bits under ` +
      "another order of threads",
    async (t) => {
      const a = await compiled(`cuda_mopro_bf16_${arch}`, mopro.graphs, emulated("bf16", 1, arch));
      const want = await chained(mopro, groups, a);
      for (const [name, x] of want) if (x instanceof Float32Array) t.true(x.every(Number.isFinite), name);
      const mirrors = a.state.filter((s) => s.name.endsWith(".bf16"));
      t.true(
        mirrors.some((s) => /encoder_k.*conv1/.test(s.name)) && mirrors.some((s) => /encoder_q.*conv1/.test(s.name)),
      );
      for (const { name } of mirrors)
        t.true(sameBits(a.get(name), inBf16(a.get(name.replace(".bf16", "")) as Float32Array)), name);
      emulated("bf16", 5);
      const got = await chained(mopro, groups, load(a.dir));
      const other = want.find(([, x], i) => !sameBits(x, (got[i] as (typeof want)[number])[1]));
      t.is(other?.[0], undefined, "other bits");
    },
  );
}
