// How activations are stored. With `--precision bf16` every 4-D activation and its gradient has the type bf16: kernels
// load and store two bytes per element and compute in f32. Surprising: an elementwise value that is not stored is never
// rounded, but a stored one is rounded before the rest of the same kernel reads it (emit/kernel.ts).

import type { Graph, Node, Precision, Target, Value } from "../ir/types.js";
import { conv, conv_dgrad, conv_wgrad } from "../ops/conv.js";
import { matmul } from "../ops/matmul.js";
import { type AnyOp, opOf } from "../ops/op.js";
import { rowsOf } from "../ops/rows.js";
import { isView } from "./views.js";

/** `g` with its activations as bf16, except outputs and updates; `g` itself unless the target's precision is bf16. */
export function storeActivations(g: Graph, target: Target): Graph {
  if (target.precision !== "bf16") return g;
  const kept = new Set<Value>([...g.outputs, ...g.updates.values()]);
  const stored = new Map<Value, Value>();
  const nodes = g.nodes.map((n) => {
    const inputs = n.inputs.map((v) => stored.get(v) ?? v);
    const half = isActivation(n, (v) => stored.has(v));
    const outputs = n.outputs.map((v) => {
      const narrow = half && v.type.dtype === "f32" && !kept.has(v) && (isView(n) || v.type.shape.length === 4);
      if (!narrow) return v;
      const to: Value = { name: v.name, type: { dtype: "bf16", shape: v.type.shape } };
      stored.set(v, to);
      return to;
    });
    return { ...n, inputs, outputs };
  });
  return { ...g, nodes };
}

const operands: Readonly<Record<Precision, string>> = {
  bf16: "bf16 operands, f32 sums",
  tf32: "operands rounded to tf32, f32 sums",
  f32: "three products of tf32 parts, f32 sums",
};

/** The number formats in which `g`, as storeActivations returns it, is computed and stored, as lines. */
export function explainPrecision(g: Graph, target: Target): readonly string[] {
  if (target.device === "cpu") return ["everything is computed and stored in f32"];
  const precision = target.precision ?? "f32";
  const stored = g.nodes.flatMap((n) => n.outputs).filter((v) => v.type.dtype === "bf16");
  const count = (...ops: readonly AnyOp[]): number => g.nodes.filter((n) => ops.some((o) => o.name === n.op)).length;
  const shown =
    stored.length === 0
      ? "none"
      : `${stored.length}, where they are written at all: ${stored.map((v) => `%${v.name}`).join(" ")}`;
  return [
    `${count(conv, conv_dgrad, conv_wgrad)} convolutions: ${operands[precision]}`,
    `${count(matmul)} matrix products: ${operands.f32}`,
    "arithmetic in registers, statistics, losses, master weights, momenta, optimizer: f32; counts and labels: i64",
    `values that are stored as bf16: ${shown}`,
  ];
}

/**
 * Whether n computes an activation: the result of a convolution or pooling, of arithmetic on activations or on images,
 * or of an op that broadcasts over pixels.
 */
function isActivation(n: Node, isStored: (v: Value) => boolean): boolean {
  const { kind, permutation } = opOf(n.op);
  if (rowsOf(n)?.sums.includes(true)) return false; // a weight's gradient
  if (kind === "kernel" && !isView(n)) return n.outputs[0]?.type.shape.length === 4 && permutation === undefined;
  const images = n.inputs.filter((v) => v.type.shape.length === 4);
  if (isView(n)) return images.some(isStored);
  return images.length === 0 || images.some((v) => isStored(v) || v.type.dtype === "u8");
}
