// Gets the artefact for a source of graphs: the existing one if nothing that it depends on has changed, otherwise a new
// one.

import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { linkArguments, mpiPlugin } from "../../compiler/emit/native.js";
import { nvccVersion } from "../../compiler/emit/nvcc.js";
import { headerDigest } from "../../compiler/emit/objects.js";
import { ARTEFACT, type BuildResult, binaryName } from "../../compiler/emit/project.js";
import { compilerVersion, isEmulated, requireEmulator } from "../../compiler/emit/toolchain.js";
import type { Target } from "../../compiler/ir/types.js";
import type { Plan } from "../../compiler/lower/plan.js";
import { cacheDir } from "../../compiler/util/cache.js";
import { digest } from "../../compiler/util/digest.js";
import { waitForLock } from "../../compiler/util/lock.js";
import { requireFolder } from "../../compiler/util/own.js";
import { root } from "../../compiler/util/root.js";
import type { Source } from "./graphs.js";
import { progressLine } from "./progress.js";

export interface Obtained {
  readonly dir: string;
  readonly plan: Plan;
  readonly built: BuildResult | undefined; // undefined: it existed already
}

/** A digest of what an artefact depends on besides its source: this compiler, kernels, the runtime's libraries, g++. */
async function toolsDigest(): Promise<string> {
  const js = join(root, "build", "js");
  const own = ["compiler", "models", "tools/cli"].flatMap((part) =>
    readdirSync(join(js, part), { recursive: true, encoding: "utf8" })
      .filter((f) => f.endsWith(".js"))
      .map((f) => join(js, part, f)),
  );
  const plugin = mpiPlugin();
  const libraries = linkArguments().filter((l) => l.startsWith("/"));
  const stamps = [...libraries, ...(plugin ? [plugin] : [])].map(
    (l) => `${l} ${statSync(l).size} ${statSync(l).mtimeMs}`,
  );
  const headers = headerDigest(["kernels", "runtime/core"]);
  return digest(await compilerVersion(), headers, ...stamps, ...own.sort().map((f) => readFileSync(f)));
}

/** The key of an artefact of `source` for `target`: an artefact with another key is out of date. */
export async function artefactKey(source: Source, target: Target): Promise<string> {
  return digest(
    await toolsDigest(),
    await deviceTools(target),
    source.name,
    source.key,
    JSON.stringify(target),
    JSON.stringify(source.meta),
  );
}

/** The version of nvcc or the digest of the emulator's headers; "" on the CPU, which needs neither. */
async function deviceTools(target: Target): Promise<string> {
  if (target.device === "cpu") return "";
  if (!isEmulated(target)) return nvccVersion();
  requireEmulator();
  return headerDigest(["test/emulator"]);
}

/**
 * The artefact at `dir`, which is built first unless there is one with the same key. Shows progress on a terminal. If
 * several processes need the artefact, one builds it and the others wait. Rejects, without a change, if something other
 * than an artefact is at `dir`.
 */
export async function obtain(
  source: Source,
  target: Target,
  dir: string,
  key: string,
  check?: (plan: Plan) => void,
): Promise<Obtained> {
  const there = currentAt(dir, key);
  if (there) return there;
  requireFolder(dir, ARTEFACT); // before the lock, so that nothing is made beside what is refused
  const release = waitForLock(`${resolve(dir)}.lock`, `compilation of ${source.name}`);
  try {
    return currentAt(dir, key) ?? (await build(source, target, dir, key, check));
  } finally {
    release();
  }
}

const stampOf = (dir: string): string => join(dir, ".key");

function currentAt(dir: string, key: string): Obtained | undefined {
  if (!existsSync(stampOf(dir)) || readFileSync(stampOf(dir), "utf8") !== key) return undefined;
  const plan = JSON.parse(readFileSync(join(dir, "plan.json"), "utf8")) as Plan;
  return existsSync(join(dir, binaryName(plan.meta))) ? { dir, plan, built: undefined } : undefined;
}

async function build(
  source: Source,
  target: Target,
  dir: string,
  key: string,
  check?: (plan: Plan) => void,
): Promise<Obtained> {
  const { compile } = await import("../../compiler/pipeline.js"); // only here, because most artefacts exist already
  const progress = progressLine("compiling kernels");
  const { name, meta } = source;
  const options = { name, target, meta, ...(check && { check }) };
  const built = await compile(source.graphs(), dir, options, progress.update, async (partial, plan) => {
    await source.write?.(partial, plan);
    writeFileSync(stampOf(partial), key);
  }).finally(progress.end);
  return { dir, plan: built.plan, built };
}

/**
 * The artefact in the user's cache, which is built first if there is none. `check` may throw for its plan, before
 * anything is compiled.
 */
export async function cachedArtefact(source: Source, target: Target, check?: (plan: Plan) => void): Promise<Obtained> {
  const key = await artefactKey(source, target);
  const obtained = await obtain(
    source,
    target,
    join(cacheDir(), "artefacts", `${source.name}-${key.slice(0, 16)}`),
    key,
    check,
  );
  if (!obtained.built) check?.(obtained.plan);
  const { built } = obtained;
  if (built)
    process.stderr.write(
      `compiled ${source.name}: ${built.compiled} of ${built.objects} objects, ${built.seconds.toFixed(0)} s\n`,
    );
  return obtained;
}
