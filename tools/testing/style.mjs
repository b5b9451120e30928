// Checks rules and format of all sources: biome for JavaScript, TypeScript and JSON, clang-format for C++ and CUDA. The
// versions of both are pinned, so that every machine has the same findings.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { root } from "../setup/steps.mjs";

const cpp = /\.(cc|h|hpp|cpp|cuh|cu)$/;

/** The compiler writes the golden files, so they have its format and are not checked. */
const emitted = "test/golden/";

function tool(command, args) {
  const r = spawnSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 28 });
  if (r.error) throw r.error;
  return { ok: r.status === 0, text: `${r.stdout}${r.stderr}` };
}

/** The C++ and CUDA files of the project, except emitted ones. */
const cppFiles = () =>
  ["kernels", "runtime", "test", "tools"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .map((f) => join(folder, f))
      .filter((f) => cpp.test(f) && !f.startsWith(emitted) && !/(^|\/)(build|node_modules)\//.test(f)),
  );

/** The number of tools that checkStyle runs; each has at most one finding. */
export const STYLE_TOOLS = 2;

/** The tools' findings as a list of { what, text }, which may be empty. With `write` the tools first correct files. */
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
