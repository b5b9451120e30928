// How runs end when terminals, launchers and the system end them.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("processes");
test.after.always(() => shell.remove());

const command = join(root, "tools", "cli", "moproc");
const model = "-a resnet10 --width 0.125 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 16 -b 8".split(" ");
const endless = ["train", "--artefact", "tiny", "--synthetic", "--epochs", "100000", "--steps", "1000000"];

test.before(() => void shell.done("compile", "--task", "classifier", ...model, "-o", "tiny"));

/** Resolves when `condition` holds; `what` is what it waits for. */
async function until(condition: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 60_000; !condition(); ) {
    if (Date.now() > end) throw new Error(`${what} did not happen`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The processes that `pid` has started, and theirs. */
function descendants(pid: number): number[] {
  const r = spawnSync("ps", ["-o", "pid=", "--ppid", `${pid}`], { encoding: "utf8" });
  const own = r.stdout.trim().split(/\s+/).filter(Boolean).map(Number);
  return own.flatMap((p) => [p, ...descendants(p)]);
}

for (const nohup of [true, false])
  test(`a closed terminal ${nohup ? "does not end a run under nohup" : "ends a run, with a checkpoint"}`, async (t) => {
    const exp = nohup ? "nohup" : "plain";
    // A session of its own, as a terminal has one: SIGHUP goes to all of its processes. This test's own process may
    // ignore SIGHUP; a terminal's shell does not.
    const reset =
      "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])";
    const words = [...(nohup ? ["nohup"] : []), command, ...endless, "--exp-dir", exp, "-p", "1"];
    const child = spawn("python3", ["-c", reset, ...words], {
      cwd: shell.dir,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const pid = child.pid as number;
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    let out = "";
    child.stdout.on("data", (text) => (out += text));
    const steps = (): number => (out.match(/ step +\d+/g) ?? out.match(/\[\d+/g) ?? []).length;
    await until(() => out.includes("loss"), "a step");
    const started = descendants(pid).length;
    t.true(started > 0);
    process.kill(-pid, "SIGHUP");
    if (nohup) {
      const before = out.length;
      await until(() => out.length > before + 500, "further steps");
      for (const p of descendants(pid).toReversed()) process.kill(p, "SIGTERM");
      t.is(await ended, 75, out.slice(-500));
      t.regex(out, /stopped by SIGTERM/);
    } else {
      t.is(await ended, 75, `${steps()} ${out.slice(-500)}`);
      t.regex(out, /stopped by SIGHUP/);
    }
    t.true(readdirSync(shell.at(exp)).some((f) => f.startsWith("checkpoint_")));
  });

test("the command line says what ended the binary, and returns 128 + the signal", async (t) => {
  const child = spawn(process.execPath, [shell.main, ...endless, "--exp-dir", "killed", "-p", "1"], { cwd: shell.dir });
  let [out, err] = ["", ""];
  child.stdout.on("data", (text) => (out += text));
  child.stderr.on("data", (text) => (err += text));
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  await until(() => out.includes("loss"), "a step");
  for (const p of descendants(child.pid as number)) process.kill(p, "SIGKILL");
  t.is(await ended, 137);
  t.regex(err, /train was ended by SIGKILL, as the system does when memory runs out \(see dmesg\)/);
});

test("a rank that the system kills is named with its signal, and the others end", async (t) => {
  const child = spawn(
    shell.at("ranks", "train"),
    [...endless.slice(3), "--exp-dir", "lost", "-p", "1", ...twoRanks()],
    {
      cwd: shell.dir,
    },
  );
  let [out, err] = ["", ""];
  child.stdout.on("data", (text) => (out += text));
  child.stderr.on("data", (text) => (err += text));
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  await until(() => out.includes("loss"), "a step");
  const ranks = descendants(child.pid as number);
  t.is(ranks.length, 2);
  process.kill(ranks[1] as number, "SIGKILL");
  t.is(await ended, 137, err);
  t.regex(err, /rank 1 ended with status 137, by Killed/);
  for (const p of ranks) t.false(existsSync(`/proc/${p}`) && !readFileSync(`/proc/${p}/stat`, "utf8").includes(") Z "));
});

/** The flags for two ranks; their artefact is compiled here, because only one test needs it. */
function twoRanks(): string[] {
  const batch = ["--bn-groups", "2", "--ranks", "2"];
  shell.done("compile", "--task", "classifier", ...model, ...batch, "-o", "ranks");
  return ["--nproc-per-node", "2", "--timeout", "5"];
}

test("disk, folder and rename are called what they are", (t) => {
  const full = shell.limited(8, "train", "--artefact", "tiny", "--synthetic", "--steps", "2", "--exp-dir", "full");
  t.not(full.status, 0);
  t.regex(full.err + full.out, /checkpoint_0000_000002\.safetensors\S*: File too large/);
  const file = shell.moproc("train", "--artefact", "tiny", "--synthetic", "--steps", "1", "--exp-dir", "tiny/train");
  t.is(file.status, 2);
  t.regex(file.err, /tiny\/train.*is not a folder/);
});
