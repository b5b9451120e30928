// A training run with faults: it has its own folder and is started again as often as necessary, with --resume auto.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The steps per epoch of the small run, and its epochs: one of each phase. */
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
   * Starts the run, or resumes it. `limit`: the largest size of a file in KiB; `env`: more environment variables. The
   * working directory is the parent of the run's folder. Returns { child, ended }; `ended` resolves to { status,
   * signal, text }.
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

  /** Starts the run and waits until it ends. */
  async finish(flags = []) {
    return this.start(flags).ended;
  }

  /** The numbers of the processes that `child` has started. */
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

  /** Whether a checkpoint is being written. */
  isWriting() {
    return existsSync(this.dir) && readdirSync(this.dir).some((f) => f.endsWith(".tmp"));
  }

  /** The path of the checkpoint of the last epoch. */
  get last() {
    return join(this.dir, `checkpoint_${String(shape.epochs - 1).padStart(4, "0")}.safetensors`);
  }

  /** The number of computed steps, including those that were computed again after a fault. */
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
 * The number of bits in which the tensors of two checkpoints differ, plus 1 if names, shapes, counts or averages do. If
 * their data have different sizes, the number of bits of the larger one.
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
