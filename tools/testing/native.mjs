// Finds and runs the native test programs: executables named *_test in a build folder.

import { readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { tap } from "./tap.mjs";

/** The paths of all test programs below `folder` for which `wanted` returns true, in order. */
export function nativeTests(folder, wanted) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile() && /_test(_v\d)?$/.test(e.name))
    .map((e) => join(e.parentPath, e.name))
    .filter((f) => (statSync(f).mode & 0o111) !== 0 && wanted(f))
    .sort();
}

/**
 * Runs `programs`, each { name, command: [program, ...arguments], options: those of tap() }, one per core at a time,
 * and adds their results to `count`.
 */
export async function runNative(count, programs) {
  const waiting = [...programs];
  const worker = async () => {
    for (let p = waiting.shift(); p; p = waiting.shift())
      await tap(count, p.name, p.command[0], p.command.slice(1), { part: "native tests", ...p.options });
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}
