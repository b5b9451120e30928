// The addon with a CUDA artefact: the native tests' toy plan on the emulated driver, with the same calls as on the CPU.

import { existsSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { load, type Values } from "node-cuda-rt";
import { root } from "../../compiler/util/root.js";

const built = join(root, "build", "native", "test");
const artefact = join(built, "native", "cuda_runtime", "toy_artefact");
const emulator = join(built, "emulator", "driver", "libcuda_emulator.so");
const there = existsSync(artefact) && existsSync(emulator);
const run = there ? test.serial : test.serial.skip; // the native tests are not built

/** x and scale of the program `mix`: y = x * scale / 2. */
const inputs = (scale: number): Record<string, Values> => ({
  "mix.x": Float32Array.from({ length: 300 }, (_, i) => (i % 8) - 3),
  "mix.scale": Float32Array.of(scale),
});

run("the addon runs a CUDA artefact off the main thread, with state by name", async (t) => {
  process.env.MOPROC_CUDA_DRIVER = emulator;
  process.env.MOPROC_EMULATOR = "seed=3";
  const a = load(artefact);
  t.is(a.arch, "emulator");
  a.initState(1);
  const norm = "encoder_q.bn1.running_var";
  t.deepEqual(a.get(norm), new Float32Array(7).fill(1));
  const seen: number[][] = [];
  let sum = 1;
  for (const scale of [2, 4]) {
    const given = inputs(scale);
    const outputs = await a.run("mix", given, { onProgress: (done, total) => seen.push([done, total]) });
    const y = (given["mix.x"] as Float32Array).map((x) => (x * scale) / 2);
    t.deepEqual(outputs.y, y);
    t.deepEqual(outputs.total, Float32Array.of(y.reduce((s, v) => s + v, 0)));
    sum += y.reduce((s, v) => s + v, 0);
  }
  t.deepEqual(a.get(norm), new Float32Array(7).fill(sum));
  t.deepEqual(seen, [
    [4, 4],
    [4, 4],
  ]);
  a.set(norm, new Float32Array(7).fill(-2));
  t.deepEqual(a.get(norm), new Float32Array(7).fill(-2));
  await t.throwsAsync(a.run("wild", {}), { message: /CUDA_ERROR_ILLEGAL_ADDRESS/ });
});

run("the addon says what is missing", (t) => {
  process.env.MOPROC_EMULATOR = "seed=1";
  process.env.MOPROC_CUDA_DRIVER = "/nowhere/libcuda.so.1";
  t.throws(() => load(artefact), { message: /cannot load \/nowhere\/libcuda.so.1/ });
  process.env.MOPROC_CUDA_DRIVER = emulator;
  t.throws(() => load(artefact, { gpu: 4 }), { message: /--gpu 4: the driver shows 1 GPU/ });
});
