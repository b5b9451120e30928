// The memory of what a foreign model makes when it is imported: a small file could make constants without end.

import { byteSize, elements, type Node, type TensorType } from "../ir/types.js";
import { type ElementType, elementBytes, type OnnxGraph } from "./model.js";
import { OutOfMemory, Refused } from "./refused.js";

const MOST_BYTES = 2 ** 31; // of one constant
const LEAST_BUDGET = 2 ** 32; // bytes: a file of 10 kB may make all weights of a VGG-19, in several nodes each
const TIMES = 32; // as often as its own tensors a model may make constants: casts and arithmetic of weights
const MOST_NUMBERS = 2 ** 24; // of all tables in nodes: they are in the heap of JavaScript

/** The bytes of the tensors in a model's file, or beside it. */
const bytesOf = (g: OnnxGraph): number => {
  const attributes = g.nodes.flatMap((n) => Object.values(n.attributes));
  const tensors = [...g.initializers, ...attributes.flatMap((a) => (a.kind === "tensor" ? [a.value] : []))];
  return tensors.reduce((sum, t) => sum + elements(t.dims) * elementBytes[t.type], 0);
};

/** Nodes of the program that one node of the model may become, and all of them. */
export const MOST_NODES = { each: 2 ** 18, all: 2 ** 21 } as const;

/** What the constants and tables of one model take so far. */
export class Memory {
  private readonly budget: number;
  private bytes = 0;
  private numbers = 0;

  /** `least`: the bytes of constants that a model may make whatever the size of its own tensors. */
  constructor(g?: OnnxGraph, least = LEAST_BUDGET) {
    this.budget = least + TIMES * (g ? bytesOf(g) : 0);
  }

  /** Counts a constant before it is made. Throws Refused if it is too large, and OutOfMemory if all are together. */
  reserve(type: ElementType, shape: readonly number[]): void {
    const size = elements(shape) * elementBytes[type];
    if (!(size <= MOST_BYTES)) throw new Refused(`a constant ${type}[${shape}] is too large`);
    if (this.bytes + size > this.budget)
      throw new OutOfMemory(
        `with a constant ${type}[${shape}], those that are made of the model's tensors take more than ` +
          `${this.budget} bytes`,
      );
    this.bytes += size;
  }

  /** Counts the tables of these nodes. Throws OutOfMemory if all are too large together. */
  tables(nodes: readonly Node[]): void {
    for (const { attrs } of nodes) {
      const { values } = attrs as { readonly values?: unknown };
      if (Array.isArray(values)) this.numbers += values.length;
    }
    if (this.numbers > MOST_NUMBERS)
      throw new OutOfMemory(`with its tables, those that the model makes have more than ${MOST_NUMBERS} numbers`);
  }
}

const MOST_OF_TENSOR = 2 ** 36; // bytes: more memory than a machine that trains a network has

/** Throws if no machine has the memory for a tensor of this type. */
export function checkSize(what: string, type: TensorType): void {
  if (!(byteSize(type) <= MOST_OF_TENSOR)) throw new Error(`${what} would take ${byteSize(type)} bytes`);
}
