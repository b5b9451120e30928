// Makes the artefact folder: plan, kernels and dumps, which are then compiled in parallel. Everything is made in a
// temporary folder beside it, which is renamed when it is complete, so an incomplete artefact never has the final name.

import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { Kernel, Plan } from "../lower/plan.js";
import { cxx } from "../util/host.js";
import { beginBeside, endBeside, requireFolder } from "../util/own.js";
import { run } from "../util/run.js";
import { linkArguments, mpiPlugin } from "./native.js";
import { nvccDrivers } from "./nvcc.js";
import { compileAll } from "./objects.js";
import { planCpp } from "./plan_cpp.js";
import { planJson } from "./plan_json.js";
import { RESOURCES, resources } from "./resources.js";
import { isEmulated, kernelTool, planTool, toolOf } from "./toolchain.js";

export interface Artefact {
  readonly plan: Plan;
  readonly explain: string;
  readonly dumps: readonly { readonly file: string; readonly text: string }[]; // passes/NN-name.txt
}

export interface BuildResult {
  readonly dir: string;
  readonly objects: number;
  readonly compiled: number; // number of objects that were not in the cache
  readonly seconds: number;
}

/** Number of kernels of one header per file. nvcc compiles each file, and convolutions take it long. */
const kernelsPerFile = (header: string, { device }: Plan["target"]): number =>
  device === "cuda" && header.startsWith("conv_") ? 4 : 16;

/**
 * The name of an artefact's binary: `train` has the training verbs; `run` drives any program of a user's own graphs,
 * which no training verb knows (runtime/command/run_verb.h has the same rule).
 */
export const binaryName = ({ task }: Plan["meta"]): "train" | "run" =>
  task === undefined || task === "" || task === "user" ? "run" : "train";

/** The kind of folder that an artefact is (compiler/util/own.ts). */
export const ARTEFACT = "artefact";

/**
 * Writes and builds the artefact at `dir`, which replaces an older one there. `progress` is called after each object is
 * compiled; `complete` may add files to the folder before it is renamed to `dir`. Rejects, and leaves `dir` as it is,
 * if something else is at `dir` (see requireFolder()) or a compiler fails.
 */
export async function buildArtefact(
  dir: string,
  a: Artefact,
  progress: (done: number, total: number) => void = () => {},
  complete: (partial: string) => void | Promise<void> = () => {},
): Promise<BuildResult> {
  const start = performance.now();
  const at = resolve(dir);
  requireFolder(dir, ARTEFACT);
  const partial = beginBeside(at, ARTEFACT);
  try {
    const built = await fill(partial, a, progress);
    await complete(partial);
    endBeside(partial, dir, ARTEFACT);
    return { ...built, dir: at, seconds: (performance.now() - start) / 1000 };
  } catch (e) {
    rmSync(partial, { recursive: true, force: true }); // made above, so it may be removed
    throw e;
  }
}

/** The plan with the drivers that its code needs if nvcc compiles it. Rejects if nvcc is missing or too old. */
const withDrivers = async (plan: Plan): Promise<Plan> =>
  plan.target.device === "cuda" && !isEmulated(plan.target) ? { ...plan, drivers: await nvccDrivers() } : plan;

async function fill(
  partial: string,
  given: Artefact,
  progress: (done: number, total: number) => void,
): Promise<Pick<BuildResult, "objects" | "compiled">> {
  const a = { ...given, plan: await withDrivers(given.plan) };
  mkdirSync(join(partial, "kernels"));
  mkdirSync(join(partial, "passes"));
  const files = kernelFiles(a.plan);
  for (const f of files) writeFileSync(join(partial, "kernels", f.name), f.text);
  for (const d of a.dumps) writeFileSync(join(partial, "passes", d.file), d.text);
  writeFileSync(join(partial, "plan.json"), planJson(a.plan));
  writeFileSync(join(partial, "explain.txt"), a.explain);
  const tool = await kernelTool(a.plan);
  const { device } = a.plan.target;
  const images = device === "cpu" ? 0 : isEmulated(a.plan.target) ? 1 : files.length;
  const planText = planCpp(a.plan, images);
  writeFileSync(join(partial, "plan.cpp"), planText);
  const byNvcc = device === "cuda" && !isEmulated(a.plan.target);
  const units = byNvcc
    ? files.map((s) => ({ ...tool, ...s }))
    : kernelsByHeader(a.plan).map((k) => ({ ...toolOf(tool, k, a.plan.target), ...source(k, a.plan), together: true }));
  const plan = { ...(await planTool()), name: "plan.cpp", text: planText };
  const { files: made, reports, compiled } = await compileAll([plan, ...units], progress);
  if (device === "cuda")
    writeFileSync(join(partial, RESOURCES), JSON.stringify(resources(reports.slice(1).join("\n")), undefined, 1));
  const [planObject, ...kernels] = made as [string, ...string[]];
  const host =
    device === "cpu"
      ? kernels
      : [await embed(partial, isEmulated(a.plan.target) ? [await shared(partial, kernels)] : kernels)];
  await link(partial, binaryName(a.plan.meta), [planObject, ...host]);
  const plugin = device === "cpu" && a.plan.programs.some((p) => p.ranks > 1) ? mpiPlugin() : undefined;
  if (plugin) copyFileSync(plugin, join(partial, basename(plugin)));
  return { objects: units.length + 1, compiled };
}

/**
 * Links the kernels for the emulator to a shared object, which is their device code. The emulator itself is part of the
 * driver that loads it.
 */
async function shared(dir: string, objects: readonly string[]): Promise<string> {
  const image = join(dir, "kernels.so");
  await run(cxx(), ["-shared", ...merging, ...objects, "-o", image]);
  return image;
}

/** An object file with the images at the symbols that plan.cpp declares. */
async function embed(dir: string, images: readonly string[]): Promise<string> {
  const source = join(dir, "images.s");
  const text = images.map((file, i) =>
    [
      `.balign 64`,
      `.globl moproc_image_${i}`,
      `moproc_image_${i}:`,
      `.incbin ${JSON.stringify(file)}`,
      `.globl moproc_image_${i}_end`,
      `moproc_image_${i}_end:`,
    ].join("\n"),
  );
  writeFileSync(source, [".section .rodata", ...text, '.section .note.GNU-stack,"",@progbits', ""].join("\n"));
  const object = join(dir, "images.o");
  await run(cxx(), ["-c", source, "-o", object]);
  return object;
}

interface Source {
  readonly name: string;
  readonly text: string;
}

const bySymbol = (plan: Plan): readonly Kernel[] => plan.kernels.toSorted((a, b) => (a.symbol < b.symbol ? -1 : 1));

/** A source file with these kernels, which are all of one header. */
function sourceOf(name: string, kernels: readonly Kernel[], { device }: Plan["target"]): Source {
  const { header } = kernels[0] as Kernel;
  const include = device === "cpu" ? `cpu/${header}.hpp` : `cuda/${header}.cuh`;
  return {
    name,
    text: [`#include "${include}"\n\nusing namespace moproc;\n`, ...kernels.map((k) => k.source)].join("\n"),
  };
}

/** The kernels of a plan, each as a source of its own. Several of them can be compiled as one file. */
export const kernelSources = (plan: Plan): readonly Source[] => kernelsByHeader(plan).map((k) => source(k, plan));

const source = (k: Kernel, { target }: Plan): Source => sourceOf(k.symbol, [k], target);

const kernelsByHeader = (plan: Plan): readonly Kernel[] =>
  bySymbol(plan).toSorted((a, b) => (a.header < b.header ? -1 : a.header > b.header ? 1 : 0));

/** The source files of a plan's kernels, for people and for nvcc; each contains kernels of one header. */
export function kernelFiles(plan: Plan): readonly Source[] {
  const byHeader = new Map<string, Kernel[]>();
  for (const k of bySymbol(plan)) byHeader.set(k.header, [...(byHeader.get(k.header) ?? []), k]);
  const extension = plan.target.device === "cpu" ? "cpp" : "cu";
  return [...byHeader].flatMap(([name, kernels]) => {
    const size = kernelsPerFile(name, plan.target);
    const chunks = Array.from({ length: Math.ceil(kernels.length / size) }, (_, i) =>
      kernels.slice(i * size, (i + 1) * size),
    );
    return chunks.map((ks, i) => sourceOf(`${name}_${i}.${extension}`, ks, plan.target));
  });
}

/** Objects may contain the same kernel twice, and kernels that the plan does not have (compileAll). */
const merging = ["-Wl,-z,muldefs,--gc-sections"];

async function link(dir: string, binary: string, objects: readonly string[]): Promise<void> {
  const own = ["-static-libstdc++", "-static-libgcc"];
  await Promise.all([
    run(cxx(), [...merging, ...objects, ...linkArguments(), ...own, "-lm", "-pthread", "-o", join(dir, binary)]),
    run(cxx(), ["-shared", ...merging, ...objects, ...own, "-lm", "-o", join(dir, "program.so")]),
  ]);
}
