// Weak scaling on this machine: one rank, two ranks that share a batch twice as large, and two processes of one rank each that know nothing
// of each other. The last is what the machine itself gives to two busy cores; what is left between it and two ranks is the price of
// talking. The three take turns, so that what else the machine does meets all of them.

import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { root, SetupError } from "../setup/steps.mjs";
import { spread } from "./table.mjs";

const cli = join(root, "build", "js", "compiler", "cli", "main.js");
const SKIPPED = 2; // first steps of a run: pages are touched for the first time

function compiled(out, flags) {
  const r = spawnSync(process.execPath, [cli, "compile", ...flags, "-o", out], { encoding: "utf8" });
  if (r.status !== 0) throw new SetupError(`moproc compile: ${r.stderr}`);
  return join(out, "train");
}

/** One run of `steps` steps in the clean phase, and what its log says. */
function run(binary, log, steps, ranks) {
  const args = ["--synthetic", "--steps", `${steps}`, "--start-epoch", "2", "--start_clean_epoch", "2", "--threads", "1", "--workers", "1", "--quiet", "--json-log", log];
  const child = spawn(binary, [...args, ...(ranks > 1 ? ["--nproc-per-node", `${ranks}`] : [])], { stdio: ["ignore", "ignore", "pipe"] });
  let err = "";
  child.stderr.setEncoding("utf8").on("data", (t) => (err += t));
  return new Promise((done, failed) => child.on("close", (status) => {
    if (status !== 0) return failed(new SetupError(`${binary}: exit code ${status}: ${err}`));
    done(readFileSync(log, "utf8").trim().split("\n").map((l) => JSON.parse(l)));
  }));
}

/** Seconds of a step: the median over a run's steps. */
const seconds = (lines) => spread(lines.filter((l) => l.event === "train").slice(SKIPPED).map((l) => l.step_s)).median;

/** The record that ranks leave: {steps, sent_bytes, waited_s}. */
export const recordOf = (lines) => lines.find((l) => l.event === "ranks");

/**
 * {settings, rounds: [{alone, together, apart, waited, sent}], ...}: seconds of a step, the share of it that rank 0 waited, and the bytes
 * that it handed over. `apart`: the mean of two independent processes. `more`: further flags of moproc compile.
 */
export async function measure(dir, { network = "resnet18", imageSize = 64, perRank = 32, rounds = 7, steps = 12, more = [], say = () => {} }) {
  mkdirSync(dir, { recursive: true });
  const sizes = ["-a", network, "--image-size", `${imageSize}`, ...more];
  say(`compiling ${network} at ${imageSize} pixels, twice`);
  const one = compiled(join(dir, "one"), [...sizes, "-b", `${perRank}`]);
  const two = compiled(join(dir, "two"), [...sizes, "-b", `${2 * perRank}`, "--ranks", "2"]);
  const log = (name) => join(dir, `${name}.jsonl`);
  const found = [];
  for (let i = 0; i < rounds; i++) {
    const busy = loadavg()[0];
    const alone = seconds(await run(one, log("alone"), steps, 1));
    const lines = await run(two, log("together"), steps, 2);
    const pair = await Promise.all(["a", "b"].map((name) => run(one, log(name), steps, 1)));
    const together = seconds(lines);
    const apart = pair.map(seconds).reduce((a, b) => a + b) / 2;
    const { steps: counted, sent_bytes, waited_s } = recordOf(lines);
    found.push({ alone, together, apart, waited: waited_s / counted / together, sent: sent_bytes / counted });
    say(`round ${i + 1} of ${rounds}: one rank ${(1e3 * alone).toFixed(1)} ms, two ranks ${(1e3 * together).toFixed(1)}, two apart ${(1e3 * apart).toFixed(1)} (load before: ${busy.toFixed(1)})`);
  }
  const of = (f) => spread(found.map(f));
  return {
    settings: { network, image_size: imageSize, images_a_rank: perRank, rounds, steps, phase: "clean", cpu: cpus()[0]?.model ?? "?", cores: cpus().length },
    rounds: found,
    alone_s: of((r) => r.alone), together_s: of((r) => r.together), apart_s: of((r) => r.apart),
    efficiency: of((r) => r.alone / r.together), machine: of((r) => r.alone / r.apart), talking: of((r) => r.apart / r.together),
    waited: of((r) => r.waited), sent_bytes: found[0].sent,
  };
}
