// The bodies of ops in standard operators: one per op, typed by the op's record.

import type { Attrs, TensorType } from "../../ir/types.js";
import type { Named, Op } from "../../ops/op.js";
import type { Operand, Ref, Writer } from "../writer.js";

/** What a body may use besides its operands: the attributes and the types of the results. */
export interface Site<O extends readonly string[], A extends Attrs> {
  readonly attrs: A;
  readonly out: Named<O, TensorType>;
}

type Results<O extends readonly string[]> = O extends readonly [string] ? Ref : Named<O, Ref>;

export interface Body {
  readonly op: string;
  /** Writes the nodes and returns the name of the result, or the names by output if there are several. */
  readonly write: (
    w: Writer,
    inputs: Named<readonly string[], Operand>,
    at: Site<readonly string[], Attrs>,
  ) => Ref | Readonly<Record<string, Ref>>;
}

/** The body of one op. It may write different nodes for different shapes and attributes. */
export function bodyOf<const I extends readonly string[], const O extends readonly string[], A extends Attrs>(
  op: Op<I, O, A>,
  write: (w: Writer, inputs: Named<I, Operand>, at: Site<O, A>) => Results<O>,
): Body {
  return { op: op.name, write: write as unknown as Body["write"] };
}

/** The i-th extent of an operand that is known to have one. */
export const extent = (x: Operand, i: number): number => x.type.shape[i] as number;
