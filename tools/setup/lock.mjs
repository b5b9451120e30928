// Lock files: who works in a folder is a process number in a file. A file that a dead process left is no
// lock.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (e) {
    return e.code === "EPERM"; // it lives, as somebody else's
  }
};

/** The living process that holds the lock, or undefined. */
function holder(file) {
  try {
    const pid = Number(readFileSync(file, "utf8"));
    return Number.isSafeInteger(pid) && pid > 0 && pid !== process.pid && alive(pid) ? pid : undefined;
  } catch (e) {
    if (e.code === "ENOENT") return undefined;
    throw e;
  }
}

/**
 * Takes a lock until `release` is called or this process exits. Returns { release }, or { heldBy: PID } when
 * another process has it.
 */
export function takeLock(file) {
  mkdirSync(dirname(file), { recursive: true });
  for (let tries = 0; ; tries++) {
    const heldBy = holder(file);
    if (heldBy !== undefined) return { heldBy };
    try {
      if (tries > 0) rmSync(file, { force: true }); // of a process that is gone
      writeFileSync(file, `${process.pid}\n`, { flag: "wx" });
      break;
    } catch (e) {
      if (e.code !== "EEXIST" || tries > 10) throw e;
    }
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
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  }
}
