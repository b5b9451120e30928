// Merges Conv(x, W) + b and Gemm(x, W) + b, which are two nodes in the IR, into one ONNX node each. This is done if W
// and b are initializers, b has one number per channel, and nothing else reads b or the product.

import { elements } from "../ir/types.js";
import type { Model, OnnxGraph, OnnxNode, Tensor } from "./model.js";

/** The channel axis of each operator's result, counted from the end. */
const channelAxis: Readonly<Record<string, number>> = { Conv: -3, Gemm: -1 };

/**
 * The model with such nodes merged. Inputs, outputs and weights keep their names; a merged sum has the name of its
 * product unless it is an output.
 */
export function mergeBias(m: Model): Model {
  return { ...m, graph: mergeInto(m.graph) };
}

function mergeInto(g: OnnxGraph): OnnxGraph {
  const maker = new Map(g.nodes.flatMap((n) => n.outputs.map((o) => [o, n] as const)));
  const weights = new Map(g.initializers.map((t) => [t.name, t]));
  const results = new Set(g.outputs.map((o) => o.name));
  const reads = new Map<string, number>();
  for (const v of [...g.nodes.flatMap((n) => n.inputs), ...results]) reads.set(v, (reads.get(v) ?? 0) + 1);
  const merged = new Map<OnnxNode, OnnxNode | undefined>();
  const renamed = new Map<string, string>();
  const flat = new Map<string, Tensor>();
  for (const n of g.nodes) {
    const found = n.op === "Add" && n.domain === "" && n.inputs.length === 2 ? biasOf(n, maker, weights) : undefined;
    if (!found || reads.get(found.product.outputs[0] as string) !== 1 || reads.get(found.bias.name) !== 1) continue;
    const { product, bias } = found;
    const [own, sum] = [product.outputs[0] as string, n.outputs[0] as string];
    const name = results.has(sum) ? sum : own;
    renamed.set(sum, name);
    merged.set(product, { ...product, inputs: [...product.inputs, bias.name], outputs: [name] }).set(n, undefined);
    flat.set(bias.name, { ...bias, dims: [elements(bias.dims)] });
  }
  const nodes = g.nodes
    .flatMap((n) => (merged.has(n) ? (merged.get(n) ?? []) : [n]))
    .map((n) => ({ ...n, inputs: n.inputs.map((v) => renamed.get(v) ?? v) }));
  const made = new Set(nodes.flatMap((n) => n.outputs));
  return {
    ...g,
    nodes,
    initializers: g.initializers.map((t) => flat.get(t.name) ?? t),
    values: g.values.filter((v) => made.has(v.name)),
  };
}

/** The product and the bias that an Add adds; undefined if its operands are something else. */
function biasOf(
  add: OnnxNode,
  maker: ReadonlyMap<string, OnnxNode>,
  weights: ReadonlyMap<string, Tensor>,
): { readonly product: OnnxNode; readonly bias: Tensor } | undefined {
  for (const [a, b] of [add.inputs, add.inputs.toReversed()] as [string, string][]) {
    const product = maker.get(a);
    const bias = weights.get(b);
    const w = product && weights.get(product.inputs[1] as string);
    const axis = product && product.domain === "" ? channelAxis[product.op] : undefined;
    if (!product || !bias || !w || axis === undefined || product.inputs.length !== 2) continue;
    const transposed = product.attributes.transB;
    const rows = product.op === "Conv" || (transposed?.kind === "int" && transposed.value === 1);
    const channels = w.dims.at(rows ? 0 : 1);
    if (bias.dims.at(axis) === channels && elements(bias.dims) === channels) return { product, bias };
  }
  return undefined;
}
