// Accessors that the templates use: attributes and types of a node, and the order in which a tensor is stored.

import type { Node, TensorType } from "../../ir/types.js";

const at = (n: Node): string => `internal: ${n.op} in ${n.scope || "<top>"}`;

/** A number attribute, or `otherwise` if the node does not have it. Throws if there is neither. */
export function numberAttr(n: Node, name: string, otherwise?: number): number {
  const value = n.attrs[name] ?? otherwise;
  if (typeof value !== "number") throw new Error(`${at(n)}: no number attribute ${name}`);
  return value;
}

/** A boolean attribute; false if the node does not have it. */
export const flagAttr = (n: Node, name: string): boolean => n.attrs[name] === true;

/** An attribute that is a list of numbers. Throws if the node does not have it. */
export function listAttr(n: Node, name: string): readonly number[] {
  const value = n.attrs[name];
  if (!Array.isArray(value)) throw new Error(`${at(n)}: no list attribute ${name}`);
  return value as readonly number[];
}

/** The type of the i-th input. Throws if there is none. */
export function inputType(n: Node, i: number): TensorType {
  const t = n.inputs[i]?.type;
  if (!t) throw new Error(`${at(n)}: no input ${i}`);
  return t;
}

/** The type of the i-th output. Throws if there is none. */
export function outputType(n: Node, i = 0): TensorType {
  const t = n.outputs[i]?.type;
  if (!t) throw new Error(`${at(n)}: no output ${i}`);
  return t;
}

/** The extents of `t`. Throws unless its rank is `rank`. */
export function extents(n: Node, t: TensorType, rank: number): readonly number[] {
  if (t.shape.length !== rank) throw new Error(`${at(n)}: [${t.shape}] does not have rank ${rank}`);
  return t.shape;
}

/** `axis` counted from the front; a negative one counts from the end. */
export const positiveAxis = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** The logical axes from outermost to innermost in memory; 4-D tensors are stored channels-last. */
export const storageOrder = (rank: number): readonly number[] =>
  rank === 4 ? [0, 2, 3, 1] : Array.from({ length: rank }, (_, i) => i);

/** The distance in memory, in elements, between neighbours along each logical axis. */
export function storageStrides(shape: readonly number[]): readonly number[] {
  const strides = shape.map(() => 1);
  let step = 1;
  for (const axis of storageOrder(shape.length).toReversed()) {
    strides[axis] = step;
    step *= shape[axis] as number;
  }
  return strides;
}
