// What an op means in standard operators: one body per op, typed by the op's own record.

import type { Attrs, TensorType } from "../../ir/types.js";
import type { Named, Op } from "../../ops/op.js";
import type { Operand, Ref, Writer } from "../writer.js";

/** What a body may look at besides its operands. */
export interface Site<O extends readonly string[], A extends Attrs> {
  readonly attrs: A;
  readonly out: Named<O, TensorType>;
}

type Results<O extends readonly string[]> = O extends readonly [string] ? Ref : Named<O, Ref>;

export interface Body {
  readonly op: string;
  /** Writes the nodes; returns the results by output name, or the only one. */
  readonly write: (
    w: Writer,
    inputs: Named<readonly string[], Operand>,
    at: Site<readonly string[], Attrs>,
  ) => Ref | Readonly<Record<string, Ref>>;
}

/** The body of one op. Shapes are known: a body may be different for every shape and attribute. */
export function bodyOf<const I extends readonly string[], const O extends readonly string[], A extends Attrs>(
  op: Op<I, O, A>,
  write: (w: Writer, inputs: Named<I, Operand>, at: Site<O, A>) => Results<O>,
): Body {
  return { op: op.name, write: write as unknown as Body["write"] };
}

/** The i-th extent of an operand known to have it. */
export const extent = (x: Operand, i: number): number => x.type.shape[i] as number;
