// A binary that nvcc made says which driver it needs. The nvcc is a stand-in that writes an empty image, and the driver
// is the emulated one, of whatever CUDA version.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { Builder } from "../../compiler/ir/builder.js";
import type { Plan } from "../../compiler/lower/plan.js";
import { relu } from "../../compiler/ops/index.js";
import { compile } from "../../compiler/pipeline.js";
import { root } from "../../compiler/util/root.js";
import { finish } from "../../models/nn.js";
import { emulatedDriver, haveEmulator } from "../support/emulated.js";

const main = join(root, "build", "js", "tools", "cli", "main.js");
const run = haveEmulator ? test.serial : test.serial.skip; // the native tests are not built

run("a binary compiled by nvcc 13.0 or 12.9 names the driver that it needs, and what else would help", async (t) => {
  mkdirSync(join(root, "build", "test"), { recursive: true });
  const dir = mkdtempSync(join(root, "build", "test", "driver "));
  const before = { nvcc: process.env.NVCC, cache: process.env.MOPROC_CACHE };
  try {
    process.env.MOPROC_CACHE = join(dir, "cache"); // these images must not be found by others
    for (const [nvcc, driver, expected] of [
      [
        "13.0",
        12090,
        /CUDA 12\.9; g is compiled by nvcc 13\.0 and needs one for CUDA 13\.0 .*580\.65\.06.*nvcc of CUDA 12\.8/,
      ],
      ["13.0", 12020, /CUDA 12\.2; g is compiled by nvcc 13\.0 and needs .*580\.65\.06\): update the NVIDIA driver$/m],
      ["12.9", 12020, /CUDA 12\.2; g is compiled by nvcc 12\.9 and needs one for CUDA 12\.4 .*550\.54\.14/],
      ["12.9", 12040, /no image|holds kernels for sm_80/], // the driver is accepted, the stand-in's image is not
    ] as const) {
      process.env.NVCC = join(dir, `nvcc-${nvcc}`);
      const script = `if [ "$1" = --version ]; then echo "tools, release ${nvcc}, V${nvcc}.1"; exit; fi
while [ $# -gt 1 ]; do [ "$1" = -o ] && echo image > "$2"; shift; done`;
      writeFileSync(process.env.NVCC, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      const b = Builder.create("g");
      const g = finish(b, { y: relu(b, b.input("x", { dtype: "f32", shape: [8] })) });
      const out = join(dir, "out");
      await compile([g], out, { name: "g", target: { device: "cuda", arch: "sm_80", ranks: [1] } });
      const plan = JSON.parse(readFileSync(join(out, "plan.json"), "utf8")) as Plan;
      t.is(plan.drivers?.[0]?.nvcc, nvcc);
      const said = spawnSync(process.execPath, [main, "inspect", out], { encoding: "utf8" }).stdout;
      t.regex(
        said,
        nvcc === "13.0" ? /nvcc 13\.0: needs .* CUDA 13\.0 or later \(release 580/ : /nvcc 12\.9: needs .* 12\.4 or/,
      );
      const env = { ...process.env, MOPROC_CUDA_DRIVER: emulatedDriver, MOPROC_EMULATOR: `version=${driver}` };
      const ran = spawnSync(join(out, "run"), ["g", "--outputs", join(dir, "y.safetensors")], {
        env,
        encoding: "utf8",
      });
      t.is(ran.status, 2, ran.stderr);
      t.regex(ran.stderr, expected);
      rmSync(out, { recursive: true });
    }
  } finally {
    for (const [name, value] of [
      ["NVCC", before.nvcc],
      ["MOPROC_CACHE", before.cache],
    ] as const)
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    rmSync(dir, { recursive: true });
  }
});
