// What the runtime executes, as data. compiler/emit writes it twice: plan.json for people, tools and tests, plan.cpp
// for the runtime. References between tables are indices.

import { byteSize, type Init, type Role, type Target, type TensorType } from "../ir/types.js";
import { alignUp } from "../util/math.js";
import type { TensorMap } from "./template.js";

/** One instantiation of one template. Equal kernels share a symbol and are emitted once. */
export interface Kernel {
  readonly symbol: string; // conv_fprop_affine_relu_3f2a9c: template, body, digest of the source
  readonly template: string; // the C++ function; a column of the profile
  readonly header: string; // kernels/<device>/HEADER.hpp defines it
  readonly source: string; // the emitted struct and entry, without includes
  readonly threads: number; // per block; 0 on the CPU
  readonly sharedBytes: number; // dynamic shared memory per block
  readonly hopper?: BlockSize; // on sm_90a, if the kernel has a separate path for it
}
export type BlockSize = Pick<Kernel, "threads" | "sharedBytes">;

/**
 * state: parameters, momenta, buffers, derived copies; grad: gradients in the order of the parameters;
 * io: inputs and outputs of programs; work: all values that are needed only during one run of a program.
 */
export type Arena = "state" | "grad" | "work" | "io";

export interface Tensor {
  readonly name: string; // the IR value's name, prefixed by its program unless it is state
  readonly type: TensorType;
  readonly arena: Arena;
  readonly offset: number; // bytes, a multiple of ALIGN
}

export interface Launch {
  readonly do: "launch";
  readonly kernel: number;
  readonly name: string; // scope of the anchor; a line of the profile
  readonly args: readonly number[]; // tensors, in the order of the kernel's parameters
  readonly rows: number;
  readonly groups: number;
  readonly extent: readonly number[]; // at most 4
  readonly tasks: readonly number[]; // number of tasks of each phase
  readonly workspace: number; // offset in the work arena, bytes
  readonly workspaceBytes: number;
  readonly scalars: readonly number[]; // f32 numbers of the body
  readonly flops: number;
  readonly bytes: number; // moved: every operand and result once, the workspace twice
  readonly maps: readonly BoundMap[]; // for the kernel's path for sm_90a
}

/** A tensor map of argument `arg`. */
export type BoundMap = Omit<TensorMap, "operand"> & { readonly arg: number };

export interface Copy {
  readonly do: "copy";
  readonly from: number;
  readonly to: number;
}

/**
 * Begins a collective (ops/collective.ts), which all ranks begin in the same order. The next steps may run before it
 * ends.
 */
export interface Collective {
  readonly do: CollectiveName;
  readonly from: number;
  readonly to: number; // may be `from`
  readonly name: string;
}
export type CollectiveName = "all_reduce" | "all_gather" | "own_rows";

/** Waits until all collectives begun before have ended. */
export interface Await {
  readonly do: "await";
}

export type Step = Launch | Copy | Collective | Await;

/** One entry point. All programs of a plan share the state. */
export interface Program {
  readonly name: string;
  readonly ranks: number; // number of ranks that share the batch; 0: any number
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly steps: readonly Step[];
  readonly liveBytesMax: number; // the most work bytes needed at one step: no layout can be smaller
  readonly workBytes: number; // size of the layout
}

/** The program's name, with the number of ranks if there are several: "train@4". */
export const programName = ({ name, ranks = 1 }: { readonly name: string; readonly ranks?: number }): string =>
  ranks > 1 ? `${name}@${ranks}` : name;

export interface StateEntry {
  readonly firstRank: boolean; // with several ranks, only rank 0 has the right value after a step
  readonly tensor: number;
  readonly role: Role;
  readonly init: Init;
}

export interface Plan {
  readonly version: 2;
  readonly name: string;
  readonly target: Target;
  readonly meta: Readonly<Record<string, string | number>>; // arch, num_class, batch, groups, image_size, ...
  readonly arenas: Readonly<Record<Arena, number>>;
  readonly scratchBytes: number; // per thread
  readonly tensors: readonly Tensor[];
  readonly state: readonly StateEntry[]; // in the order of the checkpoint
  readonly kernels: readonly Kernel[];
  readonly programs: readonly Program[]; // "refresh" (rebuilds derived state) is always one of them
  readonly drivers?: readonly CodeDriver[]; // of an artefact for GPUs, by its nvcc (emit/nvcc.ts)
}

/** The driver that code compiled by `nvcc` needs: its CUDA version (12040 is 12.4) and the first release with it. */
export interface CodeDriver {
  readonly nvcc: string; // "13.0"
  readonly cuda: number;
  readonly release: string; // "580.65.06" on Linux; "" if emit/nvcc.ts does not have it
}

/** Alignment of every tensor in its arena, in bytes. */
export const ALIGN = 64;

/**
 * The bytes of a tensor in the state or gradient arena, with the gap after it. f32 and bf16 tensors are padded to a
 * multiple of 32 elements, so that f32 tensors and their bf16 copies have the same offsets in elements.
 */
export const roomOf = ({ dtype, shape }: TensorType): number => {
  const bytes = byteSize({ dtype, shape });
  return dtype === "f32" || dtype === "bf16"
    ? alignUp(bytes, (ALIGN / 2) * byteSize({ dtype, shape: [] }))
    : alignUp(bytes, ALIGN);
};
