// The constants of a graph by the names under which nodes read them, and the values that depend on constants alone.

import { Builder } from "../ir/builder.js";
import { At, Refused } from "./at.js";
import { evaluatorOf } from "./constants.js";
import { numbersTensor, type OnnxGraph, type OnnxNode, type Tensor } from "./model.js";
import { readsOf } from "./subgraph.js";

/** Operators that only move elements of constants. */
const moves: ReadonlySet<string> = new Set(["Identity", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze"]);

/**
 * Initializers that are no inputs, tensors of Constant nodes, and what nodes make of these without arithmetic, such as
 * transposed weights. Tensors in other files are left out. `opset`: of ai.onnx.
 */
export function constantTensors(g: OnnxGraph, opset: number): ReadonlyMap<string, Tensor> {
  const inputs = new Set(g.inputs.map((v) => v.name));
  const found = new Map<string, Tensor>();
  for (const t of g.initializers) if (!inputs.has(t.name) && t.data instanceof Uint8Array) found.set(t.name, t);
  for (const n of g.nodes) {
    const t = n.domain === "" ? (moves.has(n.op) ? moved(n, opset, found) : tensorIn(n)) : undefined;
    if (t) found.set(n.outputs[0] as string, t);
  }
  return found;
}

/** The result of a node that moves elements; undefined unless its inputs are constants. */
function moved(n: OnnxNode, opset: number, known: ReadonlyMap<string, Tensor>): Tensor | undefined {
  const inputs = n.inputs.map((v) => known.get(v));
  if (inputs.some((t, i) => !t && n.inputs[i] !== "")) return undefined;
  const held = inputs.map((tensor) => {
    const refuse = (): never => {
      throw new Refused("it is evaluated");
    };
    return tensor && { type: { dtype: tensor.type, shape: tensor.dims }, tensor, value: refuse };
  });
  try {
    const made = evaluatorOf(n.op, false)?.(new At(n, opset, Builder.create("constants"), held, () => true));
    return made && "data" in made ? made : undefined;
  } catch (e) {
    if (e instanceof Refused) return undefined; // it stays a node, as others do that compute constants
    throw e;
  }
}

/** The tensor that a Constant node has as attribute; undefined for other nodes and texts. */
function tensorIn({ op, attributes: a }: OnnxNode): Tensor | undefined {
  if (op !== "Constant") return undefined;
  if (a.value?.kind === "tensor") return a.value.value;
  if (a.value_float?.kind === "float") return numbersTensor("", "f32", [], [a.value_float.value]);
  if (a.value_floats?.kind === "floats")
    return numbersTensor("", "f32", [a.value_floats.value.length], a.value_floats.value);
  if (a.value_int?.kind === "int") return numbersTensor("", "i64", [], [a.value_int.value]);
  if (a.value_ints?.kind === "ints") return numbersTensor("", "i64", [a.value_ints.value.length], a.value_ints.value);
  return undefined;
}

/** Values that nodes compute of constants alone, except those that are constants. */
export function computedConstants(g: OnnxGraph, constants: ReadonlyMap<string, Tensor>): ReadonlySet<string> {
  const computed = new Set<string>();
  for (const n of g.nodes) {
    const reads = readsOf(n);
    if (reads.length === 0 || !reads.every((v) => constants.has(v) || computed.has(v))) continue;
    for (const v of n.outputs) if (!constants.has(v)) computed.add(v);
  }
  return computed;
}
