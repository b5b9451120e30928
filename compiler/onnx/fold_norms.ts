// BatchNormalization as part of the convolution before it, in models of other programs: y = s (w x + b - mean) + shift
// becomes (s w) x + s (b - mean) + shift. The numbers are computed in f64 and rounded once.

import { constantTensors } from "./constant_tensors.js";
import { elementsOf, type Model, type OnnxNode, type Tensor, tensorOf } from "./model.js";
import { Names } from "./names.js";
import { readsOf } from "./subgraph.js";

/** The model with every normalisation by constants merged into its convolution, if nothing else reads that. */
export function foldNorms(m: Model): { readonly model: Model; readonly folded: number } {
  const { graph } = m;
  const constants = constantTensors(graph, m.opsets.get("") ?? 0);
  const names = new Names([...graph.inputs.map((v) => v.name), ...graph.initializers.map((t) => t.name)]);
  for (const n of graph.nodes) for (const v of n.outputs) names.fresh(v);
  const reads = new Map<string, number>();
  for (const v of [...graph.nodes.flatMap(readsOf), ...graph.outputs.map((o) => o.name)])
    reads.set(v, (reads.get(v) ?? 0) + 1);
  const makers = new Map(graph.nodes.flatMap((n) => n.outputs.map((v) => [v, n] as const)));
  const merged = new Map<OnnxNode, OnnxNode | undefined>();
  const added: Tensor[] = [];
  for (const n of graph.nodes) {
    const conv = makers.get(n.inputs[0] ?? "");
    if (!isNorm(n) || conv?.op !== "Conv" || conv.domain !== "" || reads.get(n.inputs[0] as string) !== 1) continue;
    const [weight, ...parts] = [conv.inputs[1], ...n.inputs.slice(1)].map((v) => floats(constants.get(v ?? "")));
    const bias = conv.inputs[2] ? floats(constants.get(conv.inputs[2])) : new Float32Array(parts[0]?.length ?? 0);
    if (!weight || !bias || parts.length !== 4 || parts.some((p) => p?.length !== bias.length)) continue;
    const { dims } = constants.get(conv.inputs[1] as string) as Tensor;
    const { w, b } = scaled(weight, bias, parts as Float32Array[], n.attributes.epsilon);
    const [wName, bName] = [names.fresh(`${conv.inputs[1]}/folded`), names.fresh(`${conv.outputs[0]}/bias`)];
    added.push(tensorOf(wName, "f32", dims, w), tensorOf(bName, "f32", [b.length], b));
    merged.set(conv, { ...conv, inputs: [conv.inputs[0] as string, wName, bName], outputs: n.outputs });
    merged.set(n, undefined);
  }
  const nodes = graph.nodes.flatMap((n) => (merged.has(n) ? (merged.get(n) ?? []) : [n]));
  const made = new Set(nodes.flatMap((n) => n.outputs));
  const values = graph.values.filter((v) => made.has(v.name));
  const initializers = [...graph.initializers, ...added];
  return { model: { ...m, graph: { ...graph, nodes, initializers, values } }, folded: merged.size / 2 };
}

/** Whether a node normalises with its running statistics. */
const isNorm = ({ op, domain, outputs, attributes: { training_mode: training } }: OnnxNode): boolean =>
  op === "BatchNormalization" && domain === "" && outputs.length === 1 && !(training?.kind === "int" && training.value);

const floats = (t: Tensor | undefined): Float32Array | undefined =>
  t?.type === "f32" ? (elementsOf(t) as Float32Array) : undefined;

/** Weights and bias with the normalisation in them. `parts`: scale, shift, mean and variance per channel. */
function scaled(
  weight: Float32Array,
  bias: Float32Array,
  parts: readonly Float32Array[],
  epsilon: OnnxNode["attributes"][string] | undefined,
): { readonly w: Float32Array; readonly b: Float32Array } {
  const [scale, shift, mean, variance] = parts as [Float32Array, Float32Array, Float32Array, Float32Array];
  const eps = epsilon?.kind === "float" ? epsilon.value : 1e-5;
  const factors = Array.from(scale, (s, c) => s / Math.sqrt((variance[c] as number) + eps));
  const each = weight.length / bias.length;
  return {
    w: weight.map((x, i) => x * (factors[Math.floor(i / each)] as number)),
    b: bias.map((x, c) => (x - (mean[c] as number)) * (factors[c] as number) + (shift[c] as number)),
  };
}
