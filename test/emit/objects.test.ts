// The cache of compiled sources: a precompiled prelude saves time and does not change the output, and sources that are
// compiled together are found one by one.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { compileAll, type Unit } from "../../compiler/emit/objects.js";
import { kernelSources } from "../../compiler/emit/project.js";
import { compilerVersion, kernelTool, toolOf } from "../../compiler/emit/toolchain.js";
import { Builder } from "../../compiler/ir/builder.js";
import type { Graph, Target } from "../../compiler/ir/types.js";
import type { Kernel } from "../../compiler/lower/plan.js";
import { lower } from "../../compiler/pipeline.js";
import { cxx } from "../../compiler/util/host.js";
import { root } from "../../compiler/util/root.js";
import { conv2d, finish, linear, Net } from "../../models/nn.js";

test.serial("objects do not depend on whether their system headers were precompiled", async (t) => {
  mkdirSync(join(root, "build", "test"), { recursive: true });
  const dir = mkdtempSync(join(root, "build", "test", "objects-"));
  const before = process.env.MOPROC_CACHE;
  try {
    const unit: Unit = {
      name: "twice",
      text: "#include <immintrin.h>\n__m256 twice(__m256 x) { return _mm256_add_ps(x, x); }\n",
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

/** The sources of the kernels, without comments: what they are found by in the cache. */
const sources = (g: Graph, target: Target): string[] =>
  kernelSources(lower([g], { name: "net", target }).plan).map((f) => f.text.replace(/\/\/.*$/gm, ""));

test("networks that differ in one convolution share all other kernels, so these are compiled once", (t) => {
  const target = { device: "cpu", arch: "x86-64-v3", ranks: [1] } as const;
  const [a, b] = [sources(network(16), target), sources(network(40), target)];
  const own = a.filter((text) => !b.includes(text)).map((text) => /#include "([^"]+)"/.exec(text)?.[1]);
  t.deepEqual(own, ["cpu/conv_fprop.hpp", "cpu/pack_conv.hpp"]); // the convolution and its packed weights
  t.is(a.length, 5); // also the other convolution with its weights, and the matrix product
});

test("artefacts for both emulated GPUs share the kernels that have no path for sm_90a", async (t) => {
  const b = Builder.create("net");
  const net = new Net(b, { training: false });
  const x = b.input("x", { dtype: "f32", shape: [4, 64, 8, 8] });
  const wide = conv2d(net.in("wide"), x, { out: 64, kernel: 3 });
  const g = finish(b, { y: conv2d(net.in("narrow"), wide, { out: 24, kernel: 3 }) });
  const units = async (arch: string): Promise<Map<string, { readonly hopper: boolean; readonly flags: string }>> => {
    const target: Target = { device: "cuda", arch, ranks: [1], precision: "bf16" };
    const { plan } = lower([g], { name: "net", target });
    const tool = await kernelTool(plan);
    const flags = (k: Kernel): string => toolOf(tool, k, target).flags.join(" ");
    const { hopper: _, ...first } = plan.kernels[0] as Kernel;
    const probe = { ...first, header: "probes" };
    t.is(/ -DMOPROC_EMULATED_SM90$/.test(flags(probe)), arch !== "emulator"); // the instructions of sm_90a alone
    return new Map(plan.kernels.map((k) => [k.symbol, { hopper: k.hopper !== undefined, flags: flags(k) }]));
  };
  const [usual, special] = [await units("emulator"), await units("emulator_sm_90a")];
  const [own, shared] = [true, false].map((hopper) => [...special].filter(([, u]) => u.hopper === hopper));
  t.true((own?.length ?? 0) > 0 && (shared?.length ?? 0) > 0);
  for (const [symbol, { flags }] of own ?? []) {
    t.regex(flags, / -DMOPROC_EMULATED_SM90$/, symbol);
    t.false(usual.has(symbol), symbol);
  }
  for (const [symbol, { flags }] of shared ?? []) t.is(usual.get(symbol)?.flags, flags, symbol);
});

const plain = (name: string, text: string): Unit => ({
  name,
  text,
  together: true,
  command: cxx(),
  version: "any",
  flags: ["-O1"],
  include: [],
  headers: [],
  names: false,
  result: "o",
});
const f = (i: number): Unit => plain(`f${i}`, `extern "C" int f${i}() { return ${i}; }\n`);

test.serial("units are compiled together and found one by one, also if their files overlap or are gone", async (t) => {
  const dir = mkdtempSync(join(root, "build", "test", "together-"));
  const before = process.env.MOPROC_CACHE;
  process.env.MOPROC_CACHE = join(dir, "cache");
  try {
    const units = (...which: readonly number[]): Unit[] => which.map(f);
    const progress: number[] = [];
    const all = Array.from({ length: 40 }, (_, i) => i);
    const first = await compileAll(units(...all), (done) => progress.push(done));
    t.is(first.compiled, 40);
    t.is(progress.at(-1), 40);
    t.true(first.files.length >= 3 && first.files.length < 40, `${first.files.length} files`);
    const some = await compileAll(units(39, 40, 3), () => {});
    t.is(some.compiled, 1);
    // two builds at once share what both need
    const [a, b] = await Promise.all([compileAll(units(50, 51, 52), () => {}), compileAll(units(52, 53, 3), () => {})]);
    t.deepEqual([a.compiled, b.compiled], [3, 2]);
    const symbols = (files: readonly string[]): string[] =>
      files.flatMap((file) =>
        [...spawnSync("nm", [file], { encoding: "utf8" }).stdout.matchAll(/ T (\w+)/g)].map((m) => m[1] as string),
      );
    t.true(["f52", "f53", "f3"].every((name) => symbols(b.files).includes(name)));
    t.is(symbols([...new Set([...a.files, ...b.files])]).filter((s) => s === "f52").length, 1);
    // a file that somebody has removed is made again, with the units that are wanted
    rmSync(some.files[0] as string);
    const again = await compileAll(units(39, 40, 3), () => {});
    t.true(again.compiled >= 1 && ["f39", "f40", "f3"].every((name) => symbols(again.files).includes(name)));
    const bad = compileAll([...units(60), plain("bad", "int bad( {\n"), ...units(61, 62, 63)], () => {});
    await t.throwsAsync(bad, { message: /error: / });
    t.is((await compileAll(units(60, 61, 62, 63), () => {})).files.length > 0, true);
    t.deepEqual(
      readdirSync(join(dir, "cache")).filter((name) => /part|tmp/.test(name)),
      [],
    );
  } finally {
    if (before === undefined) delete process.env.MOPROC_CACHE;
    else process.env.MOPROC_CACHE = before;
    rmSync(dir, { recursive: true, force: true });
  }
});
