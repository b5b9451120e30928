// How the body of a kernel indexes an operand of an elementwise op at a position (row, pixel, channel) of its result.

import { elements, type Node, sameShape } from "../ir/types.js";
import { type Access, opOf } from "./op.js";

/** The access of the i-th operand of an elementwise node; undefined for a broadcast that no body can express. */
export function tryAccessOf(n: Node, i: number): Access | undefined {
  const op = opOf(n.op);
  const operand = n.inputs[i]?.type.shape as readonly number[];
  const domain = n.outputs[0]?.type.shape as readonly number[];
  const stated = op.access?.[op.inputs[i]];
  if (stated) return stated;
  return byShape(operand, domain);
}

/** The same after the pass `expand`, which leaves no broadcast that no body can express. Throws if there is one. */
export function accessOf(n: Node, i: number): Access {
  const access = tryAccessOf(n, i);
  if (access) return access;
  const shapes = `[${n.inputs[i]?.type.shape}] to [${n.outputs[0]?.type.shape}]`;
  throw new Error(`internal: ${n.op} in ${n.scope || "<top>"}: no body broadcasts ${shapes}`);
}

function byShape(operand: readonly number[], domain: readonly number[]): Access | undefined {
  if (sameShape(operand, domain)) return "full";
  if (elements(operand) === 1) return "scalar";
  if (elements(operand) === elements(domain)) return operand.length < 4 && domain.length < 4 ? "full" : undefined;
  const padded = [...Array<number>(domain.length - operand.length).fill(1), ...operand];
  const channelAxis = domain.length === 4 ? 1 : domain.length - 1;
  const kept = padded.flatMap((d, axis) => (d === 1 ? [] : [axis]));
  if (kept.length === 1 && kept[0] === channelAxis) return "channel";
  if (kept.length === 1 && kept[0] === 0) return "row";
  if (kept.length === 2 && kept[0] === 0 && kept[1] === channelAxis && domain.length === 4) return "row_channel";
  return undefined;
}
