// The native test programs: executables named *_test in a build folder.

import { readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { tap } from "./tap.mjs";

/** All of them below `folder` that `wanted` takes, in order. */
export function nativeTests(folder, wanted) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile() && /_test(_v\d)?$/.test(e.name))
    .map((e) => join(e.parentPath, e.name))
    .filter((f) => (statSync(f).mode & 0o111) !== 0 && wanted(f))
    .sort();
}

/**
 * Runs { name, command: [program, ...arguments], options: those of tap() } of each, as many at a time as there are
 * cores.
 */
export async function runNative(count, programs) {
  const waiting = [...programs];
  const worker = async () => {
    for (let p = waiting.shift(); p; p = waiting.shift())
      await tap(count, p.name, p.command[0], p.command.slice(1), { part: "native tests", ...p.options });
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}
