// What a kernel template of kernels/<device>/ offers to fusion and needs from a launch.

import type { Attrs, DType, Node, Target, TensorType } from "../ir/types.js";

/** Sizes that a kernel learns only at launch. */
export interface Extents {
  readonly rows: number; // leading extent of the iteration domain
  readonly groups: number;
}

export interface LaunchShape {
  readonly tasks: readonly number[]; // number of tasks, per phase
  readonly workspaceBytes: number; // shared by the launch
  readonly scratchBytes: number; // of each thread
  readonly extent?: readonly number[]; // Params::extent, where the template reads it
  readonly maps?: readonly TensorMap[]; // Params::map
}

/** How the tensor memory accelerator of sm_90a sees a stored bf16 operand: boxes of it, or pixels that a tap meets. */
export interface TensorMap {
  readonly operand: string;
  readonly extents: readonly number[]; // innermost first, dense
  readonly box: readonly number[]; // extents of what one copy brings; for a window: channels and pixels
  readonly window?: Window; // extents are then channels, width, height, images
}

/**
 * Base pixels of a convolution's windows, along width and height: from `lower` to extent - 1 + `upper`, in steps of
 * `step`.
 */
export interface Window {
  readonly lower: readonly [number, number];
  readonly upper: readonly [number, number];
  readonly step: number;
}

/** What fusion adds to a kernel beside storing its result. */
export interface Fused {
  readonly sums: number; // channel sums taken of stored or passing values
  readonly moments: boolean; // (mean, M2) of the stored result
  // operands that are computed on their way in, from so many of their size
  readonly prologues: ReadonlyMap<string, number>;
}

/** Numbers, lists of numbers and names of types that the emitted struct K holds. */
export type Constants = Readonly<Record<string, number | readonly number[] | { readonly type: string }>>;

/** Nothing. */
export const unfused: Fused = { sums: 0, moments: false, prologues: new Map() };

/** What a template offers whose operands and results are plain buffers. */
export const plain = { prologue: [], epilogue: false, sums: false, moments: false } as const;

export interface TemplateSpec {
  readonly name: string; // C++ function and line of the profile
  readonly header?: string; // kernels/<device>/HEADER.hpp, where it is not called like the function
  readonly op: string; // the IR op it computes
  readonly prologue: readonly string[]; // inputs that accept an elementwise chain; the others are plain buffers
  /** The type that operands must be stored in to be used without being computed on their way in; absent: any float. */
  operandType?(target: Target): DType;
  /** Inputs of `prologue` whose chain this node wants written out instead: recomputing it costs more than it saves. */
  declines?(node: Node): readonly string[];
  readonly epilogue: boolean; // the result may pass through elementwise nodes; otherwise outputs are plain buffers
  readonly sums: boolean;
  readonly moments: boolean;
  /**
   * Launches over tensors that lie next to each other may become one: rows then run through the gaps between them too.
   */
  readonly flat?: boolean;
  readonly packs?: Readonly<Record<string, string>>; // input -> template that packs it
  /**
   * CUDA: THREADS of a block; SHARED_BYTES of its dynamic shared memory; BLOCKS a multiprocessor is to hold.
   * HOPPER_THREADS and HOPPER_SHARED_BYTES: those on sm_90a, where the kernel has a path of its own there.
   */
  constants(node: Node, target: Target, fused: Fused): Constants;
  launch(node: Node, extents: Extents, target: Target, fused: Fused): LaunchShape;
  flops(node: Node): number;
  /** Operands whose rows fall into the launch's groups, and whether those of the result do; absent: all. */
  grouped?(node: Node): { readonly operands: readonly string[]; readonly result: boolean };
  /** Leading extent of the iteration domain, where it is not that of the (first) result. */
  rows?(node: Node): number;
  /** Packing templates: the type of the packed copy. Their node has the weight as input and the user's attributes. */
  packed?(node: Node, target: Target): TensorType;
  /** Packing templates: the copy is the weight itself, rounded to `packed`'s type. */
  rounds?(node: Node, target: Target): boolean;
  /**
   * Packing templates: what their node takes from the user of the weight; its stride and pad where nothing else is
   * said.
   */
  packingAttrs?(user: Node): Attrs;
}

/** The template of an op; undefined where it has none. */
export type TemplateOf = (op: string) => TemplateSpec | undefined;
