// What the specs of the templates ask of a node: attributes, extents, and the order in which a tensor is
// stored.

import type { Node, TensorType } from "../../ir/types.js";

const at = (n: Node): string => `internal: ${n.op} in ${n.scope || "<top>"}`;

/** A number attribute; `otherwise` where the node has none. Throws without either. */
export function numberAttr(n: Node, name: string, otherwise?: number): number {
  const value = n.attrs[name] ?? otherwise;
  if (typeof value !== "number") throw new Error(`${at(n)}: no number attribute ${name}`);
  return value;
}

/** A true or false attribute; false where the node has none. */
export const flagAttr = (n: Node, name: string): boolean => n.attrs[name] === true;

/** A list-of-numbers attribute. */
export function listAttr(n: Node, name: string): readonly number[] {
  const value = n.attrs[name];
  if (!Array.isArray(value)) throw new Error(`${at(n)}: no list attribute ${name}`);
  return value as readonly number[];
}

export function inputType(n: Node, i: number): TensorType {
  const t = n.inputs[i]?.type;
  if (!t) throw new Error(`${at(n)}: no input ${i}`);
  return t;
}

export function outputType(n: Node, i = 0): TensorType {
  const t = n.outputs[i]?.type;
  if (!t) throw new Error(`${at(n)}: no output ${i}`);
  return t;
}

/** The extents of a tensor that must have `rank` of them. */
export function extents(n: Node, t: TensorType, rank: number): readonly number[] {
  if (t.shape.length !== rank) throw new Error(`${at(n)}: [${t.shape}] has not rank ${rank}`);
  return t.shape;
}

/** A negative axis counts from the end. */
export const positiveAxis = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** Logical axes from outermost to innermost in memory: 4-D tensors are stored channels-last. */
export const storageOrder = (rank: number): readonly number[] =>
  rank === 4 ? [0, 2, 3, 1] : Array.from({ length: rank }, (_, i) => i);

/** Distance in elements between neighbours along each logical axis. */
export function storageStrides(shape: readonly number[]): readonly number[] {
  const strides = shape.map(() => 1);
  let step = 1;
  for (const axis of storageOrder(shape.length).toReversed()) {
    strides[axis] = step;
    step *= shape[axis] as number;
  }
  return strides;
}
