// Lock files. Machines and containers can share a folder, and then a process number of another machine means nothing.
// So the owner of a lock rewrites it every second. A waiting process takes over a lock that has not changed for a while
// by its own clock. On the owner's machine a lock ends with its process. This is plain JavaScript, because the set-up
// needs it before the build; the compiler uses it through compiler/util/lock.ts.
//
// A lock holds "moproc PID PLACE TOKEN COUNT". Any other file at its path is an error and is not changed.

import { randomBytes } from "node:crypto";
import { lstatSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { Worker } from "node:worker_threads";
import { SetupError } from "./errors.mjs";
import { makeFolder } from "./own.mjs";

const BEAT = 1000; // ms between two changes of a lock
const STALE = 15_000; // ms without a change after which it counts as abandoned
const EMPTY = 500; // ms after which a lock file that is still empty counts as abandoned

const content = (f) => {
  try {
    return f().trim();
  } catch {
    return "";
  }
};
/** The scope in which process numbers are unique: one boot of a machine and one process namespace. */
const place = [
  hostname(),
  content(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8")),
  content(() => readlinkSync("/proc/self/ns/pid")),
]
  .join("/")
  .replaceAll(/\s/g, "");

const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (e) {
    return e.code === "EPERM"; // it exists, but belongs to another user
  }
};

const sleep = (milliseconds) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);

/** The text of a lock; undefined if there is none. Throws SetupError if the file is not a lock of moproc. */
function lockText(file) {
  const there = lstatSync(file, { throwIfNoEntry: false });
  if (there === undefined) return undefined;
  let text;
  try {
    text = there.isFile() ? readFileSync(file, "utf8") : "a folder or link";
  } catch (e) {
    if (e.code === "ENOENT") return undefined;
    throw e;
  }
  if (text !== "" && !/^moproc \d+( \S+ \w+ \d+)?\n$/.test(text))
    throw new SetupError(
      `${file}: moproc needs this path for a lock, but did not write it; choose another path, or remove it yourself`,
    );
  return text;
}

/** Process number and place of the owner. */
function ownerOf(text) {
  const [, pid, where] = text.trim().split(" ");
  return { pid: Number(pid), here: where === undefined || where === place };
}

const textOf = (line, count) => `${line} ${String(count).padStart(9, "0")}\n`;

// The worker rewrites the lock, because this thread may wait for a compiler. It writes into the open file, all of it at
// once, so no process reads an empty lock, and a lock that was removed does not come back.
const heartbeat = `
  const { openSync, readFileSync, writeSync } = require("node:fs");
  const { file, line, token, beat } = require("node:worker_threads").workerData;
  try {
    const lock = openSync(file, "r+");
    if (!readFileSync(lock, "utf8").includes(token)) process.exit();
    let count = 0;
    setInterval(() => writeSync(lock, (${textOf})(line, ++count), 0), beat);
  } catch {} // it was released before this thread began
`;

/**
 * Takes a lock until `release` is called or this process exits. Returns { release }, or { heldBy: PID, text } if
 * another process has it, as far as can be seen now. Throws SetupError if a file of this name is not a lock.
 */
export function takeLock(file) {
  lockText(file);
  makeFolder(dirname(file));
  const token = randomBytes(8).toString("hex");
  const line = `moproc ${process.pid} ${place} ${token}`;
  for (let waited = 0; ; waited += 10) {
    try {
      writeFileSync(file, textOf(line, 0), { flag: "wx" });
      break;
    } catch (e) {
      if (e.code !== "EEXIST" || waited > 2 * EMPTY) throw e;
    }
    const text = lockText(file);
    if (text) {
      const { pid, here } = ownerOf(text);
      if (!here || (pid !== process.pid && alive(pid))) return { heldBy: pid, text };
      rmSync(file, { force: true }); // its process no longer exists
    } else if (text === "" && waited >= EMPTY) rmSync(file, { force: true });
    else sleep(10);
  }
  const workerData = { file, line, token, beat: BEAT };
  const worker = new Worker(heartbeat, { eval: true, execArgv: [], workerData }); // this process's flags are not for it
  worker.unref();
  const release = () => {
    process.off("exit", release);
    void worker.terminate();
    if (content(() => readFileSync(file, "utf8")).includes(token)) rmSync(file, { force: true });
  };
  process.on("exit", release);
  return { release };
}

/**
 * Takes a lock. If another process has it, prints that and waits until it is free or has not changed for `stale`
 * milliseconds. Returns the function that releases the lock.
 */
export function waitForLock(file, what, stale = STALE) {
  let [seen, since] = ["", performance.now()];
  for (let said = false; ; said = true) {
    const { heldBy, release, text } = takeLock(file);
    if (release) return release;
    if (text !== seen) [seen, since] = [text, performance.now()];
    if (!ownerOf(text).here && performance.now() - since > stale) {
      console.error(
        `${file}: process ${heldBy} on another machine or in another container no longer renews it; taking it over`,
      );
      rmSync(file, { force: true });
      continue;
    }
    if (!said)
      console.error(`waiting for process ${heldBy}, which does the ${what}; if it does not exist, remove ${file}`);
    sleep(300);
  }
}
