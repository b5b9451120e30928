// nvcc compiles every golden file of CUDA kernels, for both paths and for future GPUs.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";

const hasNvcc = spawnSync("nvcc", ["--version"]).status === 0;
const run = hasNvcc ? test.serial : test.serial.skip;
const golden = join(root, "test", "golden");

for (const file of readdirSync(golden).filter((f) => f.endsWith(".cu")))
  for (const [gpu, code] of [
    ["sm_80", "arch=compute_80,code=sm_80"],
    ["sm_90a", "arch=compute_90a,code=sm_90a"],
    ["sm_100", "arch=compute_80,code=sm_100"],
  ] as const)
    run(`${file} for ${gpu}${hasNvcc ? "" : " (no nvcc on the PATH)"}`, (t) => {
      const flags = [
        "-cubin",
        "-gencode",
        code,
        "-std=c++20",
        "-fmad=false",
        "-diag-suppress=177",
        "-I",
        join(root, "kernels"),
        "-o",
        "/dev/null",
      ];
      const { status, stdout, stderr } = spawnSync("nvcc", [...flags, join(golden, file)], { encoding: "utf8" });
      t.is(status, 0, stdout + stderr);
      t.notRegex(stdout + stderr, /warning/i);
    });
