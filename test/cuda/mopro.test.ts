// The tiny MoPro as CUDA kernels, whole, in the emulator: in f32 beside the reference evaluator, one step at a time from
// equal state; in bf16 finite, and the same bits under another order of threads.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { type Artefact, load, type Values } from "node-cuda-rt";
import type { NdArray } from "../../compiler/ir/nd.js";
import { root } from "../../compiler/util/root.js";
import { writeSafetensors } from "../../compiler/util/safetensors_writer.js";
import { phases } from "../../models/mopro.js";
import { compiled, toValues } from "../support/compiled.js";
import { emulated, haveEmulator } from "../support/emulated.js";
import { MoproSteps } from "../support/mopro_steps.js";
import { checkRecord } from "../support/recorded.js";

const run = haveEmulator ? test.serial : test.serial.skip; // the native tests are not built

const even = new MoproSteps(
  { arch: "resnet10", width: 1 / 4, num_class: 5, low_dim: 8, queue: 11, image_size: 32 },
  new Map([[1, 8]]),
);
/** Rows and columns of images are odd, groups are two. */
const odd = new MoproSteps(
  { arch: "resnet10", width: 1 / 8, num_class: 5, low_dim: 8, queue: 7, image_size: 33 },
  new Map([[2, 8]]),
);

for (const [name, mopro, groups, which] of [["even", even, 1, phases], ["odd", odd, 2, ["proto"]]] as const) {
  const graphs = mopro.graphs.filter((g) => which.some((phase) => g.name.startsWith(phase)));
  const artefact = haveEmulator ? compiled(`cuda_mopro_${name}`, graphs, emulated("f32")) : undefined;
  for (const phase of which)
    run(`CUDA, f32: a step of ${phase}, ${name} sizes, groups ${groups}`, async (t) => {
      await mopro.follow(t, (await artefact) as Artefact, phase, groups, 1);
    });
}

/** Outputs and states of one step of each phase, one after the other. */
async function chained(a: Artefact): Promise<readonly (readonly [string, Values])[]> {
  const states = even.start(1, 11);
  for (const s of even.program("clean_1").state) a.set(s.name, toValues(s.type, states.get(s.name) as NdArray));
  const seen: [string, Values][] = [];
  for (const [i, phase] of phases.entries()) {
    const inputs = even.batch(1, 80 + i);
    const feed = even.program(`${phase}_1`).inputs.map((v) => [v.name, toValues(v.type, inputs[v.name] as NdArray)] as const);
    for (const [name, x] of Object.entries(await a.run(`${phase}_1`, Object.fromEntries(feed)))) seen.push([`${phase} ${name}`, x]);
  }
  return [...seen, ...a.state.map((s) => [s.name, a.get(s.name)] as [string, Values])];
}

/** States and inputs of a step, for the tool that records launches. */
function writeValues(path: string, program: string): void {
  const g = even.program(program);
  const all = { ...Object.fromEntries(even.start(1, 11)), ...even.batch(1, 80) };
  const tensors = [...g.state, ...g.inputs].map(({ name, type: { dtype, shape } }) => {
    const values = toValues({ dtype, shape }, all[name] as NdArray);
    const kinds = { f32: "F32", i64: "I64", u8: "U8" } as const;
    return { name, dtype: kinds[dtype as keyof typeof kinds], shape, bytes: new Uint8Array(values.buffer) };
  });
  writeSafetensors(path, tensors, {});
}

/** The native tool; its exit status and what it said. */
function gpuCheck(...args: readonly string[]): { readonly status: number | null; readonly text: string } {
  const { status, stdout, stderr } = spawnSync(join(root, "build", "native", "moproc-gpu-check"), args, { encoding: "utf8" });
  return { status, text: stdout + stderr };
}

run("CUDA, bf16: every launch of a step against the op's reference; a record is checked on another device", async (t) => {
  const target = emulated("bf16");
  const { dir } = await compiled("cuda_mopro_bf16", even.graphs, target);
  const [values, record] = [join(dir, "values.safetensors"), join(dir, "clean.record")];
  writeValues(values, "clean_1");
  const made = gpuCheck("record", dir, "clean_1", values, record);
  t.is(made.status, 0, made.text);
  const checks = await checkRecord(dir, record, even.program("clean_1"), target);
  for (const kernel of new Set(checks.map((c) => c.kernel))) {
    const own = checks.filter((c) => c.kernel === kernel);
    t.log(`${kernel}: ${own.length} results, ${Math.max(...own.map((c) => c.norm)).toExponential(1)} of the norm, ${Math.max(...own.map((c) => c.ulps)).toFixed(1)} ulp`);
  }
  t.deepEqual(checks.filter((c) => !c.ok), []);
  t.true(checks.length > 150);

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
});

run("CUDA, bf16: three steps are finite, and the same bits under another order of threads", async (t) => {
  const a = await compiled("cuda_mopro_bf16", even.graphs, emulated("bf16"));
  const want = await chained(a);
  for (const [name, x] of want)
    if (x instanceof Float32Array) t.true(x.every(Number.isFinite), name);
  emulated("bf16", 5);
  const got = await chained(load(a.dir));
  const other = want.find(([, x], i) => !Buffer.from(x.buffer).equals(Buffer.from((got[i] as (typeof want)[number])[1].buffer)));
  t.is(other?.[0], undefined, "other bits");
});
