// The iteration space of a fused body, and how a body reaches each operand from a position in it.

import { elements, type Node, sameShape } from "../ir/types.js";
import { type Access, opOf } from "../ops/op.js";

/** rows x pixels x channels, channels innermost in memory: (n, h * w, c) of a 4-D tensor, (m, 1, n) of a matrix. */
export interface Domain {
  readonly rows: number;
  readonly pixels: number;
  readonly channels: number;
}

export function domainOf(shape: readonly number[]): Domain {
  if (shape.length === 4) {
    const [rows, channels, h, w] = shape as [number, number, number, number];
    return { rows, pixels: h * w, channels };
  }
  if (shape.length < 2) return { rows: 1, pixels: 1, channels: shape[0] ?? 1 };
  return { rows: shape[0] as number, pixels: elements(shape.slice(1, -1)), channels: shape.at(-1) as number };
}

/** Access of the i-th operand of an elementwise node; throws for a broadcast that no body can express. */
export function accessOf(n: Node, i: number): Access {
  const op = opOf(n.op);
  const operand = n.inputs[i]?.type.shape as readonly number[];
  const domain = n.outputs[0]?.type.shape as readonly number[];
  const stated = op.access?.[op.inputs[i]];
  if (stated) return stated === "group_channel" && operand[0] === 1 ? "channel" : stated;
  const access = byShape(operand, domain);
  if (access) return access;
  const at = `${n.op} in ${n.scope || "<top>"}`;
  throw new Error(`${at}: an operand of shape [${operand}] cannot be broadcast to [${domain}] inside a kernel`);
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
