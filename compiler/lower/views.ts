// Views: values that are the bytes of another value from some offset on, and so need no memory.

import { byteSize, type Node, type Value } from "../ir/types.js";
import { slice } from "../ops/move.js";
import { opOf } from "../ops/op.js";
import { ALIGN } from "./plan.js";

/**
 * Whether n is a reshape, or a slice along the first axis that begins at a multiple of ALIGN bytes. Such a slice is
 * contiguous in every storage order.
 */
export const isView = (n: Node): boolean =>
  opOf(n.op).kind === "view" || (n.op === slice.name && n.attrs.axis === 0 && viewOf(n).offset % ALIGN === 0);

/** The value whose bytes the result of a view is, and the byte at which it begins. */
export function viewOf(n: Node): { readonly of: Value; readonly offset: number } {
  const of = n.inputs[0] as Value;
  const start = n.op === slice.name ? (n.attrs.start as number) : 0;
  return { of, offset: start === 0 ? 0 : (start * byteSize(of.type)) / (of.type.shape[0] as number) };
}
