// The opening comment of a template's header says which constants it reads, so that a reader who writes or emits K
// finds them there.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";

const folders = [
  ["cpu", "hpp"],
  ["cuda", "cuh"],
] as const;

/** The opening comment of a kernel header, or "" if there is none of that name. */
function opening(folder: string, name: string): string {
  const file = join(root, "kernels", folder, name);
  return existsSync(file) ? (readFileSync(file, "utf8").split("#pragma once")[0] as string) : "";
}

/** Constants of K that a header with an entry of its own name, or of a packing template, reads but does not state. */
function unstated(folder: string, file: string): readonly string[] {
  const text = readFileSync(join(root, "kernels", folder, file), "utf8");
  const entry = /template <class K>\n(?:static|MOPROC_NOINLINE|__device__) void (\w+)\(const Params& p/g;
  const name = file.replace(/\.\w+$/, "");
  if (![...text.matchAll(entry)].some((m) => (m[1] as string).startsWith(name))) return [];
  const own = opening(folder, file);
  const named = [...own.matchAll(/\b\w+\.(?:hpp|cuh)\b/g)].map((m) => opening(folder, m[0]));
  const stated = new Set([own, ...named].join("\n").match(/\b[A-Z][A-Z0-9_]*\b/g));
  const read = new Set([...text.matchAll(/\bK::([A-Z][A-Z0-9_]*)\b(?!::)/g)].map((m) => m[1] as string));
  return [...read].filter((c) => !stated.has(c) && !c.endsWith("_COUNT")).map((c) => `${folder}/${file}: ${c}`);
}

test("opening comments of kernel templates state the constants that they expect", (t) => {
  const files = folders.flatMap(([folder, ending]) =>
    readdirSync(join(root, "kernels", folder))
      .filter((f) => f.endsWith(ending))
      .map((file) => [folder, file] as const),
  );
  t.deepEqual(
    files.flatMap(([folder, file]) => unstated(folder, file)),
    [],
  );
  t.true(files.length > 60);
});
