// Predicts the time of a training step on more CPU cores than this machine has, launch by launch: from the launch's
// time on one core, the number of its tasks, and the bytes that it moves. What is predicted for two cores is measured,
// too.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root, SetupError } from "../setup/steps.mjs";
import { spread } from "./table.mjs";

const cli = join(root, "build", "js", "tools", "cli", "main.js");
const check = join(root, "build", "native", "moproc-gpu-check");
const LARGE = 50e6; // bytes of a launch from which on its speed says what memory can do
const INLINE = 100e3; // flops + bytes of a launch that one core computes alone (runtime/cpu/device.cc)

function done(command, args) {
  const r = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  if (r.status !== 0) throw new SetupError(`${command} ${args.join(" ")}: ${r.error?.message ?? r.stderr}`);
  return r.stdout;
}

/** The rows of a profile: "template name" -> seconds per step. */
export function parseProfile(text) {
  const seconds = new Map();
  const lines = text.split("\n");
  const begin = lines.findIndex((l) => /calls +step$/.test(l));
  for (const l of lines.slice(begin + 1)) {
    const [, ms, name] = /^ +([\d.]+) +[\d.]+% +[\d.]+ +[\d.]+ +\d+ +(\S.*)$/.exec(l) ?? [];
    if (name) seconds.set(name.replace(/ +/, " "), Number(ms) / 1e3);
  }
  return seconds;
}

/** The launches of `program` with what they take on one core: {name, seconds, bytes, tasks: of each phase, small}. */
export function launchesOf(plan, program, seconds) {
  const found = new Map();
  for (const s of program.steps.filter((s) => s.do === "launch")) {
    const name = `${plan.kernels[s.kernel].template} ${s.name}`;
    const known = found.get(name);
    if (known)
      known.bytes += s.bytes; // the profile has one row for launches of one name
    else found.set(name, { name, bytes: s.bytes, tasks: s.tasks, small: s.flops + s.bytes < INLINE });
  }
  return [...found.values()].flatMap((l) => (seconds.has(l.name) ? [{ ...l, seconds: seconds.get(l.name) }] : []));
}

/**
 * The seconds of a step on `cores` cores: {seconds, memory, tasks}, with the shares in which launches wait for memory,
 * and in which cores wait for the last tasks of a launch. Memory gives each core `perCore` and all together at most
 * `limit` bytes per second.
 */
export function predict(launches, { cores, perCore, limit }) {
  let [seconds, memory, tasks] = [0, 0, 0];
  for (const l of launches) {
    const even = l.small ? l.seconds : l.seconds / cores;
    const first = l.tasks[0] ?? 1; // the other phases only add up what it has left
    const uneven = l.small ? l.seconds : (l.seconds * Math.ceil(first / cores)) / first;
    const bytes = l.bytes / Math.min(limit, cores * perCore);
    const all = Math.max(uneven, l.small ? 0 : bytes);
    seconds += all;
    if (bytes > uneven) memory += all;
    else tasks += uneven - even;
  }
  return { seconds, memory: memory / seconds, tasks: tasks / seconds };
}

/** The most bytes per second of large launches. */
const bandwidth = (launches) => Math.max(...launches.filter((l) => l.bytes >= LARGE).map((l) => l.bytes / l.seconds));

/** Profiles a step of MoPro on one core and on two, in turns, and predicts it for `cores`. */
export function cores(dir, o) {
  const artefact = join(dir, "cores");
  const sizes = ["-a", o.network, "--image-size", `${o.imageSize}`, "--batch-size", `${o.batch}`];
  done(process.execPath, [cli, "compile", ...sizes, "--precision", o.precision, "-o", artefact]);
  const plan = JSON.parse(readFileSync(join(artefact, "plan.json"), "utf8"));
  const program = plan.programs.find((p) => p.name === "clean");
  const taken = { 1: [], 2: [] };
  for (let round = 0; round < o.rounds; round++)
    for (const n of [1, 2]) {
      o.say(`round ${round + 1} of ${o.rounds}: ${n === 1 ? "one core" : "two cores"}`);
      const how = ["bench", artefact, "clean", "--warmup", "1", "--runs", "2", "--samples", "1", "--slowest", "9999"];
      taken[n].push(parseProfile(done("taskset", ["-c", n === 1 ? "0" : "0,1", check, ...how])));
    }
  const median = (n) =>
    new Map([...taken[n][0].keys()].map((k) => [k, spread(taken[n].map((r) => r.get(k) ?? 0)).median]));
  const [one, two] = [1, 2].map((n) => launchesOf(plan, program, median(n)));
  const memory = { perCore: bandwidth(one), limit: bandwidth(two) };
  const total = (launches) => launches.reduce((sum, l) => sum + l.seconds, 0);
  const on = (n, limit) => ({ cores: n, ...predict(one, { cores: n, perCore: memory.perCore, limit }) });
  return {
    settings: { ...o, say: undefined, arch: plan.target.arch, per_core: memory.perCore },
    one_s: total(one),
    two_s: total(two),
    two_predicted: on(2, memory.limit),
    rows: o.cores.map((n) => on(n, o.bandwidth * 1e9)),
  };
}
