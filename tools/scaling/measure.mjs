// Measures weak scaling on this machine: one rank, two ranks that share a batch twice as large, and two independent
// processes of one rank each. The last shows how fast the machine is with two busy cores; the difference between it and
// two ranks is the cost of communication. The three take turns. A round in which other processes used much of the
// machine is left out, because its times are not comparable. Processor time is hardly affected.

import { spawn, spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { beginFolder, endFolder, requireFolder } from "../../compiler/util/own.mjs";
import { root, SetupError } from "../setup/steps.mjs";
import { untilQuiet, watch } from "./quiet.mjs";
import { spread } from "./table.mjs";

const cli = join(root, "build", "js", "tools", "cli", "main.js");
const SKIPPED = 2; // steps at the start of a run that do not count, because they touch pages for the first time
const OTHERS = 0.1; // share of the cores that other processes may use, at most, in a round that counts

function compiled(out, flags) {
  const r = spawnSync(process.execPath, [cli, "compile", ...flags, "-o", out], { encoding: "utf8" });
  if (r.status !== 0) throw new SetupError(`moproc compile: ${r.stderr}`);
  return join(out, "train");
}

/**
 * One run of `steps` steps in the clean phase: {lines of its log, step: seconds, cpu: processor seconds of all its
 * processes}.
 */
function run(binary, log, steps, ranks) {
  rmSync(log, { force: true }); // a run appends to an existing log
  const clean = ["--start-epoch", "2", "--start_clean_epoch", "2"];
  const args = [
    "--synthetic",
    "--steps",
    `${steps}`,
    ...clean,
    "--threads",
    "1",
    "--workers",
    "1",
    "--quiet",
    "--json-log",
    log,
  ];
  const all = [binary, ...args, ...(ranks > 1 ? ["--nproc-per-node", `${ranks}`] : [])];
  const child = spawn("bash", ["-c", 'TIMEFORMAT="%U %S"; time "$@"', "bash", ...all], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let err = "";
  child.stderr.setEncoding("utf8").on("data", (t) => (err += t));
  return new Promise((done, failed) =>
    child.on("close", (status) => {
      if (status !== 0) return failed(new SetupError(`${binary}: exit code ${status}: ${err}`));
      const [user, system] = err.trim().split("\n").at(-1).split(" ").map(Number);
      const lines = readFileSync(log, "utf8")
        .trim()
        .split("\n")
        .map((l) => JSON.parse(l));
      const each = lines
        .filter((l) => l.event === "train")
        .slice(SKIPPED)
        .map((l) => l.step_s);
      if (each.length !== steps - SKIPPED)
        return failed(new SetupError(`${log}: has ${each.length + SKIPPED} steps instead of ${steps}`));
      done({ lines, step: spread(each).median, cpu: user + system });
    }),
  );
}

/** One round: one rank, two ranks, two apart, and the largest share of the cores that others used meanwhile. */
async function round(one, two, dir, steps) {
  const log = (name) => join(dir, `${name}.jsonl`);
  const others = [];
  const watched = async (work) => {
    const end = watch();
    const runs = await work();
    others.push(end(runs.reduce((s, r) => s + r.cpu, 0)));
    return runs;
  };
  const [alone] = await watched(async () => [await run(one, log("alone"), steps, 1)]);
  const [together] = await watched(async () => [await run(two, log("together"), steps, 2)]);
  const apart = await watched(() => Promise.all(["a", "b"].map((name) => run(one, log(name), steps, 1))));
  const ranks = together.lines.find((l) => l.event === "ranks");
  return {
    alone: alone.step,
    together: together.step,
    apart: apart.reduce((s, r) => s + r.step, 0) / 2,
    others: Math.max(...others),
    cpu: (2 * alone.cpu) / together.cpu,
    cpu_apart: (2 * alone.cpu) / apart.reduce((s, r) => s + r.cpu, 0),
    waited: ranks.waited_s / ranks.steps / together.step,
    sent: ranks.sent_bytes / ranks.steps,
  };
}

/**
 * Resolves to {settings, rounds: [{alone, together, apart, others, cpu, cpu_apart, waited, sent}], ...}. alone,
 * together and apart are seconds per step (apart: the mean of two independent processes); others is the share of the
 * cores that other processes used; cpu is the processor time of two runs of one rank divided by that of two ranks, and
 * cpu_apart by that of two apart; waited is the share of a step in which rank 0 waited; sent is the bytes per step that
 * it handed over. Options: `rounds` that must count, at most `tries` rounds for each of these, `patience` seconds that
 * a round waits for a quiet machine, `more` flags of moproc compile.
 */
export async function measure(dir, o) {
  const {
    network = "resnet18",
    imageSize = 64,
    perRank = 32,
    rounds = 7,
    steps = 12,
    tries = 4,
    patience = 60,
    more = [],
    say = () => {},
  } = o;
  requireFolder(dir, "scaling");
  beginFolder(dir, "scaling");
  const sizes = ["-a", network, "--image-size", `${imageSize}`, ...more];
  say(`compiling ${network} at ${imageSize} pixels, twice`);
  const one = compiled(join(dir, "one"), [...sizes, "-b", `${perRank}`]);
  const two = compiled(join(dir, "two"), [...sizes, "-b", `${2 * perRank}`, "--ranks", "2"]);
  const all = [];
  const undisturbed = () => all.filter((r) => r.others <= OTHERS);
  while (undisturbed().length < rounds && all.length < tries * rounds) {
    await untilQuiet(OTHERS, patience);
    const r = await round(one, two, dir, steps);
    all.push(r);
    const ms = (s) => `${(1e3 * s).toFixed(1)} ms`;
    const times = `one rank ${ms(r.alone)}, two ranks ${ms(r.together)}, two independent runs ${ms(r.apart)}`;
    say(`round ${all.length}: ${times}; other processes used up to ${(100 * r.others).toFixed(0)} % of the cores`);
  }
  endFolder(dir, "scaling");
  const few = undisturbed().length < Math.min(3, rounds); // then all rounds count, and the result says so
  const found = few ? all : undisturbed();
  const of = (f) => spread(found.map(f));
  return {
    settings: {
      network,
      image_size: imageSize,
      images_a_rank: perRank,
      rounds: found.length,
      left_out: all.length - found.length,
      steps,
      phase: "clean",
      cpu: cpus()[0]?.model ?? "?",
      cores: cpus().length,
    },
    disturbed: few,
    rounds: found,
    alone_s: of((r) => r.alone),
    together_s: of((r) => r.together),
    apart_s: of((r) => r.apart),
    others: of((r) => r.others),
    efficiency: of((r) => r.alone / r.together),
    machine: of((r) => r.alone / r.apart),
    talking: of((r) => r.apart / r.together),
    cpu: of((r) => r.cpu),
    cpu_apart: of((r) => r.cpu_apart),
    waited: of((r) => r.waited),
    sent_bytes: found[0].sent,
  };
}
