// The faults, one function each, and the run with which they are compared.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { beginFolder, endFolder, removeFolder, requireFolder } from "../../compiler/util/own.mjs";
import { root, SetupError } from "../setup/steps.mjs";
import { differingBits, Run, shape, sleep } from "./run.mjs";

const cli = join(root, "build", "js", "tools", "cli", "main.js");
export const network = [
  "-a",
  "resnet10",
  "--width",
  "0.125",
  "-b",
  "16",
  "--bn-groups",
  "4",
  "--image-size",
  "32",
  "--num-class",
  "4",
  "--low-dim",
  "16",
  "--moco_queue",
  "64",
  "--ranks",
  "1,2,4",
];
export const sample = ["--classes", "4", "--images", `${16 * shape.steps}`, "--val", "32", "--size", "40"];

const KIND = "faults"; // of the folder and of those of its runs: compiler/util/own.mjs

function moproc(...args) {
  const r = spawnSync(process.execPath, [cli, ...args], { encoding: "utf8" });
  if (r.status !== 0) throw new SetupError(`moproc ${args[0]}: ${r.stderr}`);
}

/** Resolves to the rows of the table. `say` is called with progress messages. */
export async function campaign(dir, { kills, seed }, say) {
  requireFolder(dir, KIND);
  beginFolder(dir, KIND);
  const [artefact, data] = [join(dir, "artefact"), join(dir, "data")];
  moproc("compile", ...network, "-o", artefact);
  if (!existsSync(data)) moproc("data", "sample", "--out", data, ...sample);
  const fresh = (name) => {
    removeFolder(join(dir, name), KIND);
    beginFolder(join(dir, name), KIND);
    return new Run(artefact, data, join(dir, name));
  };
  const quiet = fresh("undisturbed");
  const begin = performance.now();
  const first = await quiet.finish();
  if (first.status !== 0) throw new SetupError(`the undisturbed run failed: ${first.text}`);
  const around = { fresh, reference: quiet.last, milliseconds: performance.now() - begin, draw: draws(seed), say, dir };
  const rows = [];
  for (const [fault, cause] of faults(kills)) {
    say(`${fault} ...`);
    const row = { fault, times: 0, runs: 0, resumes: 0, lost_steps: 0, differing_bits: 0, unexpected: [] };
    await cause(row, around);
    rows.push(row);
  }
  endFolder(dir, KIND); // if files are added from now on, the next campaign refuses the folder
  return rows;
}

const faults = (kills) => [
  [
    "SIGKILL at a random instant",
    (row, a) => killed(row, a, Math.ceil(kills / 2), async () => sleep(a.draw() * a.milliseconds)),
  ],
  [
    "SIGKILL inside the write of a checkpoint",
    (row, a) =>
      killed(row, a, Math.floor(kills / 2), async (run, child) => {
        await sleep(a.draw() * 0.7 * a.milliseconds);
        await run.waitFor(() => run.isWriting(), child);
      }),
  ],
  ["SIGTERM: checkpoint, exit 75", terminated],
  ["a full disk while checkpoints are written", fullDisk],
  ["a flipped byte in the newest checkpoint", flippedByte],
  ["a folder that is read-only for a while", readOnly],
  ["reads of images that fail now and then", flakyReads],
  ["a rank of 2 killed, the launcher restarts", (row, a) => lostRank(row, a, "SIGKILL")],
  ["a rank of 2 stopped, the launcher restarts", (row, a) => lostRank(row, a, "SIGSTOP")],
  ["another number of ranks after each of 3 stops", otherRanks],
];

/** A xorshift32 generator of numbers in [0, 1), so that the same seed draws the same times. */
function draws(seed) {
  let x = (seed * 2654435769 + 1) >>> 0 || 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

/** Adds a run that has ended to its row. */
function count(row, run, reference, end) {
  row.runs++;
  row.resumes += run.resumes;
  row.lost_steps += run.steps() - shape.epochs * shape.steps;
  if (end.status !== 0 || !existsSync(run.last))
    row.unexpected.push(`the run ended with ${end.status ?? end.signal}: ${end.text.slice(-400)}`);
  else row.differing_bits += differingBits(reference, run.last);
}

/** Kills runs `times` times in total. A run that reaches its end is counted, and the next one begins. */
async function killed(row, { fresh, reference, say }, times, instant) {
  for (let n = 0; row.times < times; n++) {
    const run = fresh(`killed-${row.fault.length}-${n}`);
    let end;
    do {
      const { child, ended } = run.start();
      if (row.times < times) {
        await Promise.race([instant(run, child), ended]);
        if (child.exitCode === null && child.signalCode === null && child.kill("SIGKILL")) row.times++;
        if (row.times % 20 === 0) say(`  ${row.times} of ${times}`);
      }
      end = await ended;
      if (end.signal !== "SIGKILL" && end.status !== 0)
        row.unexpected.push(`ended with ${end.status ?? end.signal}: ${end.text.slice(-400)}`);
    } while (end.signal === "SIGKILL" && !existsSync(run.last)); // with its last checkpoint, a run is complete
    count(row, run, reference, end.signal === "SIGKILL" ? { status: 0 } : end);
    removeFolder(run.dir, KIND);
  }
}

async function terminated(row, { fresh, reference }) {
  const run = fresh("terminated");
  for (let i = 0; i < 3; i++) {
    const { child, ended } = run.start();
    const before = run.checkpoints().length;
    await run.waitFor(() => run.checkpoints().length > before, child);
    row.times++;
    child.kill(i === 1 ? "SIGUSR1" : "SIGTERM");
    const end = await ended;
    if (end.status !== 75)
      row.unexpected.push(`exit ${end.status ?? end.signal} instead of 75: ${end.text.slice(-400)}`);
  }
  count(row, run, reference, await run.finish());
  if (row.lost_steps !== 0) row.unexpected.push(`${row.lost_steps} steps were lost`);
}

/** Runs about half of the steps, then continues with a limit in which no checkpoint fits, then without the limit. */
async function fullDisk(row, { fresh, reference }) {
  const run = fresh("full");
  const { child, ended } = run.start();
  await run.waitFor(() => run.checkpoints().length > 2, child);
  child.kill("SIGKILL");
  await ended;
  const kib = Math.floor(statSync(run.checkpoints()[0]).size / 2048);
  row.times++;
  const full = await run.start([], kib).ended;
  if (full.status !== 2 || !/no checkpoint|File too large|No space/.test(full.text))
    row.unexpected.push(`exit ${full.status} instead of 2, a warning and an error: ${full.text.slice(-400)}`);
  if (run.isWriting()) row.unexpected.push("an incomplete checkpoint was left");
  count(row, run, reference, await run.finish());
}

/**
 * The environment with the library that simulates an unreliable disk. LD_PRELOAD cannot contain a path with a space, so
 * the path is relative to the folder in which runs are started.
 */
function flaky(dir) {
  const library = join(dir, "flaky.so");
  if (!existsSync(library)) {
    const r = spawnSync(
      process.env.CXX ?? "g++",
      ["-xc", "-shared", "-fPIC", "-O1", join(root, "tools", "faults", "flaky.c"), "-o", library, "-ldl"],
      { encoding: "utf8" },
    );
    if (r.status !== 0) throw new SetupError(`flaky.c: ${r.stderr ?? r.error}`);
  }
  return { LD_PRELOAD: `./${basename(library)}` };
}

/**
 * Makes the folder read-only in the middle of a run until the run has logged a failed checkpoint. The run must continue
 * and write its last checkpoint.
 */
async function readOnly(row, { fresh, reference, dir }) {
  const run = fresh("read-only");
  const flag = join(dir, "read-only-now");
  const { child, ended } = run.start([], undefined, { ...flaky(dir), FLAKY_READONLY: flag });
  await run.waitFor(() => run.checkpoints().length > 1, child);
  writeFileSync(flag, "");
  row.times++;
  const logged = () =>
    existsSync(join(run.dir, "metrics.jsonl")) &&
    readFileSync(join(run.dir, "metrics.jsonl"), "utf8").includes("checkpoint_failed");
  if (!(await run.waitFor(logged, child))) row.unexpected.push("no warning in the log while the folder was read-only");
  rmSync(flag);
  const end = await ended;
  if (!/no checkpoint: .*Read-only file system; the run goes on/.test(end.text))
    row.unexpected.push(`no warning while the folder was read-only: ${end.text.slice(-400)}`);
  count(row, run, reference, end);
}

async function flakyReads(row, { fresh, reference, dir }) {
  const run = fresh("reads");
  const failed = join(dir, "failed-reads");
  const end = await run.start([], undefined, { ...flaky(dir), FLAKY_READ: "150", FLAKY_COUNT: failed }).ended;
  row.times = Number(readFileSync(failed, "utf8"));
  if (row.times === 0) row.unexpected.push("no read failed");
  if (/cannot|broken/.test(end.text))
    row.unexpected.push(`a file was called broken after one failed read: ${end.text.slice(-400)}`);
  count(row, run, reference, end);
}

async function flippedByte(row, { fresh, reference, draw }) {
  const run = fresh("flipped");
  const { child, ended } = run.start();
  await run.waitFor(() => run.checkpoints().length > 3, child);
  child.kill("SIGKILL");
  await ended;
  const newest = run.checkpoints().sort((a, b) => key(b).localeCompare(key(a)))[0];
  const bytes = readFileSync(newest);
  bytes[Math.floor(bytes.length * (0.1 + 0.8 * draw()))] ^= 16;
  writeFileSync(newest, bytes);
  row.times++;
  const end = await run.finish();
  if (!end.text.includes("the one before it is taken"))
    row.unexpected.push(`no message about the damaged checkpoint: ${end.text.slice(0, 400)}`);
  count(row, run, reference, end);
}

/** The key by which checkpoints are sorted by name: that of the end of an epoch comes after those within it. */
const key = (path) => path.replace(/\.safetensors$/, "").replace(/checkpoint_(\d{4})$/, "checkpoint_$1_x");

async function lostRank(row, { fresh, reference }, signal) {
  const run = fresh(`rank-${signal}`);
  const { child, ended } = run.start(["--nproc-per-node", "2", "--timeout", "2", "--max-restarts", "3"]);
  for (let i = 0; i < 2; i++) {
    const before = run.ranks(child).join();
    await run.waitFor(() => run.checkpoints().length > 1 + 2 * i && run.ranks(child).length === 2, child);
    const victim = run.ranks(child)[i];
    if (victim === undefined) break;
    process.kill(victim, signal);
    row.times++;
    row.resumes++;
    await run.waitFor(() => run.ranks(child).length === 2 && run.ranks(child).join() !== before, child);
  }
  const end = await ended;
  if (!/restart 2 of 3/.test(end.text)) row.unexpected.push(`the run had no 2 restarts: ${end.text.slice(-400)}`);
  if (!/rank [01] \(process \d+ on /.test(end.text))
    row.unexpected.push(`no message names the lost rank: ${end.text.slice(-400)}`);
  count(row, run, reference, end);
}

async function otherRanks(row, { fresh, reference }) {
  const run = fresh("ranks");
  for (const ranks of [1, 4, 2]) {
    const { child, ended } = run.start(ranks === 1 ? [] : ["--nproc-per-node", `${ranks}`]);
    const before = run.checkpoints().join();
    await run.waitFor(() => run.checkpoints().join() !== before, child);
    row.times++;
    child.kill("SIGTERM");
    const end = await ended;
    if (end.status !== 75)
      row.unexpected.push(`exit ${end.status ?? end.signal} instead of 75: ${end.text.slice(-400)}`);
  }
  count(row, run, reference, await run.finish());
}
