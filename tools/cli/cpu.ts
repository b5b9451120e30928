// The x86-64 level of this machine. There are kernels for v3 (AVX2, FMA), v4 (AVX-512), and v4 with AVX512-BF16 or AMX.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { nativeFile } from "../../compiler/emit/native.js";
import type { Precision } from "../../compiler/ir/types.js";

/** What x86-64-v4 needs besides v3. */
export const v4 = ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"];
const v3 = ["avx2", "fma", "bmi1", "bmi2", "f16c", "movbe"];

/** The feature flags of the first core, with the names of /proc/cpuinfo. */
export function cpuFeatures(): ReadonlySet<string> {
  const info = readFileSync("/proc/cpuinfo", "utf8");
  return new Set(/^flags\s*:\s*(.*)$/m.exec(info)?.[1]?.split(" ") ?? []);
}

/** The model name of the first core. */
export const cpuModel = (): string =>
  /^model name\s*:\s*(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "unknown CPU";

const levels = ["x86-64-v3", "x86-64-v4", "x86-64-v4+bf16", "x86-64-v4+amx"] as const;
type Level = (typeof levels)[number];

/**
 * Whether Linux lets a process use AMX, which `program`, moproc-cpu, asks: before Linux 5.16 a CPU may have it, and
 * programs may not use it.
 */
export const amxAllowed = (program = nativeFile("moproc-cpu")): boolean => spawnSync(program, ["--amx"]).status === 0;

/**
 * The level called `name`; for "native" the highest that a CPU with the features `has` (this machine's) has and that
 * `precision` uses, AMX only if it is `allowed`. Throws for an unknown name, and for "native" on a CPU without AVX2 and
 * FMA.
 */
export function cpuArch(name: string, precision: Precision = "f32", has = cpuFeatures(), allowed = amxAllowed): Level {
  const known = levels.find((l) => l === name);
  if (known) return known;
  if (name !== "native") throw new Error(`--target-arch ${name}: known are ${levels.join(", ")} and native`);
  if (v4.every((f) => has.has(f))) {
    if (precision !== "bf16" || !has.has("avx512_bf16")) return "x86-64-v4";
    return has.has("amx_bf16") && has.has("amx_tile") && allowed() ? "x86-64-v4+amx" : "x86-64-v4+bf16";
  }
  if (v3.every((f) => has.has(f))) return "x86-64-v3";
  throw new Error("this CPU has no AVX2 and FMA: the CPU kernels need x86-64-v3 or better");
}
