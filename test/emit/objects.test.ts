// The cache of compiled files: a precompiled prelude saves time and does not change the output.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { compileAll, type Unit } from "../../compiler/emit/objects.js";
import { kernelFiles } from "../../compiler/emit/project.js";
import { compilerVersion } from "../../compiler/emit/toolchain.js";
import { Builder } from "../../compiler/ir/builder.js";
import type { Graph, Target } from "../../compiler/ir/types.js";
import { lower } from "../../compiler/pipeline.js";
import { cxx } from "../../compiler/util/host.js";
import { root } from "../../compiler/util/root.js";
import { conv2d, finish, linear, Net } from "../../models/nn.js";

test.serial("objects do not depend on whether their system headers were precompiled", async (t) => {
  mkdirSync(join(root, "build", "test"), { recursive: true });
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

    process.env.MOPROC_CACHE = join(dir, "at once");
    const calls = join(dir, "calls.txt");
    const counting = join(dir, "counting.sh");
    writeFileSync(counting, `#!/bin/sh\necho "$@" >> "${calls}"\nexec ${cxx().join(" ")} "$@"\n`, { mode: 0o755 });
    const units = [{ ...unit, command: [counting] as const, prelude: ["immintrin.h"] }];
    const atOnce = await Promise.all([compileAll(units, () => {}), compileAll(units, () => {})]);
    for (const { files } of atOnce) t.deepEqual(readFileSync(files[0] as string), plain);
    t.is(readFileSync(calls, "utf8").trim().split("\n").length, 2, "one call for the header, one for the object");
    const left = readdirSync(join(dir, "at once")).filter((name) => /part|tmp/.test(name));
    t.deepEqual(left, [], "artefacts that are built at the same time share a compilation and leave nothing unfinished");

    process.env.MOPROC_CACHE = join(dir, "words");
    const fileOf = async (...words: string[]) =>
      (await compileAll([{ ...unit, command: [...cxx(), ...words] }], () => {})).files[0];
    t.not(await fileOf("-m64"), await fileOf(), "flags in $CXX make another object");

    t.is(readdirSync(join(dir, "precompiled")).filter((f) => f.endsWith(".gch")).length, 1);
  } finally {
    if (before === undefined) delete process.env.MOPROC_CACHE;
    else process.env.MOPROC_CACHE = before;
    rmSync(dir, { recursive: true, force: true });
  }
});

/** A network of two convolutions and a matrix product; `channels` of the second convolution. */
function network(channels: number): Graph {
  const b = Builder.create("net");
  const net = new Net(b, { training: false });
  const x = b.input("x", { dtype: "f32", shape: [4, 8, 9, 9] });
  const first = conv2d(net.in("first"), x, { out: 24, kernel: 3 });
  const y = conv2d(net.in("second"), first, { out: channels, kernel: 1 });
  return finish(b, { y, z: linear(net.in("fc"), b.input("v", { dtype: "f32", shape: [4, 20] }), 10) });
}

/** The files of the kernels that take long to compile, without comments: what their objects are found by. */
function slowFiles(g: Graph, target: Target): string[] {
  return kernelFiles(lower([g], { name: "net", target }).plan)
    .filter((f) => /^(conv_fprop|matmul)_/.test(f.name))
    .map((f) => f.text.replace(/\/\/.*$/gm, ""));
}

test("networks that differ in one convolution share the files of all others, so they are compiled once", (t) => {
  const target = { device: "cpu", arch: "x86-64-v3", ranks: [1] } as const;
  const [a, b] = [slowFiles(network(16), target), slowFiles(network(40), target)];
  t.is(a.length, 3);
  t.is(a.filter((text) => b.includes(text)).length, 2);
});
