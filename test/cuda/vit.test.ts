// MoPro with a small vision transformer as CUDA kernels in the emulator: a step in f32 against the reference
// evaluator.

import test from "ava";
import type { Artefact } from "node-cuda-rt";
import { compiled } from "../support/compiled.js";
import { small } from "../support/cuda_mopro.js";
import { emulated, haveEmulator } from "../support/emulated.js";
import { MoproSteps } from "../support/mopro_steps.js";

const run = haveEmulator ? test.serial : test.serial.skip; // the native tests are not built
const vit = new MoproSteps({ ...small, arch: "vit_s_16", width: 1 / 8 }, new Map([[1, 8]]));

run("CUDA, f32: a step of a vision transformer", async (t) => {
  const graphs = vit.graphs.filter((g) => g.name === "proto_1");
  t.is(graphs.length, 1);
  const a: Artefact = await compiled("cuda_vit_f32", graphs, emulated("f32"));
  await vit.follow(t, a, "proto", 1, 1);
});
