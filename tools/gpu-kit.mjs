// npm run gpu-kit: makes a folder to copy to a machine with a GPU. There, ./check needs only the driver. It compares
// every primitive and every launch of a tiny MoPro with the emulator's results, and 20 steps with the CPU's, and runs
// the benchmark. DIR must be absent, empty, or an older kit, which is replaced.
//   npm run gpu-kit -- [--out DIR] [--target-arch LIST] [--precision f32,bf16] [--batches 64,128,256,512] [--steps 20]
// [--emulator] [--pack]
// --precision lists the precisions of the tiny MoPro; each record takes 50 MB. --emulator makes a kit for the emulated
// driver, without ResNet-50, for the tests. --pack also makes DIR/gpu-kit.tar.xz of at most 50 MB, by default with bf16
// and batches 64 and 256 alone.

import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { beginBeside, endBeside, requireFolder } from "../compiler/util/own.mjs";
import { allSteps, native, root, runSteps, SetupError } from "./setup/steps.mjs";

const { values: flags } = parseArgs({
  options: {
    out: { type: "string", default: join(root, "out", "gpu-kit") },
    "target-arch": { type: "string", default: "sm_80,sm_90a" },
    precision: { type: "string" },
    batches: { type: "string" },
    steps: { type: "string", default: "20" },
    emulator: { type: "boolean", default: false },
    pack: { type: "boolean", default: false },
  },
});
flags.precision ??= flags.pack ? "bf16" : "f32,bf16";
flags.batches ??= flags.pack ? "64,256" : "64,128,256,512";
const final = resolve(flags.out);
try {
  requireFolder(flags.out, "gpu-kit");
} catch (e) {
  if (!(e instanceof SetupError)) throw e;
  console.error(`gpu-kit: ${e.message}`);
  process.exit(2);
}
runSteps(allSteps({ tests: true })); // the emulated driver is among the tests

const { compile } = await import("../build/js/compiler/pipeline.js");
const { moproPrograms } = await import("../build/js/models/mopro.js");
const { buildArtefact } = await import("../build/js/compiler/emit/project.js");
const { probePlan, writeProbeValues } = await import("./gpu/probes.mjs");
const { writeSteps, writeValues } = await import("./gpu/values.mjs");

const tiny = {
  arch: "resnet10",
  width: 1 / 4,
  num_class: 5,
  low_dim: 8,
  queue: 11,
  image_size: 32,
  batch: 8,
  groups: 1,
};
const large = { arch: "resnet50", width: 1, num_class: 1000, low_dim: 128, queue: 8192, image_size: 224, groups: 1 };
/** The emulated architecture that makes the records: the same path as on the GPU. */
const emulator = flags["target-arch"].split(",").includes("sm_90a") ? "emulator_sm_90a" : "emulator";
const gpuArch = flags.emulator ? emulator : flags["target-arch"];
/**
 * Bounds of the difference of a step's loss. In f32, sums have another order. In bf16, activations have 8 bits, and the
 * largest difference in the emulator was 1.1e-2.
 */
const bounds = { f32: 1e-5, bf16: 3e-2 };
for (const p of flags.precision.split(","))
  if (!(p in bounds)) throw new Error(`--precision ${p}: known are ${Object.keys(bounds).join(", ")}`);

const out = beginBeside(final, "gpu-kit"); // renamed to --out at the end
const work = mkdtempSync(join(out, "work-")); // complete artefacts; the kit gets only what a GPU needs
process.on("exit", () => rmSync(out, { recursive: true, force: true })); // remove a failed kit

/** Compiles a MoPro into the work folder. */
async function build(name, config, target, meta = {}) {
  const start = performance.now();
  const dir = join(work, name);
  await compile(moproPrograms(config), dir, {
    name,
    target: { ranks: [1], ...target },
    meta: { task: "mopro", ...config, ...meta },
  });
  console.log(`${name}: ${((performance.now() - start) / 1000).toFixed(0)} s`);
  return dir;
}

/** Copies the program of an artefact into the kit. */
function give(dir, to) {
  mkdirSync(join(out, to), { recursive: true });
  for (const file of ["program.so", "resources.json"]) copyFileSync(join(dir, file), join(out, to, file));
}

function record(dir, program, values, to) {
  const driver = join(native, "test", "emulator", "driver", "libcuda_emulator.so");
  const env = { ...process.env, MOPROC_CUDA_DRIVER: driver, MOPROC_EMULATOR: "seed=1" };
  const r = spawnSync(join(native, "moproc-gpu-check"), ["record", dir, program, values, to], {
    env,
    encoding: "utf8",
  });
  if (r.status !== 0) throw new Error(`recording ${program}: ${r.stderr}`);
}

const probeValues = join(work, "probes.safetensors");
writeProbeValues(probeValues);
for (const hopper of emulator === "emulator" ? [false] : [false, true]) {
  const own = hopper ? "sm_90a" : flags["target-arch"];
  const make = async (name, arch) =>
    (await buildArtefact(join(work, name), { plan: probePlan(arch, hopper), explain: "", dumps: [] })).dir;
  const emulated = await make(`probes-emulator-${hopper}`, hopper ? "emulator_sm_90a" : "emulator");
  const to = hopper ? "check-primitives-sm_90a" : "check-primitives";
  give(flags.emulator ? emulated : await make(`probes-${hopper}`, own), to);
  record(emulated, "primitives", probeValues, join(out, to, "primitives.record"));
}

const cpu = await build("cpu", tiny, { device: "cpu", arch: "x86-64-v3" });
const n = Number(flags.steps);
const steps = Array.from({ length: n }, (_, i) => (i < n / 3 ? "warmup" : i < (2 * n) / 3 ? "proto" : "clean"));
const values = join(work, "clean.safetensors");
await writeValues(cpu, values, "clean", tiny.num_class, steps.slice(0, 4));
for (const precision of flags.precision.split(",")) {
  const meta = { precision, loss_bound: bounds[precision] };
  const emulated = await build(`emulator-${precision}`, tiny, { device: "cuda", arch: emulator, precision }, meta);
  const gpu = flags.emulator
    ? emulated
    : await build(`gpu-${precision}`, tiny, { device: "cuda", arch: gpuArch, precision }, meta);
  const to = `check-tiny-${precision}`;
  give(gpu, to);
  record(emulated, "clean", values, join(out, to, "clean.record"));
  writeSteps(cpu, join(out, to, "tiny.steps"), steps, tiny.num_class);
  copyFileSync(join(cpu, "program.so"), join(out, to, "cpu.so"));
}
if (flags.emulator && flags.precision.includes("bf16")) give(join(work, "emulator-bf16"), "bench-tiny");
for (const batch of flags.emulator ? [] : flags.batches.split(",").map(Number)) {
  const name = `resnet50-b${batch}`;
  give(
    await build(name, { ...large, batch }, { device: "cuda", arch: gpuArch, precision: "bf16" }, { precision: "bf16" }),
    `bench-${name}`,
  );
}
copyFileSync(join(native, "moproc-gpu-check"), join(out, "moproc-gpu-check"));
cpSync(join(root, "tools", "gpu", "check.sh"), join(out, "check"));
cpSync(join(root, "tools", "gpu", "baselines.py"), join(out, "baselines.py"));
cpSync(join(root, "tools", "peers", "mopro_step.py"), join(out, "mopro_step.py"));
rmSync(work, { recursive: true });

const MOST_BYTES = 50e6; // of the archive
const ARCHIVE = "gpu-kit.tar.xz";
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
/** The bytes of a file, or of all files in a folder. */
const sizeOf = (path) => {
  const s = statSync(path);
  return s.isDirectory() ? readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0) : s.size;
};

/**
 * Packs the kit and prints the sizes. The dictionary reaches from one artefact to the next, which have most kernels in
 * common. Exits with 1 if the archive is too large.
 */
function pack() {
  const names = readdirSync(out)
    .filter((name) => !name.startsWith("."))
    .toSorted();
  const xz = "xz -T1 --lzma2=preset=6,dict=256MiB";
  const to = join(out, ARCHIVE);
  const args = ["-C", out, "-I", xz, "-cf", to, "--transform", "s,^,gpu-kit/,"];
  const r = spawnSync("tar", [...args, ...names], { encoding: "utf8" });
  if (r.status !== 0) throw new Error(`gpu-kit --pack: tar and xz are needed: ${r.error?.message ?? r.stderr}`);
  for (const name of names) console.log(`${megabytes(sizeOf(join(out, name))).padStart(10)}  ${name}`);
  const bytes = sizeOf(to);
  console.log(`${megabytes(bytes).padStart(10)}  ${ARCHIVE}`);
  if (bytes <= MOST_BYTES) return;
  const remedy = "leave out precisions (--precision) or batches (--batches)";
  console.error(`gpu-kit --pack: ${ARCHIVE} has ${megabytes(bytes)}, more than ${megabytes(MOST_BYTES)}: ${remedy}`);
  process.exit(1);
}
if (flags.pack) pack();
endBeside(out, final, "gpu-kit");
console.log(`${final}: carry it${flags.pack ? `, or ${ARCHIVE} in it,` : ""} to a machine with a GPU and run ./check`);
