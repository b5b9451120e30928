// The CUDA kernels compile with nvcc, if it is installed, without warnings, spilled registers or stack. The templates
// without tensor cores come from a file of instances. The others are emitted for ResNet-50's training step, those with
// the largest bodies.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { nvccDrivers } from "../../compiler/emit/nvcc.js";
import { type Resources, resources } from "../../compiler/emit/resources.js";
import type { CodeDriver, Kernel, Plan } from "../../compiler/lower/plan.js";
import { lower } from "../../compiler/pipeline.js";
import { root } from "../../compiler/util/root.js";
import { moproPrograms } from "../../models/mopro.js";

const hasNvcc = spawnSync("nvcc", ["--version"]).status === 0;
const run = hasNvcc ? test.serial : test.serial.skip;
const why = hasNvcc ? "" : " (no nvcc on the PATH)";

/**
 * What ptxas says of each kernel of a file; nvcc must have nothing to say, but that not every constant of a shape is
 * used.
 */
function compiled(t: ExecutionContext, text: string, code: string): Readonly<Record<string, Resources>> {
  const dir = mkdtempSync(join(tmpdir(), "moproc nvcc "));
  try {
    writeFileSync(join(dir, "kernels.cu"), text);
    const include = ["-I", join(root, "kernels"), "-I", join(root, "test")];
    const flags = [
      "-cubin",
      "-gencode",
      code,
      "-std=c++20",
      "-fmad=false",
      "-Xptxas",
      "-v",
      "-diag-suppress=177",
      ...include,
    ];
    const files = ["-o", join(dir, "kernels.cubin"), join(dir, "kernels.cu")];
    const { status, stdout, stderr } = spawnSync("nvcc", [...flags, ...files], {
      encoding: "utf8",
      maxBuffer: 1 << 26,
    });
    const log = stdout + stderr;
    t.is(status, 0, log);
    t.notRegex(log, /warning|performance loss/i); // the latter: products of warp groups that wait for each other
    return Object.values(resources(log))[0] ?? {};
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function spillNothing(
  t: ExecutionContext,
  kernels: Readonly<Record<string, Resources>>,
  least: number,
  registers: number,
): void {
  t.true(Object.keys(kernels).length >= least, `${Object.keys(kernels).length} kernels`);
  t.deepEqual(
    Object.entries(kernels).filter(([, k]) => k.spill_bytes + k.stack_bytes > 0 || k.registers > registers),
    [],
  );
}

for (const [gpu, code] of [
  ["sm_80", "arch=compute_80,code=sm_80"],
  ["sm_90a", "arch=compute_90a,code=sm_90a"],
  ["sm_100, from the PTX that every binary holds", "arch=compute_80,code=sm_100"],
] as const) {
  run(`templates without tensor cores for ${gpu}: no warning, no spill${why}`, (t) => {
    spillNothing(t, compiled(t, '#include "native/cuda/kernels.cu"', code), 40, 128);
  });
}

for (const [gpu, code, ofHopper] of [
  ["sm_80", "arch=compute_80,code=sm_80", false],
  ["sm_90a", "arch=compute_90a,code=sm_90a", true],
] as const) {
  run(`the probes of primitives for ${gpu}: no warning, no spill${why}`, async (t) => {
    const { probePlan } = (await import(join(root, "tools", "gpu", "probes.mjs"))) as {
      probePlan(arch: string, ofHopper: boolean): Plan;
    };
    const { kernels } = probePlan(gpu, ofHopper);
    const text = ['#include "cuda/probes.cuh"', "using namespace moproc;", ...kernels.map((k) => k.source)].join("\n");
    spillNothing(t, compiled(t, text, code), kernels.length, 255);
  });
}

/** Of each template that uses tensor cores, the two kernels of the step with the most to do beside the product. */
function heaviest(): readonly Kernel[] {
  const config = { arch: "resnet50", width: 1, num_class: 1000, low_dim: 128, queue: 8192, image_size: 224 } as const;
  const graphs = moproPrograms({ ...config, batch: 256, groups: 1 }).filter((g) => g.name === "clean");
  const target = { device: "cuda", arch: "sm_80,sm_90a", ranks: [1], precision: "bf16" } as const;
  const { kernels } = lower(graphs, { name: "r50", target }).plan;
  const size = (k: Kernel): number => k.source.split("const Vec").length;
  return ["conv_fprop", "conv_dgrad", "conv_wgrad", "matmul"].flatMap((template) =>
    kernels
      .filter((k) => k.template === template)
      .toSorted((a, b) => size(b) - size(a))
      .slice(0, 2),
  );
}

for (const [gpu, code] of [
  ["sm_80", "arch=compute_80,code=sm_80"],
  ["sm_90a", "arch=compute_90a,code=sm_90a"],
] as const) {
  run(`the heaviest convolutions and matrix products of ResNet-50 for ${gpu}: no warning, no spill${why}`, (t) => {
    const kernels = heaviest();
    const headers = new Set(kernels.map((k) => `#include "cuda/${k.header}.cuh"`));
    const text = [...headers, "using namespace moproc;", ...kernels.map((k) => k.source)].join("\n");
    spillNothing(t, compiled(t, text, code), 8, 255);
  });
}

run(`cubins have the ELF version that drivers of nvcc's major version read${why}`, async (t) => {
  const [{ cuda, nvcc }] = (await nvccDrivers()) as [CodeDriver];
  const dir = mkdtempSync(join(tmpdir(), "moproc cubin "));
  try {
    writeFileSync(join(dir, "one.cu"), "__global__ void one(int* x) { *x = 1; }\n");
    const files = ["-o", join(dir, "one.cubin"), join(dir, "one.cu")];
    t.is(spawnSync("nvcc", ["-cubin", "-arch=sm_90a", ...files]).status, 0);
    const [abi, version] = readFileSync(join(dir, "one.cubin")).subarray(7, 9); // EI_OSABI, EI_ABIVERSION
    t.deepEqual([abi, version], cuda < 13000 ? [0x33, 7] : [0x41, 8], `nvcc ${nvcc}`);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
