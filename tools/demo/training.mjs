// Runs one training binary and shows its progress from its log: on a terminal one line that is rewritten, elsewhere a
// few lines. The binary's own output goes to train.log beside its other files.

import { spawn } from "node:child_process";
import { closeSync, createWriteStream, fstatSync, openSync, readdirSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";
import { SetupError } from "../setup/steps.mjs";

/** Returns a function that returns, at each call, the new complete lines of a growing file of JSON lines. */
function follow(file) {
  let at = 0;
  let rest = "";
  return () => {
    let fd;
    try {
      fd = openSync(file, "r");
    } catch (e) {
      if (e.code === "ENOENT") return []; // the run has not made it yet
      throw e;
    }
    try {
      const bytes = Buffer.alloc(fstatSync(fd).size - at);
      at += readSync(fd, bytes, 0, bytes.length, at);
      const lines = (rest + bytes.toString("latin1")).split("\n");
      rest = lines.pop();
      return lines.map((line) => JSON.parse(line));
    } finally {
      closeSync(fd);
    }
  };
}

const phases = { clean: "labels corrected" };
const phaseText = (phase) => phases[phase] ?? "labels as given";

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.round(seconds) % 60).padStart(2, "0")}`;

/** The display of one training run of `epochs` epochs. Without a terminal it prints a line for about eight of them. */
function display(name, epochs, tty = process.stdout.isTTY === true) {
  const start = performance.now();
  const every = Math.max(1, Math.ceil(epochs / 8));
  let top1 = "";
  const say = (text) => process.stdout.write(`${tty ? "\r\x1b[K" : ""}${text}\n`);
  return {
    step: ({ epoch, step, steps, phase, images_per_s, loss_avg }) => {
      if (!tty) return;
      const share = (epoch + step / steps) / epochs;
      const left = ((performance.now() - start) / 1000) * (1 / share - 1);
      const cells = "=".repeat(Math.floor(share * 20)).padEnd(20);
      const at = `epoch ${epoch + 1}/${epochs} ${phaseText(phase)}`;
      const speed = `${images_per_s.toFixed(0)} images/s`;
      const text = `  ${name} [${cells}] ${clock(left)} left  ${at}  ${speed}  loss ${loss_avg.toFixed(3)}${top1}`;
      process.stdout.write(`\r${text.slice(0, Math.max(20, (process.stdout.columns ?? 80) - 1))}\x1b[K`);
    },
    epoch: (e, evaluated) => {
      top1 = `  top-1 ${evaluated.top1.toFixed(1)} %`;
      if ((e.epoch + 1) % every !== 0 && e.epoch + 1 !== epochs) return;
      const rate = `${(e.samples_of_epoch / e.seconds).toFixed(0).padStart(4)} images/s`;
      const at = `${e.epoch + 1}`.padStart(`${epochs}`.length);
      const right = e.wrong_labels_corrected;
      const made = right === undefined ? "" : `  ${(100 * right).toFixed(1)} % of the wrong ones made right`;
      const loss = e.loss_avg.toFixed(3).padStart(6);
      say(`  ${name} epoch ${at}/${epochs}: ${rate}  loss ${loss}${top1}  ${phaseText(e.phase)}${made}`);
    },
    end: () => tty && process.stdout.write("\r\x1b[K"),
  };
}

/** Removes all checkpoints except the newest, because each takes tens of MB. Returns the path of the newest. */
function keepNewest(dir) {
  const all = readdirSync(dir)
    .filter((f) => /^checkpoint_\d+\.safetensors$/.test(f))
    .sort();
  for (const f of all.slice(0, -1)) rmSync(join(dir, f));
  return all.length > 0 ? join(dir, all.at(-1)) : undefined;
}

/**
 * Starts a program and passes this process's signals on to it. Its output goes to the file `log` or, without one, is
 * dropped. Resolves to its exit code or signal, and the end of its stderr.
 */
function start(file, args, log = "/dev/null") {
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
  const out = createWriteStream(log);
  let stderr = "";
  child.stdout.pipe(out, { end: false });
  child.stderr.on("data", (d) => {
    out.write(d);
    stderr = (stderr + d).slice(-4000);
  });
  const forward = (signal) => child.kill(signal);
  process.on("SIGINT", forward).on("SIGTERM", forward);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    out.on("error", (e) => {
      child.kill();
      reject(e);
    });
    child.on("close", (code, signal) => {
      process.off("SIGINT", forward).off("SIGTERM", forward);
      out.end(() => resolve({ code, signal, stderr: stderr.trim() }));
    });
  });
}

/** Throws an error that describes how a program of start() ended, unless it succeeded. */
function expectSuccess(name, { code, signal, stderr }) {
  if (signal) throw Object.assign(new Error(`${name}: ended by ${signal}`), { signal });
  if (code === 2) throw new SetupError(`${name}: ${stderr}`);
  if (code === 130 || code === 143 || code === 75)
    throw Object.assign(new Error(`${name}: interrupted`), { signal: "SIGINT" });
  if (code !== 0) throw new Error(`${name}: exit code ${code}\n${stderr}`);
}

/** Runs a program quietly. Throws SetupError if it refuses its input (exit code 2), Error if it fails otherwise. */
export async function run(name, file, args) {
  expectSuccess(name, await start(file, args));
}

/**
 * Trains for `epochs` epochs with the binary `file` into the folder `dir`, which must exist. Returns the records of the
 * last epoch and its evaluation, seconds of training and of evaluation, and the model's path. Throws SetupError if
 * the binary refuses its input, Error if it fails otherwise.
 */
export async function train({ file, args, dir, name, epochs }) {
  const next = follow(join(dir, "metrics.jsonl"));
  const show = display(name, epochs);
  const seen = { epoch: undefined, evaluated: undefined, training: 0, evaluation: 0 };
  let samples = 0;
  const look = () => {
    for (const record of next()) {
      if (record.event === "train") show.step(record);
      if (record.event === "epoch") {
        seen.epoch = { ...record, samples_of_epoch: record.samples - samples };
        samples = record.samples;
        seen.training += record.seconds;
      }
      if (record.event !== "evaluate") continue;
      seen.evaluated = record;
      seen.evaluation += record.seconds;
      show.epoch(seen.epoch, record);
      keepNewest(dir);
    }
  };
  const timer = setInterval(look, 200);
  const all = [...args, "--exp-dir", dir, "--print-freq", "5"];
  const ended = await start(file, all, join(dir, "train.log"))
    .finally(() => clearInterval(timer))
    .finally(show.end);
  expectSuccess(name, ended);
  look();
  if (seen.epoch?.broken_files > 0)
    console.log(`  ${seen.epoch.broken_files} reads of broken images; ${join(dir, "train.log")} names them`);
  if (seen.evaluated?.epoch !== epochs - 1)
    throw new Error(`${name}: ended without evaluating epoch ${epochs}; see ${join(dir, "train.log")}`);
  return { ...seen, model: keepNewest(dir) };
}
