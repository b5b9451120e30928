// What a multiprocessor and a block of each GPU architecture can have ("Technical Specifications per Compute
// Capability", CUDA C++ Programming Guide), and how many blocks of a kernel therefore run on a multiprocessor.

import type { Target } from "../../../ir/types.js";

const KIB = 1024;
const RESERVED = KIB; // of shared memory, by the system for every block

export interface Limits {
  readonly shared: number; // bytes of shared memory per multiprocessor
  readonly sharedOfBlock: number;
  readonly threads: number; // per multiprocessor
  readonly blocks: number; // per multiprocessor
}
const limits = (shared: number, threads: number, blocks: number): Limits => ({
  shared: shared * KIB,
  sharedOfBlock: shared * KIB - RESERVED,
  threads,
  blocks,
});

const OF_ARCH: Readonly<Record<string, Limits>> = {
  80: limits(164, 2048, 32),
  86: limits(100, 1536, 16),
  87: limits(164, 1536, 16),
  89: limits(100, 1536, 24),
  90: limits(228, 2048, 32),
  100: limits(228, 2048, 32),
  103: limits(228, 2048, 32),
  110: limits(228, 1536, 24),
  120: limits(100, 1536, 24),
  121: limits(100, 1536, 24),
};
const SMALLEST = limits(100, 1536, 16); // for an architecture that is not in the table

/** The limits of "sm_86", "sm_90a" or an emulated GPU, which is like sm_80 unless its name says otherwise. */
export function limitsOf(arch: string): Limits {
  const number = arch === "emulator" ? "80" : /sm_(\d+)/.exec(arch)?.[1];
  return OF_ARCH[number ?? ""] ?? SMALLEST;
}

/** The limits that all GPUs of the list keep. */
const common = (archs: readonly string[]): Limits => {
  const all = archs.map(limitsOf);
  const least = (of: (l: Limits) => number): number => Math.min(...all.map(of));
  return {
    shared: least((l) => l.shared),
    sharedOfBlock: least((l) => l.sharedOfBlock),
    threads: least((l) => l.threads),
    blocks: least((l) => l.blocks),
  };
};

/**
 * The limits of the target's GPUs. `hopper`: of those that run the code of other GPUs, because sm_90a has its own;
 * without others, of sm_80, for which the binary has PTX.
 */
export function limitsFor(target: Target, hopper: boolean): Limits {
  const archs = target.arch.split(",").filter((a) => !hopper || !a.endsWith("sm_90a"));
  return common(archs.length > 0 ? archs : ["sm_80"]);
}

/**
 * The number of blocks of `threads` threads and `shared` bytes of shared memory that fit on a multiprocessor; 0 if a
 * block cannot have so much. Registers are not counted: nvcc gives a kernel as many as its launch bounds allow.
 */
export function residentBlocks(l: Limits, threads: number, shared: number): number {
  if (shared > l.sharedOfBlock) return 0;
  return Math.min(l.blocks, Math.floor(l.threads / threads), Math.floor(l.shared / (shared + RESERVED)));
}

/** The shared memory, in bytes, that each of `blocks` blocks on a multiprocessor can have. */
export const sharedFor = (l: Limits, blocks: number): number => Math.floor(l.shared / blocks) - RESERVED;
