// What the runtime executes, as data. Written twice by emit/: plan.json for people, tools and tests, plan.cpp for the
// machine. Everything refers to everything else by index.

import { byteSize, type Init, type Role, type Target, type TensorType } from "../ir/types.js";
import { alignUp } from "../util/math.js";
import type { TensorMap } from "./template.js";

/** One instantiation of one template. Equal kernels share a symbol and are emitted once. */
export interface Kernel {
  readonly symbol: string; // conv_fprop_affine_relu_3f2a9c: template, body, digest of the source
  readonly template: string; // C++ function, a column of the profile
  readonly header: string; // kernels/<device>/HEADER.hpp defines it
  readonly source: string; // the emitted struct and entry, without includes
  readonly threads: number; // of a block; 0 on the CPU
  readonly sharedBytes: number; // of a block's dynamic shared memory
  readonly hopper?: BlockSize; // on sm_90a, where the kernel has a path of its own there
}
export type BlockSize = Pick<Kernel, "threads" | "sharedBytes">;

/**
 * state: parameters, momenta, buffers, derived copies; grad: gradients in the order of the parameters;
 * io: inputs and outputs of programs; work: everything that lives within one run.
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
  readonly name: string; // scope of the anchor: a line of the profile
  readonly args: readonly number[]; // tensors, in the order of the kernel's parameters
  readonly rows: number;
  readonly groups: number;
  readonly extent: readonly number[]; // at most 4
  readonly tasks: readonly number[]; // a phase each
  readonly workspace: number; // offset in the work arena
  readonly workspaceBytes: number;
  readonly scalars: readonly number[]; // f32 numbers of the body
  readonly flops: number;
  readonly bytes: number; // every operand and result once, partials in the workspace twice
  readonly maps: readonly BoundMap[]; // of the kernel's path for sm_90a
}

/** A tensor map of argument `arg`. */
export type BoundMap = Omit<TensorMap, "operand"> & { readonly arg: number };

export interface Copy {
  readonly do: "copy";
  readonly from: number;
  readonly to: number;
}

/**
 * What all ranks do together, in the same order (ops/collective.ts): it is begun, and steps may follow before it has
 * ended.
 */
export interface Collective {
  readonly do: CollectiveName;
  readonly from: number;
  readonly to: number; // may be `from`
  readonly name: string;
}
export type CollectiveName = "all_reduce" | "all_gather" | "own_rows";

/** All collectives that were begun end before the next step. */
export interface Await {
  readonly do: "await";
}

export type Step = Launch | Copy | Collective | Await;

/** One entry point. All programs of a plan share the state. */
export interface Program {
  readonly name: string;
  readonly ranks: number; // that share the batch; 0: for any number
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly steps: readonly Step[];
  readonly liveBytesMax: number; // the largest sum of live work bytes: no layout can be smaller
  readonly workBytes: number; // what the layout needs
}

/** The name that tells apart the programs of different numbers of ranks. */
export const programName = ({ name, ranks = 1 }: { readonly name: string; readonly ranks?: number }): string =>
  ranks > 1 ? `${name}@${ranks}` : name;

export interface StateEntry {
  readonly firstRank: boolean; // of several ranks, after a step only rank 0 has it
  readonly tensor: number;
  readonly role: Role;
  readonly init: Init;
}

export interface Plan {
  readonly version: 1;
  readonly name: string;
  readonly target: Target;
  readonly meta: Readonly<Record<string, string | number>>; // arch, num_class, batch, groups, image_size, ...
  readonly arenas: Readonly<Record<Arena, number>>;
  readonly scratchBytes: number; // of each thread
  readonly tensors: readonly Tensor[];
  readonly state: readonly StateEntry[]; // in the order of the checkpoint
  readonly kernels: readonly Kernel[];
  readonly programs: readonly Program[]; // "refresh" (rebuilds derived state) is always one of them
}

/** Alignment of every tensor in its arena, in bytes. */
export const ALIGN = 64;

/**
 * Bytes that a tensor of states or gradients takes with the gap after it: floats in steps of 32 elements, so that f32
 * tensors and their bf16 copies lie in parallel.
 */
export const roomOf = ({ dtype, shape }: TensorType): number => {
  const bytes = byteSize({ dtype, shape });
  return dtype === "f32" || dtype === "bf16"
    ? alignUp(bytes, (ALIGN / 2) * byteSize({ dtype, shape: [] }))
    : alignUp(bytes, ALIGN);
};
