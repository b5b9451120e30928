// Finds the test files that need something native. They wait for the native build; the others run at the same time.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The signs of it: imports of the addon or of child processes, compile(), and paths of the native build. */
const native = /from "(node-cuda-rt|node:child_process)"|\bcompile\b[^;]*from "[./]+pipeline\.js"|"native"/;

/**
 * Whether a compiled test file, or a file below test/ that it imports, has one of these signs. Imports of the compiler
 * do not count: all of it can call g++, but few tests do.
 */
export const needsNative = (file) => uses(file, new Set());

function uses(file, seen) {
  if (seen.has(file)) return false;
  seen.add(file);
  const text = readFileSync(file, "utf8");
  if (native.test(text)) return true;
  return [...text.matchAll(/(?:from|import) ?\(?"(\.[^"]+\.js)"/g)]
    .map((m) => join(dirname(file), m[1]))
    .filter((f) => f.includes("/test/") && existsSync(f))
    .some((f) => uses(f, seen));
}
