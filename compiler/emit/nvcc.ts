// nvcc: which one is used, and which driver its code needs. The machine code of a toolkit runs with every driver of the
// same CUDA major version ("minor version compatibility", NVIDIA's CUDA Compatibility guide). A driver of an older
// major version cannot read it: nvcc 13 writes cubins of another ELF version than nvcc 12.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { CodeDriver } from "../lower/plan.js";
import { run, Stopped, ToolFailure } from "../util/run.js";

export const OLDEST_NVCC = "12.8"; // the first that takes --compress-mode and knows sm_120

/**
 * The first driver of a CUDA major version (release notes of the CUDA toolkit, table 3), except that drivers older than
 * that of CUDA 12.4 cannot unpack images of --compress-mode=size.
 */
const FIRST_DRIVERS: Readonly<Record<number, Omit<CodeDriver, "nvcc">>> = {
  12: { cuda: 12040, release: "550.54.14" },
  13: { cuda: 13000, release: "580.65.06" },
};

const numbers = (version: string): readonly [number, number] => {
  const [major, minor] = version.split(".").map(Number) as [number, number];
  return [major, minor];
};

/**
 * The drivers that an artefact names: first the one that code of nvcc `version` ("13.0") needs, then those of older
 * nvccs that could compile it for an older driver. Throws if the nvcc is too old.
 */
export function codeDrivers(version: string): readonly CodeDriver[] {
  const [major, minor] = numbers(version);
  const [oldest, least] = numbers(OLDEST_NVCC);
  if (major < oldest || (major === oldest && minor < least))
    throw new ToolFailure(`nvcc ${version} is too old: install the CUDA toolkit ${OLDEST_NVCC} or later`);
  const own = FIRST_DRIVERS[major] ?? { cuda: 1000 * major, release: "" };
  const older = Object.entries(FIRST_DRIVERS)
    .filter(([m]) => Number(m) < major)
    .map(([m, driver]) => ({ nvcc: Number(m) === oldest ? OLDEST_NVCC : `${m}.0`, ...driver }));
  return [{ nvcc: version, ...own }, ...older.toReversed()];
}

/** The command of nvcc: $NVCC, or the one in $CUDA_HOME, or the one on the PATH. */
export function nvcc(): string {
  if (process.env.NVCC) return process.env.NVCC;
  const home = process.env.CUDA_HOME;
  const own = home ? join(home, "bin", "nvcc") : "";
  return own && existsSync(own) ? own : "nvcc";
}

/** What nvcc says of its version. Rejects, with what to install, if there is none. */
async function versionText(): Promise<string> {
  return await run([nvcc()], ["--version"]).catch((e: Error) => {
    if (e instanceof Stopped) throw e;
    throw new ToolFailure(
      `no nvcc: ${e.message}\ninstall the CUDA toolkit ${OLDEST_NVCC} or later, or its compiler alone ` +
        "(pip install nvidia-cuda-nvcc nvidia-cuda-runtime nvidia-cuda-cccl), and set CUDA_HOME or NVCC; " +
        "--target-arch emulator needs no nvcc and runs the same kernels on the CPU",
    );
  });
}

/** The last line of nvcc's version, which names its build. Rejects, with what to install, if there is none. */
export async function nvccVersion(): Promise<string> {
  return (await versionText()).trim().split("\n").at(-1) as string;
}

/** The drivers for the code of the nvcc that nvcc() names. Rejects if there is none, or if it is too old or unknown. */
export async function nvccDrivers(): Promise<readonly CodeDriver[]> {
  const text = await versionText();
  const release = /release (\d+\.\d+)/.exec(text)?.[1];
  if (!release) throw new ToolFailure(`${nvcc()} --version names no release: ${text.trim()}`);
  return codeDrivers(release);
}
