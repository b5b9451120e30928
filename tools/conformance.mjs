// npm run conformance: runs the ONNX project's test cases, compares gradients with differences, prints how many pass,
// and writes docs/conformance.md.
//
//   npm run conformance               the cases of test/fixtures/onnx-conformance
//   npm run conformance -- FOLDER     those below FOLDER; the page is then build/conformance/conformance.md
//                       --expect      also writes the statuses that test/onnx/conformance.test.ts expects
//                       --no-setup    builds nothing: everything needed has been built

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { allSteps, quiet, root, runSteps } from "./setup/steps.mjs";

const { values, positionals } = parseArgs({
  options: { expect: { type: "boolean", default: false }, "no-setup": { type: "boolean", default: false } },
  allowPositionals: true,
});
const [folder] = positionals;
if (!values["no-setup"]) runSteps(allSteps());

const fixture = join(root, "test", "fixtures", "onnx-conformance");
const work = join(root, "build", "conformance");
const json = join(work, "results.json");
const cases = folder ?? join(work, "cases");
mkdirSync(work, { recursive: true });
if (folder === undefined) {
  rmSync(cases, { recursive: true, force: true });
  mkdirSync(cases);
  quiet("tar", ["-xzf", join(fixture, "cases.tar.gz"), "-C", cases]);
}
const main = join(root, "build", "js", "tools", "cli", "main.js");
const start = performance.now();

/** The results of all cases, which are kept in a file. */
function run(file, flags, env = {}) {
  const args = [main, "run", "--cases", cases, "--out", join(work, "out"), "--json", file, ...flags];
  const ran = spawnSync(process.execPath, args, {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, ...env },
  });
  if (ran.status !== 0 && ran.status !== 1) process.exit(ran.status ?? 1); // 1: some cases did not pass
  return JSON.parse(readFileSync(file, "utf8")).cases;
}

const results = run(json, []);
const driver = join(root, "build", "native", "test", "emulator", "driver", "libcuda_emulator.so");
const emulated = ["--target", "cuda", "--target-arch", "emulator", "--precision", "f32"];
if (!existsSync(driver))
  console.log("the kernels for GPUs are not run: their emulator is built by `npm test -- --native emulator`");
const gpu = existsSync(driver)
  ? run(join(work, "results-gpu.json"), emulated, { MOPROC_CUDA_DRIVER: driver, MOPROC_EMULATOR: "seed=1" })
  : undefined;

const { conformancePage, countsText, expectedText } = await import("../build/js/tools/conformance/page.js");
const { gradientsOf } = await import("../build/js/tools/conformance/gradients.js");
const table = join(fixture, "differentiability.tsv");
const gradients = gradientsOf(cases, results, table, (done, all) => {
  if (done % 50 === 0 || done === all) process.stderr.write(`gradients: ${done} of ${all} cases\n`);
});
process.stdout.write(countsText(results, gradients, gpu));
console.log(`${((performance.now() - start) / 1000).toFixed(0)} s; ${json} has the reasons`);
const page = folder === undefined ? join(root, "docs", "conformance.md") : join(work, "conformance.md");
const command = folder === undefined ? "npm run conformance" : `npm run conformance -- ${folder}`;
writeFileSync(page, conformancePage(results, gradients, command, gpu));
// biome pads the tables of pages in docs
quiet(join(root, "node_modules", ".bin", "biome"), ["format", "--write", "--no-errors-on-unmatched", page]);
console.log(page);
if (values.expect) {
  if (folder !== undefined) throw new Error("--expect: only for the cases of the repository; leave FOLDER out");
  if (!gpu) throw new Error("--expect: needs the emulator of GPUs, because the file has the results of their kernels");
  writeFileSync(join(fixture, "expected.tsv"), expectedText(results, gradients, gpu));
}
