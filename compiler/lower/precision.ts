// How activations are stored. With `--precision bf16` every 4-D activation and its gradient has the type bf16: kernels
// load and store two bytes per element and compute in f32. Surprising: an elementwise value that is not stored is never
// rounded, but a stored one is rounded before the rest of the same kernel reads it (emit/kernel.ts).

import { any } from "../ir/element_types.js";
import { type DType, type Graph, type Node, type Precision, showType, type Target, type Value } from "../ir/types.js";
import { conv, conv_dgrad, conv_wgrad } from "../ops/conv.js";
import { matmul } from "../ops/matmul.js";
import { type AnyOp, isElementwise, opOf } from "../ops/op.js";
import { rowsOf } from "../ops/rows.js";
import { templatesOf } from "./templates/index.js";
import { isView } from "./views.js";

/** Whether an op takes values of every type: its record says its loops, or it only moves elements. */
const takesAll = ({ nest, types }: AnyOp): boolean =>
  nest !== undefined || Object.values(types).every((t) => t === any);
/** Whether no operand or result of n can be bf16: it computes in f32, moves elements, or is an expression. */
const keepsTypes = (n: Node): boolean => {
  const { kind, nest, fuses, types } = opOf(n.op);
  if (isView(n)) return false;
  const narrow = Object.values(types).some((t) => t !== any && t.includes("bf16"));
  return fuses !== undefined || (kind === "kernel" && (nest !== undefined || !narrow));
};
const fast: ReadonlySet<DType> = new Set<DType>(["f32", "i64", "u8"]);

/**
 * Throws, naming node and type, if an op of `g` has a type that its kernel does not compute in. On GPUs no op has
 * kernels for other types than f32.
 */
export function requireTypes(g: Graph, target: Target): void {
  for (const n of g.nodes) {
    const op = opOf(n.op);
    const where = `program ${g.name}: ${n.op} in ${n.scope || "<top>"}`;
    const odd = [...n.inputs, ...n.outputs].find((v) => !fast.has(v.type.dtype));
    const gpu = target.device === "cuda";
    if (odd && (gpu || !takesAll(op)))
      throw new Error(
        `${where}: ${odd.name} is ${showType(odd.type)}, but ` +
          (gpu ? "GPUs compute in f32; --precision bf16 stores activations as bf16" : "its kernel computes in f32"),
      );
    if (gpu && op.nest && !isElementwise(n) && !templatesOf(target)(n))
      throw new Error(`${where} has no kernel for GPUs; compile it for the CPU`);
  }
}

/**
 * `g` with its activations as bf16; `g` itself unless the target's precision is bf16. Outputs, updates, what an op
 * reads as f32, and what the ops of keepsTypes read or compute stay f32.
 */
export function storeActivations(g: Graph, target: Target): Graph {
  if (target.precision !== "bf16") return g;
  const kept = new Set<Value>([...g.outputs, ...g.updates.values(), ...readAsF32(g)]);
  const stored = new Map<Value, Value>();
  const nodes = g.nodes.map((n) => {
    const inputs = n.inputs.map((v) => stored.get(v) ?? v);
    const half = !keepsTypes(n) && isActivation(n, (v) => stored.has(v));
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

/**
 * The values that an op reads whose record does not list bf16 for that operand, or whose operands must all have one
 * type (concat copies their bytes). A value that is only seen through views is among them if the view is.
 */
function readAsF32(g: Graph): ReadonlySet<Value> {
  const wide = new Set<Value>();
  for (const n of g.nodes.toReversed()) {
    const { inputs, types, oneType, kind } = opOf(n.op);
    const narrow = (i: number): boolean => {
      if (isView(n)) return n.outputs.every((v) => !wide.has(v));
      const name = inputs[Math.min(i, inputs.length - 1)]?.replace("...", "") as string;
      if (keepsTypes(n)) return false;
      return types[name]?.includes("bf16") === true && (kind === "elementwise" || oneType !== true);
    };
    n.inputs.forEach((v, i) => {
      if (!narrow(i)) wide.add(v);
    });
  }
  return wide;
}

const operands: Readonly<Record<Precision, string>> = {
  bf16: "bf16 operands, f32 sums",
  tf32: "operands rounded to tf32, f32 sums",
  f32: "three products of tf32 parts, f32 sums",
};

/** The number formats in which `g`, as storeActivations returns it, is computed and stored, as lines. */
export function explainPrecision(g: Graph, target: Target): readonly string[] {
  if (target.device === "cpu" && target.precision !== "bf16") return ["everything is computed and stored in f32"];
  const precision = target.precision ?? "f32";
  const stored = g.nodes.flatMap((n) => n.outputs).filter((v) => v.type.dtype === "bf16");
  const count = (...ops: readonly AnyOp[]): number => g.nodes.filter((n) => ops.some((o) => o.name === n.op)).length;
  const shown =
    stored.length === 0
      ? "none"
      : `${stored.length}, if a kernel writes them: ${stored.map((v) => `%${v.name}`).join(" ")}`;
  return [
    `${count(conv, conv_dgrad, conv_wgrad)} convolutions: ${operands[precision]}`,
    `${count(matmul)} matrix products: ${target.device === "cpu" ? "f32" : operands.f32}`,
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
