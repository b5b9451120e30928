// moproc doctor: prints what this machine has for compiling and training, what is missing, and the consequences.

import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { availableParallelism, freemem, totalmem } from "node:os";
import { join } from "node:path";
import { cacheDir } from "../../compiler/emit/objects.js";
import { mpiPlugin } from "../../compiler/emit/project.js";
import { cxx } from "../../compiler/emit/toolchain.js";
import { root } from "../../compiler/util/root.js";
import { cpuArch, cpuFeatures, cpuModel } from "./cpu.js";
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
  more: "The exit code is 1 when something that is needed is missing.",
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

/** The line with the version in the output of `command args`; undefined if the command cannot run. */
function version(command: string, ...args: string[]): string | undefined {
  const r = spawnSync(command, args.length > 0 ? args : ["--version"], { encoding: "utf8" });
  return r.status === 0 ? versionLine(`${r.stdout}${r.stderr}`) : undefined;
}

/** The first line with a number such as 12.2 (for nvcc it is the fourth), or else the first line. */
export function versionLine(output: string): string {
  const lines = output.split("\n").map((l) => l.trim());
  return lines.find((l) => /\d+\.\d+/.test(l)) ?? lines.find((l) => l !== "") ?? "";
}

function tool(what: string, command: string, needed: boolean, means: string, ...args: string[]): Finding {
  const found = version(command, ...args);
  if (found !== undefined) return { what, state: "ok", found };
  return { what, state: needed ? "missing" : "absent", found: `${command} does not run`, means };
}

function header(what: string, name: string, means: string): Finding {
  const r = spawnSync(cxx(), ["-E", "-x", "c++", "-include", name, "/dev/null"], { stdio: "ignore" });
  return r.status === 0
    ? { what, state: "ok", found: `<${name}>` }
    : { what, state: "missing", found: `no <${name}>`, means };
}

function findings(): Finding[] {
  return [
    {
      what: "node",
      state: Number(process.versions.node.split(".")[0]) >= 20 ? "ok" : "missing",
      found: process.version,
    },
    tool("C++ compiler", cxx(), true, "kernels cannot be compiled: install g++ 12 or later, or set CXX"),
    tool("cmake", "cmake", true, "the runtime cannot be built: install cmake"),
    header("libjpeg-turbo", "jpeglib.h", "the loader cannot be built: install libjpeg-dev and libturbojpeg0-dev"),
    header("libpng", "png.h", "the loader cannot be built: install libpng-dev"),
    cpu(),
    {
      what: "cores, memory",
      state: "ok",
      found: `${availableParallelism()} cores, ${gigabytes(freemem())} of ${gigabytes(totalmem())} free`,
    },
    built("runtime", join(root, "build", "native", "link.txt")),
    built("addon", join(root, "runtime", "node-cuda-rt", "build", "Release", "node_cuda_rt.node")),
    cache(),
    gpu(),
    tool("nvcc", "nvcc", false, "CUDA kernels cannot be compiled on this machine"),
    launch(),
    nccl(),
    built("MPI plug-in", mpiPlugin, "CPU ranks run on one machine only: install libopenmpi-dev and run npm run build"),
  ];
}

function cpu(): Finding {
  try {
    return { what: "CPU", state: "ok", found: `${cpuModel()}: kernels for ${cpuArch("native")}` };
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
  const r = spawnSync(join(root, "build", "native", "moproc-gpu"), { encoding: "utf8" });
  if (r.status === 0) return { what: "GPU", state: "ok", found: r.stdout.trim() };
  return {
    what: "GPU",
    state: "absent",
    found: r.stderr?.trim() || "not asked: the runtime is not built",
    means: "training runs on the CPU",
  };
}

/** The ranks that a launcher's environment states, as the training binary reads it. */
function launch(): Finding {
  const r = spawnSync(join(root, "build", "native", "moproc-train-help"), ["launch"], { encoding: "utf8" });
  if (r.error) return { what: "launcher", state: "absent", found: "not asked: the runtime is not built" };
  const [found = "", ...lines] = r.stdout.trim().split("\n");
  const means = lines.join(`\n${" ".repeat(26)}`);
  return { what: "launcher", state: r.status === 0 ? "ok" : "missing", found, ...(means && { means }) };
}

/** `optional`: the consequence of a missing part that not everybody needs. */
const built = (what: string, file: string, optional?: string): Finding =>
  existsSync(file)
    ? { what, state: "ok", found: "built" }
    : { what, state: optional ? "absent" : "missing", found: "not built", means: optional ?? "run npm run build" };

/** The library that a training binary would load, unless there is one in lib/ beside it. */
function nccl(): Finding {
  const r = spawnSync(join(root, "build", "native", "moproc-gpu"), ["nccl"], { encoding: "utf8" });
  if (r.status === 0) return { what: "NCCL", state: "ok", found: r.stdout.trim() };
  return {
    what: "NCCL",
    state: "absent",
    found: r.stderr?.trim() || "not asked: the runtime is not built",
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
