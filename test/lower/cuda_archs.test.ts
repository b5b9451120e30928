// ResNet-50's MoPro step, lowered for each GPU architecture: blocks fit into its shared memory, and as many blocks as
// the kernels claim fit on a multiprocessor. The numbers of this file are NVIDIA's and not read from the compiler's
// table.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import type { Launch, Plan } from "../../compiler/lower/plan.js";
import { limitsFor, limitsOf, residentBlocks } from "../../compiler/lower/templates/cuda/limits.js";
import { root } from "../../compiler/util/root.js";
import { resnetPlan, TILE_ARCHS, tileOn, tilePage } from "../../tools/docs/tile_table.js";

/** KiB of shared memory of a multiprocessor, and its threads. A block can have 1 KiB less, which the system takes. */
const gpus = {
  sm_80: { shared: 164, threads: 2048, blocks: 32 },
  sm_86: { shared: 100, threads: 1536, blocks: 16 },
  sm_89: { shared: 100, threads: 1536, blocks: 24 },
  sm_90a: { shared: 228, threads: 2048, blocks: 32 },
  sm_100: { shared: 228, threads: 2048, blocks: 32 },
  sm_120: { shared: 100, threads: 1536, blocks: 24 },
} as const;
const lists = [...TILE_ARCHS, "sm_86,sm_90a"];
const plans = new Map(lists.map((arch) => [arch, resnetPlan(arch)]));
const planOf = (arch: string): Plan => plans.get(arch) as Plan;

for (const list of lists)
  test(`${list}: kernels fit into shared memory, as often as they claim`, (t) => {
    const { kernels } = planOf(list);
    const convolutions = kernels.filter((k) => k.template.startsWith("conv_"));
    t.true(convolutions.length > 60);
    for (const arch of list.split(",")) {
      const gpu = gpus[arch as keyof typeof gpus];
      for (const k of kernels) {
        const bytes = (arch === "sm_90a" && k.hopper ? k.hopper : k).sharedBytes;
        t.true(bytes <= (gpu.shared - 1) * 1024, `${arch}: ${k.symbol} needs ${bytes} bytes`);
      }
      for (const k of convolutions) {
        const { threads, sharedBytes: bytes, blocks } = tileOn(k, arch);
        const says = `${arch}: ${k.symbol} claims ${blocks} blocks of ${threads} threads and ${bytes} bytes`;
        t.true(blocks >= 1, says);
        t.true(blocks <= Math.floor((gpu.shared * 1024) / (bytes + 1024)), says);
        t.true(blocks * threads <= gpu.threads, says);
        if (!list.includes("sm_90a")) t.true(blocks * threads >= 256, `${says}: too few to hide latencies`);
      }
    }
  });

test("a list of GPUs keeps the limits of the smallest; sm_90a has code of its own", (t) => {
  const of = (arch: string, hopper: boolean): number =>
    limitsFor({ device: "cuda", arch, ranks: [1] }, hopper).sharedOfBlock / 1024;
  t.is(of("sm_80,sm_89,sm_100", false), 99);
  t.is(of("sm_80,sm_90a", true), 163);
  t.is(of("sm_80,sm_90a", false), 163);
  t.is(of("sm_90a", true), 163, "the PTX beside it is for sm_80 and later");
  t.is(of("sm_100a", false), 227);
  t.is(of("sm_999", false), 99, "unknown");
});

test("sizes once claimed too high: on A100 99,344 bytes fit once and 74,256 twice, on sm_86 132,112 never", (t) => {
  t.is(residentBlocks(limitsOf("sm_80"), 256, 99_344), 1);
  t.is(residentBlocks(limitsOf("sm_80"), 128, 74_256), 2);
  for (const arch of ["sm_86", "sm_89", "sm_120"]) t.is(residentBlocks(limitsOf(arch), 512, 132_112), 0);
});

test("for an H200, the tiles of the two GPUs that are the default have the shapes of its own path", (t) => {
  const shapes = (list: string): unknown =>
    planOf(list)
      .kernels.filter((k) => k.hopper)
      .map((k) => [k.template, tileOn(k, "sm_90a"), k.hopper]);
  t.deepEqual(shapes("sm_80,sm_90a"), shapes("sm_90a"));
  t.deepEqual(shapes("sm_86,sm_90a"), shapes("sm_90a"));
});

test("blocks fill the waves: layer4's 3x3 convolutions have 132 blocks of 3 tiles, not 100 of 4", (t) => {
  const plan = planOf("sm_80,sm_90a");
  const wide = plan.programs
    .flatMap((p) => p.steps)
    .filter((s): s is Launch => s.do === "launch" && /layer4\.[12]\.conv2/.test(s.name))
    .filter((s) => /^conv_(fprop|dgrad)/.test(plan.kernels[s.kernel]?.template ?? "") && s.tasks.length > 1);
  t.true(wide.length >= 4);
  for (const s of wide) t.deepEqual([s.tasks[0], s.extent[0]], [132, 3], s.name);
});

const header = [process.env.CUDA_HOME, "/usr/local/cuda", "/usr"]
  .map((home) => join(home ?? "", "include", "cuda_occupancy.h"))
  .find(existsSync);
const withHeader = header ? test : test.skip;
withHeader(`blocks per multiprocessor are those of cuda_occupancy.h${header ? "" : " (not found)"}`, (t) => {
  const sizes = [
    0, 32_768, 49_680, 50_176, 66_576, 74_256, 82_448, 99_344, 101_376, 101_377, 115_712, 132_112, 166_912,
  ];
  const rows = Object.entries(gpus).flatMap(([arch, gpu]) =>
    sizes.flatMap((bytes) => [128, 256, 512].map((threads) => ({ arch, gpu, bytes, threads }))),
  );
  const calls = rows.map(({ arch, gpu, bytes, threads }) => {
    const number = Number(/\d+/.exec(arch)?.[0]);
    const args = [Math.floor(number / 10), number % 10, gpu.shared, gpu.threads, bytes, threads];
    return `  show(${args.join(", ")});`;
  });
  const text = `#include <cstdio>
#include <cuda_occupancy.h>
void show(int major, int minor, int kib, int threads, int bytes, int block) {
  cudaOccDeviceProp p;
  p.computeMajor = major, p.computeMinor = minor, p.maxThreadsPerBlock = 1024;
  p.maxThreadsPerMultiprocessor = threads, p.regsPerBlock = p.regsPerMultiprocessor = 65536, p.warpSize = 32;
  p.sharedMemPerBlock = 48 << 10, p.sharedMemPerMultiprocessor = kib << 10, p.numSms = 100;
  p.sharedMemPerBlockOptin = (kib - 1) << 10, p.reservedSharedMemPerBlock = 1024;
  cudaOccFuncAttributes a;
  a.maxThreadsPerBlock = 1024, a.numRegs = 16, a.sharedSizeBytes = 0;
  a.partitionedGCConfig = PARTITIONED_GC_OFF, a.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
  a.maxDynamicSharedSizeBytes = (kib - 1) << 10, a.numBlockBarriers = 2;
  cudaOccDeviceState s;
  cudaOccResult r;
  const int error = cudaOccMaxActiveBlocksPerMultiprocessor(&r, &p, &a, &s, block, bytes);
  printf("%d\\n", error ? -error : r.activeBlocksPerMultiprocessor);
}
int main() {
${calls.join("\n")}
}
`;
  const dir = mkdtempSync(join(tmpdir(), "moproc occupancy "));
  try {
    writeFileSync(join(dir, "occupancy.cc"), text);
    const include = join(header as string, "..");
    const made = spawnSync("g++", ["-I", include, join(dir, "occupancy.cc"), "-o", join(dir, "occupancy")], {
      encoding: "utf8",
    });
    t.is(made.status, 0, made.stderr);
    const said = spawnSync(join(dir, "occupancy"), { encoding: "utf8" }).stdout.trim().split("\n").map(Number);
    t.deepEqual(
      rows.map((r, i) => [r.arch, r.bytes, r.threads, said[i]]),
      rows.map((r) => [r.arch, r.bytes, r.threads, residentBlocks(limitsOf(r.arch), r.threads, r.bytes)]),
    );
  } finally {
    rmSync(dir, { recursive: true });
  }
});

/** A page without the padding of its tables. */
const plain = (text: string): string => text.trim().replaceAll(/ +/g, " ").replaceAll(/-{3,}/g, "---");
test("docs/benchmarks/tiles.md is up to date (npm run docs)", (t) => {
  t.is(plain(readFileSync(join(root, "docs", "benchmarks", "tiles.md"), "utf8")), plain(tilePage(planOf)));
});
