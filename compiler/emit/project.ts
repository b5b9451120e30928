// The artefact directory: plan, kernels, dumps; then g++ in parallel, cached by content. A directory is complete or
// not there: everything is made beside it and renamed.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, homedir } from "node:os";
import { join, resolve } from "node:path";
import type { Kernel, Plan } from "../lower/plan.js";
import { debug } from "../util/debug.js";
import { digest } from "../util/digest.js";
import { run, runAll } from "../util/run.js";
import { root } from "../util/root.js";
import { planCpp } from "./plan_cpp.js";
import { planJson } from "./plan_json.js";

export interface Artefact {
  readonly plan: Plan;
  readonly explain: string;
  readonly dumps: readonly { readonly file: string; readonly text: string }[]; // passes/NN-name.txt
}

export interface BuildResult {
  readonly dir: string;
  readonly objects: number;
  readonly compiled: number; // how many of the objects were not in the cache
  readonly seconds: number;
}

const KERNELS_A_FILE = 4;
const common = ["-std=c++20", "-O3", "-fPIC", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"];

/** Writes and builds the artefact at `dir`, replacing an older one there. `progress` is told about each object. */
export async function buildArtefact(
  dir: string, a: Artefact, progress: (done: number, total: number) => void = () => {},
): Promise<BuildResult> {
  const start = performance.now();
  const at = resolve(dir);
  const partial = `${at}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(join(partial, "kernels"), { recursive: true });
  mkdirSync(join(partial, "passes"));
  const files = kernelFiles(a.plan);
  for (const f of files) writeFileSync(join(partial, "kernels", f.name), f.text);
  for (const d of a.dumps) writeFileSync(join(partial, "passes", d.file), d.text);
  writeFileSync(join(partial, "plan.json"), planJson(a.plan));
  writeFileSync(join(partial, "plan.cpp"), planCpp(a.plan));
  writeFileSync(join(partial, "explain.txt"), a.explain);
  const units: Unit[] = [
    ...files.map((f) => ({ source: join(partial, "kernels", f.name), flags: kernelFlags(a.plan), headers: "kernels" as const })),
    { source: join(partial, "plan.cpp"), flags: ["-std=c++20", "-O1", "-fPIC"], headers: "plan" as const },
  ];
  const { objects, compiled } = await compileAll(units, progress);
  await link(partial, objects);
  rmSync(at, { recursive: true, force: true });
  renameSync(partial, at);
  return { dir: at, objects: objects.length, compiled, seconds: (performance.now() - start) / 1000 };
}

/** Kernels of one header share files, a few each: the header is parsed once a file. */
function kernelFiles(plan: Plan): { readonly name: string; readonly text: string }[] {
  const byHeader = new Map<string, Kernel[]>();
  for (const k of plan.kernels.toSorted((a, b) => (a.symbol < b.symbol ? -1 : 1))) {
    byHeader.set(k.header, [...(byHeader.get(k.header) ?? []), k]);
  }
  return [...byHeader].flatMap(([header, kernels]) => {
    const size = header.startsWith("conv_") ? KERNELS_A_FILE : 4 * KERNELS_A_FILE;
    const chunks = Array.from({ length: Math.ceil(kernels.length / size) }, (_, i) => kernels.slice(i * size, (i + 1) * size));
    return chunks.map((ks, i) => ({
      name: `${header}_${i}.cpp`,
      text: [`#include "cpu/${header}.hpp"`, "", "using namespace moproc;", "", ...ks.map((k) => k.source)].join("\n"),
    }));
  });
}

interface Unit {
  readonly source: string;
  readonly flags: readonly string[];
  readonly headers: "kernels" | "plan";
}

/** Objects of all units, from the cache or compiled into it, a job a core. */
async function compileAll(
  units: readonly Unit[], progress: (done: number, total: number) => void,
): Promise<{ readonly objects: string[]; readonly compiled: number }> {
  const cache = cacheDir();
  const compiler = await compilerVersion();
  const headers = { kernels: headerDigest(["kernels"]), plan: headerDigest(["runtime/core", "kernels/common"]) };
  const jobs = units.map((u) => {
    const text = readFileSync(u.source, "utf8");
    const code = u.headers === "kernels" ? text.replace(/\/\/.*$/gm, "") : text; // comments name values and batch sizes
    const key = digest(compiler, u.flags.join(" "), headers[u.headers], code);
    return { ...u, object: join(cache, `${key.slice(0, 40)}.o`) };
  });
  const missing = jobs.filter((j) => !existsSync(j.object));
  let done = 0;
  await runAll(availableParallelism(), missing, async (j) => {
    const part = `${j.object}.${process.pid}.part`;
    const includes = ["-I", join(root, "kernels"), "-I", join(root, "runtime")];
    debug(2, () => `g++ ${j.source}`);
    await run(cxx(), [...j.flags, ...includes, "-c", j.source, "-o", part]);
    renameSync(part, j.object);
    progress(++done, missing.length);
  });
  return { objects: jobs.map((j) => j.object), compiled: missing.length };
}

async function link(dir: string, objects: readonly string[]): Promise<void> {
  const lib = join(root, "build", "native");
  const args = readFileSync(join(lib, "link.txt"), "utf8").split("\n").filter((l) => l !== "");
  const own = ["-static-libstdc++", "-static-libgcc"];
  await Promise.all([
    run(cxx(), [...objects, ...args, ...own, "-lm", "-pthread", "-o", join(dir, "train")]),
    run(cxx(), ["-shared", ...objects, ...own, "-lm", "-o", join(dir, "program.so")]),
  ]);
}

function kernelFlags(plan: Plan): string[] {
  const wide = plan.target.arch === "x86-64-v4" ? ["-mprefer-vector-width=512"] : [];
  return [...common, `-march=${plan.target.arch}`, ...wide];
}

/** Where compiled objects are kept: $MOPROC_CACHE, or moproc in the user's cache directory. */
export function cacheDir(): string {
  const dir = process.env["MOPROC_CACHE"] ?? join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "moproc");
  mkdirSync(dir, { recursive: true });
  return dir;
}

export const cxx = (): string => process.env["CXX"] ?? "g++";

/** Version line of the C++ compiler; throws with what to install when there is none. */
export async function compilerVersion(): Promise<string> {
  const text = await run(cxx(), ["--version"]).catch((e: Error) => {
    throw new Error(`no C++ compiler: ${e.message}\ninstall g++ 12 or later (Debian, Ubuntu: apt-get install g++) or set CXX`);
  });
  return text.split("\n")[0] as string;
}

/** Digest of all headers below these folders of the project. */
export function headerDigest(folders: readonly string[]): string {
  const files = folders.flatMap((f) =>
    readdirSync(join(root, f), { recursive: true, withFileTypes: true })
      .filter((e) => e.isFile() && /\.(h|hpp)$/.test(e.name))
      .map((e) => join(e.parentPath, e.name)),
  );
  return digest(...files.sort().map((f) => readFileSync(f)));
}
