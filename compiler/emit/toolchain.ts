// The compilers that an artefact needs, and the flags for kernels and plan.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Target } from "../ir/types.js";
import type { Kernel, Plan } from "../lower/plan.js";
import { cxx } from "../util/host.js";
import { root } from "../util/root.js";
import { run, Stopped, ToolFailure } from "../util/run.js";
import { nvcc, nvccVersion } from "./nvcc.js";
import type { Unit } from "./objects.js";

/** The first line of the C++ compiler's version. Rejects, with what to install, if there is none. */
export async function compilerVersion(): Promise<string> {
  const text = await run(cxx(), ["--version"]).catch((e: Error) => {
    if (e instanceof Stopped) throw e;
    throw new ToolFailure(
      `no C++ compiler: ${e.message}\ninstall g++ 12 or later (Debian, Ubuntu: apt-get install g++) or set CXX`,
    );
  });
  return text.split("\n")[0] as string;
}

const include = ["-I", join(root, "kernels"), "-I", join(root, "runtime")];
const strict = ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"];

type Tool = Omit<Unit, "name" | "text" | "together">;

/** Whether kernels are compiled for the CPU and run in the emulator. */
export const isEmulated = (target: Target): boolean => target.arch.startsWith("emulator");

/** Throws if this is an installed package, which does not have the emulator. */
export function requireEmulator(): void {
  if (!existsSync(join(root, "test", "emulator")))
    throw new Error("--target-arch emulator: needs a clone of the project; an installed package has no emulator");
}

/** How files of kernels are compiled for a plan's target. Rejects if its compiler is missing. */
export async function kernelTool({ target }: Plan): Promise<Tool> {
  const gxx = { command: cxx(), version: await compilerVersion(), include, names: false, result: "o" } as const;
  const flags = ["-std=c++20", "-O3", "-fPIC", ...strict];
  if (target.device === "cpu") {
    const [level, unit] = target.arch.split("+");
    const wide = level === "x86-64-v4" ? ["-mprefer-vector-width=512"] : [];
    const amx = unit === "amx" ? ["-mamx-tile", "-mamx-bf16"] : [];
    const arch = [`-march=${level}`, ...(unit ? ["-mavx512bf16"] : []), ...amx, ...wide];
    return {
      ...gxx,
      // Sections and hidden names: the linker drops the kernels that an artefact does not have.
      flags: [...flags, ...arch, "-ffunction-sections", "-fvisibility=hidden"],
      headers: ["kernels/common", "kernels/cpu"],
      prelude: ["immintrin.h", "algorithm", "cmath", "limits", "type_traits"],
    };
  }
  const headers = ["kernels/common", "kernels/cuda"];
  if (isEmulated(target)) {
    requireEmulator();
    const emulated = ["-Og", "-march=x86-64-v3", "-DMOPROC_EMULATOR", "-fno-gnu-unique", "-Wno-psabi"];
    const core = ["-I", join(root, "test", "emulator")];
    const prelude = ["functional", "memory", "set", "stdexcept", "string", "vector"];
    return {
      ...gxx,
      flags: [...flags, ...emulated],
      include: [...include, ...core],
      headers: [...headers, "test/emulator"],
      prelude,
    };
  }
  return {
    command: [nvcc()],
    version: await nvccVersion(),
    names: false,
    result: "fatbin",
    headers,
    include,
    flags: [
      "-fatbin",
      "-std=c++20",
      "-O3",
      "-fmad=false",
      "-Xptxas",
      "-v",
      "--compress-mode=size",
      ...codeFor(target.arch.split(",")),
    ],
  };
}

/**
 * How a kernel is compiled whose plan has the tool `tool`. In the emulator only kernels with a path for sm_90a get its
 * macro, so that artefacts for both emulated GPUs share all other kernels.
 */
export function toolOf(tool: Tool, { hopper, header }: Kernel, { arch }: Target): Tool {
  const special = arch === "emulator_sm_90a" && (hopper !== undefined || header === "probes");
  return special ? { ...tool, flags: [...tool.flags, "-DMOPROC_EMULATED_SM90"] } : tool;
}

/** How plan.cpp is compiled. Rejects if there is no C++ compiler. */
export async function planTool(): Promise<Tool> {
  return {
    command: cxx(),
    version: await compilerVersion(),
    names: true,
    result: "o",
    flags: ["-std=c++20", "-O1", "-fPIC"],
    include,
    headers: ["runtime/core", "kernels/common"],
  };
}

/**
 * nvcc's flags for machine code of each arch, and for PTX that later GPUs can compile. The PTX is of the newest arch
 * without a suffix (at least sm_80), because code for sm_90a runs on no other GPU.
 */
export function codeFor(archs: readonly string[]): string[] {
  const number = (a: string): number => Number(/^sm_(\d+)/.exec(a)?.[1]);
  const portable = Math.max(80, ...archs.filter((a) => /^sm_\d+$/.test(a)).map(number));
  const machine = archs.flatMap((a) => ["-gencode", `arch=${a.replace("sm_", "compute_")},code=${a}`]);
  return [...machine, "-gencode", `arch=compute_${portable},code=compute_${portable}`];
}
