// The tool chain fails, or is stopped: a missing or failing compiler and a full disk are no bad input (exit code 1),
// and a signal ends the compilers, too, with all that they have started.

import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { root } from "../../compiler/util/root.js";
import { Shell } from "../support/cli.js";

const shell = new Shell("tool_chain");
test.after.always(() => shell.remove());

const compile = "compile -a resnet10 --width 0.125 --image-size 32 --num-class 4 --low-dim 8 --moco_queue 16 -b 8 -o";
const words = (out: string): string[] => [...compile.split(" "), out];

/** An executable shell script; returns its path. */
function script(name: string, text: string): string {
  mkdirSync(shell.at("bin"), { recursive: true });
  writeFileSync(shell.at("bin", name), `#!/bin/sh\n${text}\n`);
  chmodSync(shell.at("bin", name), 0o755);
  return shell.at("bin", name);
}

/** Folders of the test's own for what the tool chain writes. */
function folders(name: string): { readonly cache: string; readonly tmp: string } {
  const [cache, tmp] = [shell.at("kept", name, "cache"), shell.at("kept", name, "tmp")];
  for (const dir of [cache, tmp]) mkdirSync(dir, { recursive: true });
  return { cache, tmp };
}

function started(name: string, env: Readonly<Record<string, string>>, args: readonly string[]): ChildProcess {
  const { cache, tmp } = folders(name);
  return spawn(process.execPath, args, {
    cwd: shell.dir,
    env: { ...process.env, MOPROC_CACHE: cache, TMPDIR: tmp, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** The exit code and what was printed on stderr. */
async function ended(child: ChildProcess): Promise<{ readonly status: number | null; readonly err: string }> {
  let err = "";
  child.stderr?.on("data", (text) => (err += text));
  return new Promise((resolve) =>
    child.on("close", (code, signal) =>
      resolve({ status: code ?? 128 + constants.signals[signal as NodeJS.Signals], err }),
    ),
  );
}

async function until(condition: () => boolean, what: string, ms = 60_000): Promise<void> {
  for (const end = Date.now() + ms; !condition(); ) {
    if (Date.now() > end) throw new Error(`${what} did not happen`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const compiling = (name: string, cxx: string): ChildProcess =>
  started(name, { CXX: cxx }, [shell.main, ...words(name)]);

test("a compiler that is missing, that fails, or that finds the disk full: exit code 1", async (t) => {
  const missing = await ended(compiling("missing", "no-such-compiler"));
  t.is(missing.status, 1, missing.err);
  t.regex(missing.err, /^moproc compile: no C\+\+ compiler: no-such-compiler/);
  const version = 'case "$*" in *--version*) echo "g++ 99"; exit;; esac';
  const failed = await ended(compiling("failing", script("fails", `${version}\necho "internal error" >&2; exit 4`)));
  t.is(failed.status, 1, failed.err);
  t.regex(failed.err, /^moproc compile: .*bin\/fails .*: exit code 4\ninternal error/);
  const full = await ended(
    compiling("full", script("full", `${version}\necho "x.s: No space left on device" >&2; exit 1`)),
  );
  t.is(full.status, 1, full.err);
  t.regex(full.err, /the cache folder .* is full \(No space left on device\)/);
  const small = shell.limited(16, ...words("small"));
  t.is(small.status, 1, small.err);
  t.regex(small.err, /EFBIG|File too large|is full/);
});

/** A tool that works for a minute, in a process that it starts. */
const slow = (pids: string): string =>
  `case "$*" in *--version*) echo "g++ 99"; exit;; esac\nsleep 60 &\necho $$ $! >> '${pids}'\nwait`;

const pidsIn = (file: string): number[] =>
  existsSync(file) ? readFileSync(file, "utf8").trim().split(/\s+/).filter(Boolean).map(Number) : [];

const runs = (pid: number): boolean =>
  existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");

/** Sends the signal when the tool works; the tool and its child must end with the process. */
async function stopped(
  t: ExecutionContext,
  child: ChildProcess,
  pids: string,
  signal: NodeJS.Signals,
): Promise<string> {
  const end = ended(child);
  await until(() => pidsIn(pids).length >= 2, "the tool");
  const since = performance.now();
  child.kill(signal);
  const { status, err } = await end;
  t.is(status, 128 + constants.signals[signal], err);
  await until(() => !pidsIn(pids).some(runs), "the end of the tools", 5000);
  t.true(performance.now() - since < 5000, "long before the tools end by themselves");
  return err;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  test(`${signal} ends the compilers, and leaves no temporary file`, async (t) => {
    const pids = shell.at(`${signal}.pids`);
    const cxx = script(`slow-${signal}`, slow(pids));
    const err = await stopped(t, compiling(signal, cxx), pids, signal);
    t.is(err, "");
    t.deepEqual(readdirSync(shell.at("kept", signal, "tmp")), []);
    t.deepEqual(
      readdirSync(shell.dir).filter((f) => f.startsWith(signal) && f !== `${signal}.pids`),
      [],
      "neither a lock nor an unfinished artefact",
    );
  });

test("whoever waits for the native part is ended: its build ends, too", async (t) => {
  const pids = shell.at("build.pids");
  script("cmake", slow(pids));
  const builder = join(root, "build", "js", "compiler", "emit", "native_build.js");
  const options = '{ stdio: ["ignore", 2, 2, "pipe"] }';
  const wait = `require("node:child_process").spawnSync(process.execPath, process.argv.slice(1), ${options})`;
  const path = [shell.at("bin"), process.env.PATH].join(delimiter);
  const child = started("build", { PATH: path }, [
    "-e",
    wait,
    builder,
    shell.at("kept", "build", "cache", "native", "part"),
  ]);
  await stopped(t, child, pids, "SIGTERM");
  await until(
    () => readdirSync(shell.at("kept", "build", "cache", "native")).length === 0,
    "removal of the unfinished build",
    5000,
  );
});
