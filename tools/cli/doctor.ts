// moproc doctor: prints what this machine has for compiling and training, what is missing, and the consequences.

import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { availableParallelism, freemem, totalmem } from "node:os";
import { join } from "node:path";
import { existingNative } from "../../compiler/emit/native.js";
import { nvcc } from "../../compiler/emit/nvcc.js";
import { cacheDir } from "../../compiler/util/cache.js";
import { cxx, missingPackages } from "../../compiler/util/host.js";
import type { Command } from "../../compiler/util/run.js";
import { amxAllowed, cpuArch, cpuFeatures, cpuModel } from "./cpu.js";
import { cpuRates, faster } from "./precision.js";
import { sections, type Verb } from "./record.js";
import { gigabytes } from "./units.js";

interface Finding {
  readonly what: string;
  readonly state: "ok" | "missing" | "absent"; // absent: not there, but optional
  readonly found: string;
  readonly means?: string;
}

export const doctor: Verb = {
  name: "doctor",
  usage: "[flags]",
  purpose: "Shows what this machine has for compiling and training, what is missing and what that means.",
  more: "The exit code is 1 if something that is needed is missing.",
  flags: [{ names: ["--json"], section: sections.output, help: "Prints the list as JSON." }],
  examples: ["moproc doctor"],
  run({ options }) {
    const all = findings();
    if (options.json) process.stdout.write(`${JSON.stringify(all, undefined, 1)}\n`);
    else for (const f of all) process.stdout.write(line(f));
    if (all.some((f) => f.state === "missing")) process.exitCode = 1;
  },
};

const line = (f: Finding): string =>
  `${f.state.padEnd(8)}${f.what.padEnd(18)}${f.found}${f.means ? `\n${" ".repeat(26)}${f.means}` : ""}\n`;

/** The line with the version in the output of `command --version`; undefined if the command cannot run. */
function version([command, ...first]: Command): string | undefined {
  const r = spawnSync(command, [...first, "--version"], { encoding: "utf8" });
  return r.status === 0 ? versionLine(`${r.stdout}${r.stderr}`) : undefined;
}

/** The first line with a number such as 12.2 (for nvcc it is the fourth); otherwise the first line. */
export function versionLine(output: string): string {
  const lines = output.split("\n").map((l) => l.trim());
  return lines.find((l) => /\d+\.\d+/.test(l)) ?? lines.find((l) => l !== "") ?? "";
}

function tool(what: string, command: Command, needed: boolean, means: string): Finding {
  const found = version(command);
  if (found !== undefined) return { what, state: "ok", found };
  return { what, state: needed ? "missing" : "absent", found: `${command.join(" ")} does not run`, means };
}

const includes = (name: string): boolean => {
  const [compiler, ...first] = cxx();
  return spawnSync(compiler, [...first, "-E", "-x", "c++", "-include", name, "/dev/null"]).status === 0;
};

const header = (what: string, name: string, means: string): Finding =>
  includes(name) ? { what, state: "ok", found: `<${name}>` } : { what, state: "missing", found: `no <${name}>`, means };

/** A library that a format of images is read with; the native part can be built without it. */
function imageLibrary(what: string, name: string, format: string, debian: string): Finding {
  if (!includes(name)) {
    const means = `${format} files are not read: install ${debian} before the native part is built`;
    return { what, state: "absent", found: `no <${name}>`, means };
  }
  const built = spawnSync(program("moproc-data"), ["formats"], { encoding: "utf8" });
  if (built.status !== 0 || built.stdout.split("\n").includes(format)) return { what, state: "ok", found: `<${name}>` };
  const again = `npm run build in a clone; otherwise remove ${existingNative()}, and the next command builds it`;
  const means = `${format} files are not read, because the native part was built without it: ${again}`;
  return { what, state: "absent", found: `<${name}>`, means };
}

function findings(): Finding[] {
  return [
    {
      what: "node",
      state: Number(process.versions.node.split(".")[0]) >= 20 ? "ok" : "missing",
      found: process.version,
    },
    tool("C++ compiler", cxx(), true, "kernels cannot be compiled: install g++ 12 or later, or set CXX"),
    tool("cmake", ["cmake"], true, "the runtime cannot be built: install cmake"),
    header("libjpeg-turbo", "jpeglib.h", "the loader cannot be built: install libjpeg-dev and libturbojpeg0-dev"),
    header("libpng", "png.h", "the loader cannot be built: install libpng-dev"),
    imageLibrary("libwebp", "webp/demux.h", "WebP", "libwebp-dev"),
    imageLibrary("giflib", "gif_lib.h", "GIF", "libgif-dev"),
    cpu(),
    {
      what: "cores, memory",
      state: "ok",
      found: `${availableParallelism()} cores, ${gigabytes(freemem())} of ${gigabytes(totalmem())} free`,
    },
    nativePart(),
    cache(),
    gpu(),
    tool("nvcc", [nvcc()], false, "CUDA kernels cannot be compiled on this machine"),
    launch(),
    nccl(),
    mpi(),
  ];
}

/** The two rates in words; nothing if the runtime is not built. */
function rates(): string {
  try {
    const r = cpuRates(program("moproc-cpu"));
    const advice = faster(r) === "bf16" ? ", so --precision bf16 trains faster" : "";
    return `; a core computes ${Math.round(r.f32)} GFLOP/s in f32, ${Math.round(r.bf16)} in bf16${advice}`;
  } catch {
    return "";
  }
}

/** Whether AMX may be used; if the runtime is not built, that is not known yet. */
function amx(): boolean {
  try {
    return amxAllowed(program("moproc-cpu"));
  } catch {
    return true;
  }
}

function cpu(): Finding {
  try {
    const has = cpuFeatures();
    const arch = cpuArch("native", "bf16", has, amx);
    const refused = has.has("amx_bf16") && !arch.endsWith("+amx") ? ", AMX not allowed by Linux (5.16 does)" : "";
    return { what: "CPU", state: "ok", found: `${cpuModel()}: kernels for ${arch}${refused}${rates()}` };
  } catch (e) {
    const features = [...cpuFeatures()].filter((f) => /^(avx|fma)/.test(f)).join(" ");
    return {
      what: "CPU",
      state: "missing",
      found: `${cpuModel()} (${features || "no AVX"})`,
      means: (e as Error).message,
    };
  }
}

/** The GPUs, which the runtime's own tool gets from the driver. */
function gpu(): Finding {
  const r = spawnSync(program("moproc-gpu"), { encoding: "utf8" });
  if (r.status === 0) return { what: "GPU", state: "ok", found: r.stdout.trim() };
  return {
    what: "GPU",
    state: "absent",
    found: r.stderr?.trim() || "not known: the runtime is not built",
    means: "training runs on the CPU",
  };
}

/** The ranks that a launcher's environment states, as the training binary reads it. */
function launch(): Finding {
  const r = spawnSync(program("moproc-train-help"), ["launch"], { encoding: "utf8" });
  if (r.error) return { what: "launcher", state: "absent", found: "not known: the runtime is not built" };
  const [found = "", ...lines] = r.stdout.trim().split("\n");
  const means = lines.join(`\n${" ".repeat(26)}`);
  return { what: "launcher", state: r.status === 0 ? "ok" : "missing", found, ...(means && { means }) };
}

/** The native part. An installed package builds it when it is first needed, so it may be missing. */
function nativePart(): Finding {
  const what = "native part";
  try {
    const folder = existingNative();
    if (folder) return { what, state: "ok", found: folder };
    const missing = missingPackages();
    if (missing.length === 0)
      return { what, state: "absent", found: "not built", means: "it is built when first needed" };
    const means = `it cannot be built: apt-get install -y ${missing.join(" ")}`;
    return { what, state: "missing", found: "not built", means };
  } catch (e) {
    return { what, state: "missing", found: "not built", means: (e as Error).message };
  }
}

function mpi(): Finding {
  const what = "MPI plug-in";
  const found = program("moproc_mpi.so");
  if (existsSync(found)) return { what, state: "ok", found: "built" };
  const means =
    "CPU ranks run on one machine only; for several, install libopenmpi-dev before the native part is built";
  return { what, state: "absent", found: "not built", means };
}

/** The path of a program if the native part is built. doctor builds nothing. */
function program(name: string): string {
  try {
    return join(existingNative() ?? "/not built", name);
  } catch {
    return join("/not built", name); // the cache cannot be used; the line about the cache says why
  }
}

/** The library that a training binary would load, unless there is one in lib/ beside it. */
function nccl(): Finding {
  const r = spawnSync(program("moproc-gpu"), ["nccl"], { encoding: "utf8" });
  if (r.status === 0) return { what: "NCCL", state: "ok", found: r.stdout.trim() };
  return {
    what: "NCCL",
    state: "absent",
    found: r.stderr?.trim() || "not known: the runtime is not built",
    means: "a step runs on one GPU",
  };
}

function cache(): Finding {
  try {
    const dir = cacheDir();
    accessSync(dir, constants.W_OK);
    return { what: "cache", state: "ok", found: dir };
  } catch (e) {
    return {
      what: "cache",
      state: "missing",
      found: (e as Error).message,
      means: "set MOPROC_CACHE to a directory that can be written",
    };
  }
}
