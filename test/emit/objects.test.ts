// The cache of compiled files: a prelude that was parsed before saves time and changes no byte.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { compileAll, type Unit } from "../../compiler/emit/objects.js";
import { compilerVersion, cxx } from "../../compiler/emit/toolchain.js";
import { root } from "../../compiler/util/root.js";

test("objects do not depend on whether their system headers were precompiled", async (t) => {
  const dir = mkdtempSync(join(root, "build", "test", "objects-"));
  const before = process.env.MOPROC_CACHE;
  try {
    const source = join(dir, "a.cpp");
    writeFileSync(source, "#include <immintrin.h>\n__m256 twice(__m256 x) { return _mm256_add_ps(x, x); }\n");
    const unit: Unit = {
      source,
      command: cxx(),
      version: await compilerVersion(),
      flags: ["-std=c++20", "-O2", "-march=x86-64-v3"],
      include: [],
      headers: ["kernels/common"],
      names: false,
      result: "o",
    };
    const built = async (u: Unit, cache: string): Promise<Buffer> => {
      process.env.MOPROC_CACHE = join(dir, cache);
      const { files, compiled } = await compileAll([u, u], () => {});
      t.is(compiled, 1);
      return readFileSync(files[0] as string);
    };
    const plain = await built(unit, "plain");
    const precompiled = await built({ ...unit, prelude: ["immintrin.h"] }, "precompiled");
    t.deepEqual(precompiled, plain);
    t.is(readdirSync(join(dir, "precompiled")).filter((f) => f.endsWith(".gch")).length, 1);
  } finally {
    if (before === undefined) delete process.env.MOPROC_CACHE;
    else process.env.MOPROC_CACHE = before;
    rmSync(dir, { recursive: true, force: true });
  }
});
