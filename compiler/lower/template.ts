// What a kernel template of kernels/<device>/ offers to fusion, and what it needs from a launch.

import type { Attrs, DType, Node, Target, TensorType } from "../ir/types.js";

/** The sizes that a kernel gets only at launch. */
export interface Extents {
  readonly rows: number; // leading extent of the iteration domain
  readonly groups: number;
}

export interface LaunchShape {
  readonly tasks: readonly number[]; // number of tasks of each phase
  readonly workspaceBytes: number; // for the whole launch
  readonly scratchBytes: number; // per thread
  readonly extent?: readonly number[]; // Params::extent, if the template reads it
  readonly maps?: readonly TensorMap[]; // Params::map
}

/**
 * How the tensor memory accelerator of sm_90a sees a stored bf16 operand: as boxes, or as the pixels that a tap of a
 * convolution reads.
 */
export interface TensorMap {
  readonly operand: string;
  readonly extents: readonly number[]; // innermost first, dense
  readonly box: readonly number[]; // extents of one transfer; with a window: channels and pixels
  readonly window?: Window; // if present, `extents` are channels, width, height, images
}

/**
 * The base pixels of a convolution's windows along width and height: `lower`, `lower` + `step`, ... up to extent - 1 +
 * `upper`.
 */
export interface Window {
  readonly lower: readonly [number, number];
  readonly upper: readonly [number, number];
  readonly step: number;
}

/** What fusion adds to a kernel besides storing its result. */
export interface Fused {
  readonly sums: number; // number of channel sums of stored or computed values
  readonly moments: boolean; // whether it computes (mean, M2) of the stored result
  // operands with a prologue -> how many tensors of their size it reads
  readonly prologues: ReadonlyMap<string, number>;
}

/** The members of the emitted struct K: numbers, lists of numbers and names of types. */
export type Constants = Readonly<Record<string, number | readonly number[] | { readonly type: string }>>;

/** A kernel to which fusion adds nothing. */
export const unfused: Fused = { sums: 0, moments: false, prologues: new Map() };

/** The offers of a template whose operands and results are plain buffers. */
export const plain = { prologue: [], epilogue: false, sums: false, moments: false } as const;

export interface TemplateSpec {
  readonly name: string; // the C++ function; a line of the profile
  readonly header?: string; // kernels/<device>/HEADER.hpp, if its name differs from the function's
  readonly op: string; // the IR op it computes
  /** Whether it computes this node of the op; absent: all. The general template computes the others. */
  takes?(node: Node): boolean;
  readonly prologue: readonly string[]; // inputs that accept an elementwise chain; the others are plain buffers
  /** The dtype of a stored operand that needs no prologue; absent: f32 and bf16 need none. */
  operandType?(target: Target): DType;
  /** Inputs of `prologue` that this node reads from memory, because recomputing them costs more than it saves. */
  declines?(node: Node): readonly string[];
  /** How often an element of an input of `prologue` is computed; absent: about once. */
  repeats?(node: Node, input: string): number;
  readonly epilogue: boolean; // the result may pass through elementwise nodes; otherwise outputs are plain buffers
  readonly sums: boolean;
  readonly moments: boolean;
  readonly streams?: boolean; // CPU: whether it reads prologues in memory order, and calls Y::prefetch before Y::store
  /** Launches over adjacent tensors may be merged into one, whose rows include the gaps between the tensors. */
  readonly flat?: boolean;
  readonly packs?: Readonly<Record<string, string>>; // input -> template that packs it
  /**
   * The constants of K for this node. CUDA: THREADS per block, SHARED_BYTES of dynamic shared memory per block, BLOCKS
   * per multiprocessor; HOPPER_THREADS and HOPPER_SHARED_BYTES on sm_90a, if the kernel has a separate path for it.
   */
  constants(node: Node, target: Target, fused: Fused): Constants;
  /**
   * Further members of K as C++. `buffer(i)` is the index in Params::buf of the i-th operand or, after those, result.
   * A template with members names no buffers by constants.
   */
  members?(node: Node, buffer: (i: number) => number): readonly string[];
  launch(node: Node, extents: Extents, target: Target, fused: Fused): LaunchShape;
  flops(node: Node): number;
  /**
   * The operands whose rows are divided into the launch's groups, and whether those of the result are; absent: all
   * operands with a prologue, and the result.
   */
  grouped?(node: Node): { readonly operands: readonly string[]; readonly result: boolean };
  /** The leading extent of the iteration domain; absent: that of the (first) result. */
  rows?(node: Node): number;
  /** Packing templates: the type of the packed copy. The node is one that packingNode() returns. */
  packed?(node: Node, target: Target): TensorType;
  /** Packing templates: whether the copy is the weight itself, rounded to the type that `packed` returns. */
  rounds?(node: Node, target: Target): boolean;
  /** Packing templates: the attributes of the packing node for a user of the weight; absent: its stride and pad. */
  packingAttrs?(user: Node): Attrs;
}

/** Returns the template of a node, or of an op by name; undefined if there is none. */
export type TemplateOf = (of: Node | string) => TemplateSpec | undefined;
