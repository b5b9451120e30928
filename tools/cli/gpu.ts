// Whether this machine has the GPU that a command asks for.

import { spawnSync } from "node:child_process";
import { nativeFile } from "../../compiler/emit/native.js";
import type { Options } from "./record.js";

/** Throws, with the remedy, if the kernels are for a GPU and this machine has none, or not the one of --gpu. */
export function requireGpu(options: Options): void {
  const emulated = String(options.targetArch ?? "").startsWith("emulator");
  if (options.target !== "cuda" || emulated) return;
  const r = spawnSync(nativeFile("moproc-gpu"), ["count"], { encoding: "utf8" });
  if (r.error) throw r.error;
  const count = r.status === 0 ? Number(r.stdout.trim()) : 0;
  const reason = r.status === 0 ? "" : r.stderr.trim().replace(/^moproc-gpu: /, "");
  if (count === 0)
    throw new Error(
      `--target cuda: there is no GPU here that can be used${reason ? ` (${reason})` : ""}; ` +
        "`moproc compile --target cuda` builds an artefact for another machine, --target cpu computes here",
    );
  if (options.gpu !== undefined && Number(options.gpu) >= count)
    throw new Error(`--gpu ${options.gpu}: this machine has ${count}, numbered from 0`);
}
