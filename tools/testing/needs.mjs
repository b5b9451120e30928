// Which test files need something native: these wait for the native build, the others run beside it.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What tells it: the addon, other programs, a compilation to an artefact, files of the native build. */
const native = /from "(node-cuda-rt|node:child_process)"|\bcompile\b[^;]*from "[./]+pipeline\.js"|"native"/;

/**
 * Whether a compiled test file, or one below test/ that it imports, uses any of it. (What the compiler imports does not
 * count: all of it can call g++, and few tests do.)
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
