// One training run that is disturbed: started in a folder of its own, as often as it takes, always with --resume auto.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Steps an epoch of the small run has, and its epochs: one of each phase. */
export const shape = { epochs: 3, steps: 20 };
const common = [
  "--epochs",
  `${shape.epochs}`,
  "--start_clean_epoch",
  "2",
  "--pseudo_th",
  "0.4",
  "--save-every",
  "3",
  "--print-freq",
  "1",
  "--threads",
  "1",
  "--workers",
  "1",
  "--quiet",
];

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export class Run {
  resumes = 0;

  constructor(artefact, data, dir) {
    Object.assign(this, { artefact, data, dir });
    mkdirSync(dir, { recursive: true });
  }

  /**
   * Starts it (again). `limit`: KiB that no file may exceed; `env`: more variables, for a process that runs beside the
   * run's folder.
   */
  start(flags = [], limit = undefined, env = {}) {
    if (this.started) this.resumes++;
    this.started = true;
    const args = ["--data", this.data, "--exp-dir", this.dir, "--resume", "auto", ...common, ...flags];
    const binary = join(this.artefact, "train");
    const [file, all] =
      limit === undefined ? [binary, args] : ["bash", ["-c", `ulimit -f ${limit}; exec "$@"`, "bash", binary, ...args]];
    const child = spawn(file, all, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
      cwd: dirname(this.dir),
    });
    const said = { text: "" };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (t) => (said.text += t));
    const ended = new Promise((done) =>
      child.on("close", (status, signal) => done({ status, signal, text: said.text })),
    );
    return { child, ended };
  }

  /** Runs it to its end. */
  async finish(flags = []) {
    return this.start(flags).ended;
  }

  /** The processes that `child` has started. */
  ranks(child) {
    try {
      return readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")
        .trim()
        .split(/\s+/)
        .filter(Boolean)
        .map(Number);
    } catch {
      return [];
    }
  }

  checkpoints() {
    return existsSync(this.dir)
      ? readdirSync(this.dir)
          .filter((f) => /^checkpoint_.*\.safetensors$/.test(f))
          .map((f) => join(this.dir, f))
      : [];
  }

  /** A checkpoint is being written just now. */
  isWriting() {
    return existsSync(this.dir) && readdirSync(this.dir).some((f) => f.endsWith(".tmp"));
  }

  /** The checkpoint of the last epoch. */
  get last() {
    return join(this.dir, `checkpoint_${String(shape.epochs - 1).padStart(4, "0")}.safetensors`);
  }

  /** Steps that were computed in all, some of them again after a fault. */
  steps() {
    const lines = readFileSync(join(this.dir, "metrics.jsonl"), "utf8").split("\n");
    return lines.filter((l) => l.includes('"event": "train"')).length;
  }

  async waitFor(condition, child, limit = 20_000) {
    for (
      const start = Date.now();
      Date.now() - start < limit && child.exitCode === null && child.signalCode === null;
      await sleep(1)
    )
      if (condition()) return true;
    return false;
  }
}

/**
 * Bits of the tensors, counts and averages in which two checkpoints differ; all of them when they hold other tensors.
 */
export function differingBits(a, b) {
  const [x, y] = [readFileSync(a), readFileSync(b)];
  const header = (f) => JSON.parse(f.subarray(8, 8 + Number(f.readBigUInt64LE(0))).toString());
  const data = (f) => f.subarray(8 + Number(f.readBigUInt64LE(0)));
  const [h, k] = [header(x), header(y)];
  const facts = ({ __metadata__: m, ...tensors }) =>
    JSON.stringify([tensors, m.epoch, m.step, m.samples, m.meters, m.best_top1, m.sha256]);
  const [p, q] = [data(x), data(y)];
  if (p.length !== q.length) return 8 * Math.max(p.length, q.length);
  let bits = facts(h) === facts(k) ? 0 : 1;
  for (let i = 0; i < p.length; i++) for (let d = p[i] ^ q[i]; d > 0; d &= d - 1) bits++;
  return bits;
}
