// A launcher that is killed with SIGKILL cannot end its ranks: they notice, write a checkpoint and end.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { mpiPlugin } from "../../compiler/emit/native.js";
import { root } from "../../compiler/util/root.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("launcher");
const begun: number[] = [];
test.after.always(() => {
  for (const pid of begun) if (runs(pid)) process.kill(pid, "SIGKILL");
  shell.remove();
});

const model = "-a resnet10 --width 0.125 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 16 -b 8".split(" ");
const two = ["--ranks", "2", "--bn-groups", "2"];
const endless = ["train", "--artefact", "two", "--synthetic", "--epochs", "100000", "--steps", "1000000", "-p", "1"];
const binary = shell.at("two", "train");
const command = join(root, "tools", "cli", "moproc");

test.before(() => {
  shell.done("compile", "--task", "classifier", ...model, ...two, "-o", "two");
  shell.done("compile", "--task", "classifier", ...model, "-o", "one");
});

/** Whether the process exists and has not ended. */
const runs = (pid: number): boolean => {
  const stat = `/proc/${pid}/stat`;
  return existsSync(stat) && !/\) [ZX] /.test(readFileSync(stat, "utf8"));
};

async function until(condition: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 60_000; !condition(); ) {
    if (Date.now() > end) throw new Error(`${what} did not happen`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The training binaries that write to this folder. */
function binariesOf(exp: string): number[] {
  const found = readdirSync("/proc")
    .filter((p) => /^\d+$/.test(p))
    .map(Number)
    .filter((pid) => {
      try {
        const [program = "", ...words] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        return program.endsWith("/train") && words.includes(exp) && runs(pid);
      } catch {
        return false; // it has ended
      }
    });
  begun.push(...found.filter((p) => !begun.includes(p)));
  return found;
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "localhost", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

/** A launcher that starts ranks with torchrun's variables. Like torchrun, it waits for them unless `leaves`. */
const source = `
import { spawn } from "node:child_process";
const [port, ranks, torchrun, leaves, ...words] = process.argv.slice(2);
for (let rank = 0; rank < Number(ranks); rank++) {
  const env = { RANK: rank, LOCAL_RANK: rank, WORLD_SIZE: ranks, LOCAL_WORLD_SIZE: ranks, MASTER_ADDR: "localhost",
    MASTER_PORT: port, ...(torchrun === "yes" && { TORCHELASTIC_RUN_ID: "none", TORCHELASTIC_RESTART_COUNT: "0" }) };
  spawn(words[0], words.slice(1), { env: { ...process.env, ...env }, stdio: "inherit" });
}
if (leaves === "yes") setTimeout(() => process.exit(0), 3000);
`;

interface Started {
  readonly pid: number;
  readonly err: () => string;
}
async function launch(exp: string, words: readonly string[], torchrun = true, leaves = false): Promise<Started> {
  const yes = (b: boolean): string => (b ? "yes" : "no");
  writeFileSync(shell.at("launcher.mjs"), source);
  const flags = [`${await freePort()}`, "2", yes(torchrun), yes(leaves), ...words, "--exp-dir", exp];
  const child = spawn(process.execPath, [shell.at("launcher.mjs"), ...flags], {
    cwd: shell.dir,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let err = "";
  child.stderr.on("data", (text) => (err += text));
  const pid = child.pid as number;
  begun.push(pid);
  const log = shell.at(exp, "metrics.jsonl");
  await until(() => existsSync(log) && readFileSync(log, "utf8").includes('"train"'), `a step of ${exp}: ${err}`);
  return { pid, err: () => err };
}

/** The run goes on behind its last step, so it has written a checkpoint when it was stopped. */
function continued(t: ExecutionContext, exp: string, ...more: readonly string[]): void {
  const last = shell.metrics(exp).findLast((l) => l.event === "train")?.run_step;
  const artefact = more.length > 0 ? "two" : "one";
  // A fast CPU makes hundreds of these epochs in the seconds of a test, more than the default.
  const flags = ["--synthetic", "--epochs", "100000", "--exp-dir", exp, "--resume", "auto", "--steps", "1", ...more];
  shell.done("train", "--artefact", artefact, ...flags);
  t.is(shell.metrics(exp).findLast((l) => l.event === "start")?.from_run_step, last);
}

const chains = [
  ["the binary itself", [binary, ...endless.slice(3)]],
  ["the command line", [command, ...endless]],
  ["a script that runs the command line", ["sh", "-c", '"$@"; exit $?', "sh", command, ...endless]],
] as const;
for (const [i, [what, words]] of chains.entries())
  test.serial(`a launcher like torchrun is killed: its ranks stop with a checkpoint; it started ${what}`, async (t) => {
    const exp = `killed ${i}`;
    const { pid, err } = await launch(exp, words);
    t.is(binariesOf(exp).length, 2);
    process.kill(pid, "SIGKILL");
    await until(() => binariesOf(exp).length === 0, `the end of the ranks: ${err()}`);
    // Either rank may notice first; it tells the other.
    t.regex(err(), new RegExp(`train: rank [01]: its launcher \\(torchrun, process ${pid}\\) has ended`));
    t.notRegex(err(), /was ended by/, "the command line has seen its binary end by itself");
    continued(t, exp, "--nproc-per-node", "2");
  });

test.serial(
  "ranks whose variables a script has set go on when it ends, as it may leave them in the background",
  async (t) => {
    const { err } = await launch("by hand", [binary, ...endless.slice(3)], false, true);
    const steps = (): number => readFileSync(shell.at("by hand", "metrics.jsonl"), "utf8").split("\n").length;
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const before = steps();
    await until(() => steps() > before + 5, "further steps");
    const ranks = binariesOf("by hand");
    t.is(ranks.length, 2);
    for (const p of ranks) process.kill(p, "SIGTERM");
    await until(() => binariesOf("by hand").length === 0, "the end of the ranks");
    t.notRegex(err(), /launcher/);
  },
);

test.serial("one process without a launcher goes on when its shell ends, under nohup", async (t) => {
  mkdirSync(shell.at("alone"));
  const one = endless.map((w) => (w === "two" ? "one" : w));
  const words = [command, ...one, "--exp-dir", "alone"].map((w) => `'${w}'`).join(" ");
  const shellOfUser = spawn("sh", ["-c", `nohup ${words} > alone/out 2>&1 & sleep 1000`], {
    cwd: shell.dir,
    stdio: "ignore",
  });
  const steps = (): number =>
    existsSync(shell.at("alone", "metrics.jsonl"))
      ? readFileSync(shell.at("alone", "metrics.jsonl"), "utf8").split("\n").length
      : 0;
  await until(() => steps() > 3, "a step");
  process.kill(shellOfUser.pid as number, "SIGKILL");
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const before = steps();
  await until(() => steps() > before + 5, "further steps");
  for (const p of binariesOf("alone")) process.kill(p, "SIGTERM");
  await until(() => binariesOf("alone").length === 0, "the end");
  continued(t, "alone");
});

const haveMpi = spawnSync("mpirun", ["--version"]).status === 0 && mpiPlugin() !== undefined;
(haveMpi ? test.serial : test.serial.skip)("mpirun is killed: its ranks stop with a checkpoint", async (t) => {
  const flags = ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", "2"];
  const at = ["--dist-url", `tcp://127.0.0.1:${await freePort()}`];
  const child = spawn("mpirun", [...flags, command, ...endless, "--exp-dir", "mpi", ...at], {
    cwd: shell.dir,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [out, err] = ["", ""];
  child.stdout.on("data", (text) => (out += text));
  child.stderr.on("data", (text) => (err += text));
  await until(() => out.includes("loss"), `a step ${err}`);
  t.is(binariesOf("mpi").length, 2);
  process.kill(child.pid as number, "SIGKILL");
  await until(() => binariesOf("mpi").length === 0, "the end of the ranks");
  continued(t, "mpi", "--nproc-per-node", "2");
});
