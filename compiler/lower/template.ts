// What a kernel template of kernels/<device>/ offers to fusion and needs from a launch.

import type { Node, Target, TensorType } from "../ir/types.js";

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
}

/** What the epilogue is asked to do beside storing. */
export interface Epilogue {
  readonly sums: number; // channel sums taken of stored or passing values
  readonly moments: boolean; // (mean, M2) of the stored result
}

/** What a template offers whose operands and results are plain buffers. */
export const plain = { prologue: [], epilogue: false, sums: false, moments: false } as const;

export interface TemplateSpec {
  readonly name: string; // C++ function and line of the profile
  readonly header?: string; // kernels/<device>/HEADER.hpp, where it is not called like the function
  readonly op: string; // the IR op it computes
  readonly prologue: readonly string[]; // inputs that accept an elementwise chain; the others are plain buffers
  readonly epilogue: boolean; // the result may pass through elementwise nodes; otherwise outputs are plain buffers
  readonly sums: boolean;
  readonly moments: boolean;
  readonly packs?: Readonly<Record<string, string>>; // input -> template that packs it
  constants(node: Node, target: Target): Readonly<Record<string, number | readonly number[]>>;
  launch(node: Node, extents: Extents, target: Target, epilogue: Epilogue): LaunchShape;
  flops(node: Node): number;
  /** Operands whose rows fall into the launch's groups, and whether those of the result do; absent: all. */
  grouped?(node: Node): { readonly operands: readonly string[]; readonly result: boolean };
  /** Leading extent of the iteration domain, where it is not that of the (first) result. */
  rows?(node: Node): number;
  /** Packing templates: the type of the packed copy. Their node has the weight as input and the user's attributes. */
  packed?(node: Node, target: Target): TensorType;
}

/** The template of an op; undefined where it has none. */
export type TemplateOf = (op: string) => TemplateSpec | undefined;
