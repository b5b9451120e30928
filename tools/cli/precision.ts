// --precision on the CPU: how fast this CPU is in f32 and in bf16, what `auto` chooses, and what is said about it.

import { spawnSync } from "node:child_process";
import { nativeFile } from "../../compiler/emit/native.js";
import type { Precision } from "../../compiler/ir/types.js";
import { cpuFeatures } from "./cpu.js";
import { isFirstRank } from "./ranks.js";

/** GFLOP/s of one core in convolutions. */
export interface Rates {
  readonly f32: number;
  readonly bf16: number;
}

let measured: Rates | undefined;

/** The rates of this machine, which `program`, moproc-cpu, measures once in 20 ms. Throws if that is not possible. */
export function cpuRates(program?: string): Rates {
  if (measured) return measured;
  const r = spawnSync(program ?? nativeFile("moproc-cpu"), { encoding: "utf8" });
  if (r.status !== 0)
    throw new Error(`the speed of this CPU cannot be measured: ${r.error?.message ?? r.stderr.trim()}`);
  measured = JSON.parse(r.stdout) as Rates;
  return measured;
}

const WORTH = 1.2; // a smaller gain is not worth the rounding

/** What `--precision auto` is on a CPU with these rates. */
export const faster = ({ f32, bf16 }: Rates): "f32" | "bf16" => (bf16 >= WORTH * f32 ? "bf16" : "f32");

const inWords = ({ f32, bf16 }: Rates): string =>
  `a core of this CPU computes ${Math.round(bf16)} GFLOP/s in bf16, ${Math.round(f32)} in f32`;

/**
 * What is to be said about the precision that was asked for (undefined: none). `rates` measures; it is not called on a
 * CPU without AVX512-BF16 unless bf16 or auto was asked for, and may fail if neither was.
 */
export function precisionNote(
  asked: Precision | "auto" | undefined,
  features: ReadonlySet<string> = cpuFeatures(),
  rates: () => Rates = cpuRates,
): string | undefined {
  if (asked === "auto") return `--precision auto: ${faster(rates())}; ${inWords(rates())}`;
  if (asked === "bf16") {
    const r = rates();
    const times = (r.f32 / r.bf16).toFixed(1);
    return r.bf16 < r.f32 ? `--precision bf16: ${inWords(r)}, so training is about ${times} times slower` : undefined;
  }
  if (asked === "f32" || !features.has("avx512_bf16")) return undefined;
  try {
    return faster(rates()) === "f32"
      ? undefined
      : `${inWords(rates())}: --precision bf16 trains faster, and with less memory`;
  } catch {
    return undefined; // nobody asked, so this is no reason not to train
  }
}

/** Says it once, on rank 0. */
export function notePrecision(asked: Precision | "auto" | undefined): void {
  const note = isFirstRank() ? precisionNote(asked) : undefined;
  if (note !== undefined) process.stderr.write(`note: ${note}\n`);
}
