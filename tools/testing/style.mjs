// Rules and format of all sources: biome for JavaScript, TypeScript and JSON, clang-format for C++ and CUDA. Both are
// pinned packages, so that every machine says the same.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { root } from "../setup/steps.mjs";

const cpp = /\.(cc|h|hpp|cpp|cuh|cu)$/;

/** The golden files are what the compiler writes, so they have its format. */
const emitted = "test/golden/";

function tool(command, args) {
  const r = spawnSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 28 });
  if (r.error) throw r.error;
  return { ok: r.status === 0, text: `${r.stdout}${r.stderr}` };
}

/** The C++ and CUDA files of the project, without those that are emitted. */
const cppFiles = () =>
  ["kernels", "runtime", "test", "tools"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .map((f) => join(folder, f))
      .filter((f) => cpp.test(f) && !f.startsWith(emitted) && !/(^|\/)(build|node_modules)\//.test(f)),
  );

/** Tools that checkStyle runs, one finding at most of each. */
export const STYLE_TOOLS = 2;

/** What the tools find, as { what, text } each; empty if there is nothing. `write`: files are put right first. */
export function checkStyle({ write = false } = {}) {
  const biome = tool(join(root, "node_modules", ".bin", "biome"), ["check", ...(write ? ["--write"] : []), "."]);
  const { clangFormatPath } = createRequire(import.meta.url)("clang-format-node");
  const mode = write ? ["-i"] : ["--dry-run", "--Werror"];
  const clang = tool(clangFormatPath, [...mode, "--style=file", ...cppFiles()]);
  return [
    { what: "biome (rules and format of JavaScript and TypeScript)", ...biome },
    { what: "clang-format (format of C++ and CUDA)", ...clang },
  ].filter((r) => !r.ok);
}
