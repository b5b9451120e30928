// node tools/gpu/predictions.mjs DIR [PROGRAM]: what the compiler predicts of an artefact for GPUs, as Markdown:
// totals, one line per template, one line per kernel of PROGRAM (default: clean). Registers and spills are ptxas's;
// times are a roofline's.

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { LAUNCH_MEANS } from "../../build/js/compiler/lower/launches.js";
import { root } from "../setup/steps.mjs";

const [dir, program = "clean"] = process.argv.slice(2);
const cli = join(root, "build", "js", "tools", "cli", "main.js");
const a = JSON.parse(
  execFileSync(process.execPath, [cli, "inspect", dir, "--json"], { encoding: "utf8", maxBuffer: 1 << 28 }),
);
const archs = a.target.arch.split(",");
const batch = a.meta.batch;
const costs = a.programs[program][archs[0]];
const mb = (bytes) => (bytes / 1e6).toFixed(1);
const us = (k) => k.archs[archs[0]].predicted_us;
// one number if all architectures have the same
const each = (k, of) => [...new Set(archs.map((arch) => `${of(k.archs[arch])}`))].join(" / ");
const spills = a.kernels.filter((k) => archs.some((arch) => k.archs[arch].spill_bytes + k.archs[arch].stack_bytes > 0));

const templates = new Map();
for (const k of a.kernels) {
  const t = templates.get(k.template) ?? { kernels: 0, launches: 0, bytes: 0, flops: 0, us: 0, most: 0 };
  templates.set(k.template, {
    kernels: t.kernels + 1,
    launches: t.launches + k.launches,
    bytes: t.bytes + k.bytes,
    flops: t.flops + k.flops,
    us: t.us + us(k),
    most: Math.max(t.most, ...archs.map((arch) => k.archs[arch].registers)),
  });
}

const perImage = costs.predicted_us_per_image;
const time =
  `${perImage.toFixed(1)} us per image, ${(costs.predicted_us / 1e3).toFixed(1)} ms: ` +
  `at most ${Math.round(1e6 / perImage)} images/s`;
const arenas = { state: "state", grad: "gradients", work: "work", io: "inputs and outputs" };
const memory = Object.entries(arenas)
  .map(([arena, what]) => `${what} ${mb(a.arena_bytes[arena])} MB`)
  .join(", ");
const spilling =
  spills.length === 0 ? "no kernel spills" : `${spills.length} spill: ${spills.map((k) => k.symbol).join(", ")}`;
const resources = [`threads, ${archs.join(" / ")}`, "shared bytes", "registers"];

console.log(`# Predictions: ${a.meta.arch}, ${a.meta.image_size} pixels, batch ${batch}, ${a.target.precision}

Nothing here was measured on a GPU. Bytes and arithmetic are the plan's: every operand and result of a launch once,
partials in the workspace twice. A time is the larger of bytes / 4.3 TB/s and arithmetic / 790 TFLOP/s (bf16; what a
copy and a large matrix product reach on an H200), summed over launches. Registers, shared memory and spills are
ptxas's for ${archs.join(" and ")}.

${LAUNCH_MEANS}

| per step (\`${program}\`) | |
| --- | --- |
| bytes | ${mb(costs.bytes_per_image)} MB per image, ${mb(costs.bytes_per_image * batch)} MB |
| arithmetic | ${(costs.flops_per_image / 1e9).toFixed(1)} GFLOP per image |
| time | ${time} |
| launches | ${costs.launches}, of ${costs.grids} grids |
| memory | ${memory} |
| kernels of all programs | ${a.kernels.length}; ${spilling} |

## Templates, all programs

| template | kernels | launches | MB | GFLOP | predicted us | registers, at most |
| --- | --- | --- | --- | --- | --- | --- |`);
for (const [name, t] of [...templates].sort((x, y) => y[1].us - x[1].us)) {
  console.log(
    `| ${name} | ${t.kernels} | ${t.launches} | ${mb(t.bytes)} | ${(t.flops / 1e9).toFixed(1)} | ` +
      `${t.us.toFixed(0)} | ${t.most} |`,
  );
}
console.log(`
## Kernels that take a microsecond or more, all programs

| ${["kernel", "launches", "MB each", "GFLOP each", "predicted us each", ...resources].join(" | ")} |
| --- | --- | --- | --- | --- | --- | --- | --- |`);
for (const k of a.kernels.toSorted((x, y) => us(y) - us(x)).filter((k) => us(k) >= k.launches)) {
  const launch = (x, digits) => (x / k.launches).toFixed(digits);
  console.log(
    `| ${k.symbol} | ${k.launches} | ${launch(k.bytes / 1e6, 1)} | ${launch(k.flops / 1e9, 2)} | ` +
      `${launch(us(k), 1)} | ${each(k, (a) => a.threads)} | ${each(k, (a) => a.shared_bytes)} | ` +
      `${each(k, (a) => a.registers)} |`,
  );
}
