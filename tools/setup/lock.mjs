// Lock files: who works in a folder is a process number in a file, behind a word that shows it is a lock of moproc. A
// file that a dead process left is no lock; a file that is none of moproc's is refused and stays.

import { lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { SetupError } from "../../compiler/util/errors.mjs";

const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (e) {
    return e.code === "EPERM"; // it lives, as somebody else's
  }
};

const sleep = (milliseconds) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
const EMPTY = 10; // looks at a lock that is made but not written yet before it counts as left behind

/**
 * Whose lock the file is, or undefined when it is absent or empty. Throws SetupError when it is no lock of moproc.
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
 * Takes a lock until `release` is called or this process exits. Returns { release }, or { heldBy: PID } when
 * another process has it. Throws SetupError where a file of this name is no lock.
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
    else rmSync(file, { force: true }); // of a process that is gone
  }
  const release = () => {
    process.off("exit", release);
    rmSync(file, { force: true });
  };
  process.on("exit", release);
  return { release };
}

/** The same, but waits for the process that has it, and says so. Returns the function that gives it back. */
export function waitForLock(file, what) {
  for (let said = false; ; said = true) {
    const { heldBy, release } = takeLock(file);
    if (release) return release;
    if (!said) console.error(`waiting for process ${heldBy}, which does the ${what}; if there is none, remove ${file}`);
    sleep(300);
  }
}
