// The reader of foreign models on many mutants: those of the seeds from MOPROC_FUZZ_SEED (default 1) on, for
// MOPROC_FUZZ_SECONDS (default 600). Another process reads them, with little memory, so that a mutant that ends the
// process is a finding, too. `node build/js/test/onnx/fuzz_child.js SEED COUNT FOLDER CASES` repeats some.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { Shell } from "../support/cli.js";
import type { Totals } from "../support/fuzz_onnx.js";

const FIRST = Number(process.env.MOPROC_FUZZ_SEED ?? 1);
const SECONDS = Number(process.env.MOPROC_FUZZ_SECONDS ?? 600);
const BATCH = 2000; // mutants that one process reads, in some 10 s
const HEAP = 700; // MB of JavaScript objects
const MOST_MEMORY = 1024; // MB of a process
const HANGS = 240_000; // ms that a process may take

const shell = new Shell("fuzz-long");
test.after.always(() => shell.remove());

type Batch = Totals & { readonly memory: number };

/** Reads a batch. Returns its results, or the seed at which the process ended or hung. */
function batch(folder: string, cases: string, first: number): Batch | { readonly ended: number } {
  const child = join(root, "build", "js", "test", "onnx", "fuzz_child.js");
  const args = [`--max-old-space-size=${HEAP}`, child, String(first), String(BATCH), folder, cases];
  const r = spawnSync(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"], timeout: HANGS });
  if (r.status !== 0) return { ended: Number(readFileSync(join(folder, "seed"), "utf8")) };
  return JSON.parse(readFileSync(join(folder, "totals.json"), "utf8")) as Batch;
}

const PARTS = 10; // tests, so that the runner sees progress

test.before((t) => {
  mkdirSync(shell.at("cases"));
  mkdirSync(shell.at("mutants"));
  const archive = join(root, "test", "fixtures", "onnx-conformance", "cases.tar.gz");
  t.is(shell.start("tar", "-xzf", archive, "-C", "cases").status, 0);
});

let first = FIRST;
for (let part = 1; part <= PARTS; part++)
  test.serial(`mutants for ${SECONDS / PARTS} s, part ${part}`, (t) => {
    t.timeout(1000 * (SECONDS / PARTS) + 2 * HANGS);
    const end = performance.now() + (1000 * SECONDS) / PARTS;
    const begin = first;
    const findings: string[] = [];
    let [mutants, accepted, slowest, memory] = [0, 0, 0, 0];
    for (; performance.now() < end; first += BATCH) {
      const all = Math.floor(first / BATCH) % 2 === 1; // ONNX's cases, too; otherwise networks are chosen more often
      const r = batch(shell.at("mutants"), all ? shell.at("cases") : "", first);
      if ("ended" in r) {
        findings.push(`seed ${r.ended} ends the process or makes it take more than ${HANGS} ms`);
        continue;
      }
      mutants += r.mutants;
      accepted += r.accepted;
      slowest = Math.max(slowest, r.slowest);
      memory = Math.max(memory, r.memory);
      findings.push(...r.faults.map((f) => `seed ${f.seed}: ${f.fault}`));
    }
    t.log(
      `${mutants} mutants from seed ${begin}, ${accepted} accepted, the slowest ${slowest.toFixed(0)} ms, ` +
        `${memory.toFixed(0)} MB`,
    );
    t.deepEqual(findings, []);
    t.true(memory < MOST_MEMORY, `${memory} MB`);
    t.true(mutants >= BATCH || findings.length > 0);
  });
