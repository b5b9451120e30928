// Lock files. A lock is a file with the number of the process that works in a folder, after a word that marks it as a
// lock of moproc. The file of a process that no longer exists is no lock. A file without the mark is an error and
// stays.

import { lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { SetupError } from "../../compiler/util/errors.mjs";

const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (e) {
    return e.code === "EPERM"; // it exists, but belongs to another user
  }
};

const sleep = (milliseconds) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
const EMPTY = 10; // attempts, of 10 ms, after which a lock file that is still empty counts as abandoned

/**
 * The number of the process in the lock file; undefined if it is absent or empty. Throws SetupError if it is not a lock
 * of moproc.
 */
function processIn(file) {
  const there = lstatSync(file, { throwIfNoEntry: false });
  if (there === undefined) return undefined;
  let text;
  try {
    text = there.isFile() ? readFileSync(file, "utf8") : "a folder or link";
  } catch (e) {
    if (e.code === "ENOENT") return undefined;
    throw e;
  }
  const pid = /^moproc (\d+)\n$/.exec(text)?.[1];
  if (pid === undefined && text !== "")
    throw new SetupError(
      `${file}: is needed as a lock, but is no lock of moproc; choose another path, or remove it yourself`,
    );
  return pid === undefined ? undefined : Number(pid);
}

/**
 * Takes a lock until `release` is called or this process exits. Returns { release }, or { heldBy: PID } if another
 * process has it. Throws SetupError if a file of this name is not a lock.
 */
export function takeLock(file) {
  processIn(file);
  mkdirSync(dirname(file), { recursive: true });
  for (let tries = 0; ; tries++) {
    try {
      writeFileSync(file, `moproc ${process.pid}\n`, { flag: "wx" });
      break;
    } catch (e) {
      if (e.code !== "EEXIST" || tries > 2 * EMPTY) throw e;
    }
    const pid = processIn(file);
    if (pid !== undefined && pid !== process.pid && alive(pid)) return { heldBy: pid };
    if (pid === undefined && tries < EMPTY) sleep(10);
    else rmSync(file, { force: true }); // its process no longer exists
  }
  const release = () => {
    process.off("exit", release);
    rmSync(file, { force: true });
  };
  process.on("exit", release);
  return { release };
}

/** Takes a lock; if another process has it, prints that and waits. Returns the function that releases the lock. */
export function waitForLock(file, what) {
  for (let said = false; ; said = true) {
    const { heldBy, release } = takeLock(file);
    if (release) return release;
    if (!said) console.error(`waiting for process ${heldBy}, which does the ${what}; if there is none, remove ${file}`);
    sleep(300);
  }
}
