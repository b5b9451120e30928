// More of the tiny MoPro as CUDA kernels in the emulator than every test run needs: awkward sizes, tf32.

import test from "ava";
import { compiled } from "../support/compiled.js";
import { checkLaunches, small } from "../support/cuda_mopro.js";
import { emulated, haveEmulator } from "../support/emulated.js";
import { MoproSteps } from "../support/mopro_steps.js";

const run = haveEmulator ? test.serial : test.serial.skip; // the native tests are not built

const odd = new MoproSteps({ ...small, width: 1 / 8, queue: 7, image_size: 33 }, new Map([[2, 8]]));
const narrow = new MoproSteps({ ...small, width: 1 / 8 }, new Map([[1, 8]]));

run("CUDA, f32: a step of proto, odd sizes, two groups", async (t) => {
  const graphs = odd.graphs.filter((g) => g.name.startsWith("proto"));
  await odd.follow(t, await compiled("cuda_mopro_odd", graphs, emulated("f32")), "proto", 2, 1);
});

run("CUDA, tf32: every launch of a step against the op's reference", async (t) => {
  await checkLaunches(t, narrow, 1, "cuda_mopro_tf32", emulated("tf32"), [narrow.program("clean_1")]);
});
