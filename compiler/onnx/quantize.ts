// A model whose products compute with whole numbers of 8 bits, in the form that ONNX Runtime recommends: pairs of
// QuantizeLinear and DequantizeLinear around every such node, weights behind a DequantizeLinear. A runtime that knows
// the form merges pairs and nodes into kernels; for any other it is arithmetic on f32 with the same rounding.

import { foldNorms } from "./fold_norms.js";
import { liveNodes } from "./foreign_graph.js";
import { elementBytes, elementsOf, type Model, type OnnxNode, type Tensor, tensorOf } from "./model.js";
import { Names } from "./names.js";
import { operands, type QuantizePlan, quantizePlan } from "./quantize_plan.js";
import { type Range, type Scale, scaleOf } from "./quantize_ranges.js";
import { emptyChannels, type Whole, wholeWeights } from "./quantize_weights.js";
import { readsOf } from "./subgraph.js";

/** What `quantized` did. */
export interface QuantizedParts {
  readonly nodes: number; // that compute with whole numbers
  readonly left: Readonly<Record<string, number>>; // nodes that stay as they are, by operator
  readonly refused: readonly string[]; // products among them, each with the reason
  readonly activations: number; // values that are stored as u8
  readonly tensors: number; // weights that became i8
  readonly numbers: number; // in them
  readonly empty: number; // their channels in which every weight became 0
  readonly widened: number; // channels with coarser weights than needed, because their bias is large beside them
  readonly folded: number; // BatchNormalization nodes that became part of convolutions
}

/** The operator set from which scales of channels exist. */
const LEAST_OPSET = 13;

/** A model and what becomes of it. */
export interface Prepared {
  readonly model: Model; // in f32, with BatchNormalization folded
  readonly folded: number;
  readonly plan: QuantizePlan;
}

/** The model in the form that is quantised. Throws if its operator set is too old, or it has parts without rules. */
export function prepared(m: Model): Prepared {
  const opset = m.opsets.get("") ?? 0;
  if (opset < LEAST_OPSET)
    throw new Error(`operator set ${opset} has no scales per channel: ${LEAST_OPSET} and later are supported`);
  if (m.functions.length + m.training.length > 0) throw new Error("a model with functions or training as int8");
  const { model, folded } = foldNorms(m);
  return { model, folded, plan: planned(model, new Set()) };
}

/** The same if `others` are values of another type than f32, which only running the model shows. */
export const withoutOthers = (p: Prepared, others: ReadonlySet<string>): Prepared => ({
  ...p,
  plan: planned(p.model, others),
});

function planned(m: Model, others: ReadonlySet<string>): QuantizePlan {
  const typed = m.graph.inputs.filter((v) => v.type !== "f32").map((v) => v.name);
  const plan = quantizePlan(m.graph, m.opsets.get("") ?? 0, new Set([...others, ...typed]));
  if (plan.nodes.size === 0)
    throw new Error(
      `no node can compute with whole numbers${[...plan.refused.values()].slice(0, 1).map((w) => `: ${w}`)}`,
    );
  return plan;
}

/**
 * The quantised model. `ranges`: of the values that `plan.values` names as ranges. Inputs, outputs and the names of
 * values stay. The same input gives the same bytes.
 */
export function quantized(
  { model, folded, plan }: Prepared,
  ranges: ReadonlyMap<string, Range>,
): { readonly model: Model; readonly parts: QuantizedParts } {
  const writer = new QuantizeWriter(model, plan, ranges);
  const made = writer.graph();
  const { graph } = model;
  const nodes = liveNodes(
    made,
    graph.outputs.map((v) => v.name),
  );
  const read = new Set([...nodes.flatMap(readsOf), ...graph.outputs.map((v) => v.name)]);
  const known = new Set(nodes.flatMap((n) => n.outputs));
  return {
    model: {
      ...model,
      graph: {
        ...graph,
        nodes,
        initializers: [...graph.initializers, ...writer.tensors].filter((t) => read.has(t.name)),
        values: graph.values.filter((v) => known.has(v.name)),
      },
    },
    parts: { ...writer.parts, folded },
  };
}

class QuantizeWriter {
  readonly tensors: Tensor[] = [];
  readonly parts = {
    nodes: 0,
    left: {} as Record<string, number>,
    refused: [] as string[],
    activations: 0,
    tensors: 0,
    numbers: 0,
    empty: 0,
    widened: 0,
  };
  private readonly nodes: OnnxNode[] = [];
  private readonly names: Names;
  private readonly nodeNames: Names;
  private readonly read = new Map<string, string>(); // a stored value -> what its readers read
  private readonly scales = new Map<string, Scale & { readonly inputs: readonly [string, string] }>(); // by range
  private readonly whole = new Map<string, string>(); // weights that are written, by content

  constructor(
    private readonly m: Model,
    private readonly plan: QuantizePlan,
    private readonly ranges: ReadonlyMap<string, Range>,
  ) {
    const { graph } = m;
    const taken = [...graph.inputs.map((v) => v.name), ...graph.initializers.map((t) => t.name)];
    this.names = new Names([...taken, ...graph.nodes.flatMap((n) => n.outputs)]);
    this.nodeNames = new Names(graph.nodes.map((n) => n.name));
  }

  graph(): readonly OnnxNode[] {
    for (const v of this.m.graph.inputs) this.store(v.name);
    for (const n of this.m.graph.nodes) {
      this.nodes.push(this.plan.nodes.has(n) ? this.product(n) : this.other(n));
      this.count(n);
      for (const v of n.outputs) this.store(v);
    }
    return this.nodes;
  }

  private count(n: OnnxNode): void {
    const { plan, parts } = this;
    if (plan.nodes.has(n) || plan.tails.has(n)) parts.nodes++;
    else if (!n.outputs.every((v) => plan.constants.has(v))) {
      const op = n.domain === "" ? n.op : `${n.domain}::${n.op}`;
      parts.left[op] = (parts.left[op] ?? 0) + 1;
    }
    const why = plan.refused.get(n);
    if (why !== undefined) parts.refused.push(`${n.op} ${n.name || n.outputs[0]}: ${why}`);
  }

  /** Writes the pair behind a value that is stored as whole numbers. */
  private store(v: string): void {
    const root = this.plan.values.get(v);
    if (root === undefined) return;
    const { inputs } = this.scaleOf(root);
    const q = this.add("QuantizeLinear", [v, ...inputs], `${v}/quantized`);
    this.read.set(v, this.add("DequantizeLinear", [q, ...inputs], `${v}/dequantized`));
    this.parts.activations++;
  }

  /** The scale of the values with this range, and the tensors that have it. */
  private scaleOf(root: string): Scale & { readonly inputs: readonly [string, string] } {
    const known = this.scales.get(root);
    if (known) return known;
    const range = this.ranges.get(root);
    if (!range) throw new Error(`internal: no range of ${root}`);
    const s = scaleOf(range);
    const scale = this.tensor(`${root}/scale`, tensorOf("", "f32", [], Float32Array.of(s.scale)));
    const zero = this.tensor(`${root}/zero_point`, tensorOf("", "u8", [], Uint8Array.of(s.zero)));
    const made = { ...s, inputs: [scale, zero] as const };
    this.scales.set(root, made);
    return made;
  }

  /** A node that reads whole numbers: its activations, its weights and its bias. */
  private product(n: OnnxNode): OnnxNode {
    const acts = new Set(operands(n, this.plan.constants));
    const inputs = n.inputs.map((v) => (acts.has(v) ? (this.read.get(v) as string) : v));
    const constant = (i: number): Tensor | undefined => this.plan.constants.get(n.inputs[i] ?? "");
    const isProduct = n.op === "Conv" || n.op === "ConvTranspose" || n.op === "Gemm" || n.op === "MatMul";
    const w = isProduct ? constant(1) : undefined;
    if (!w) return { ...n, inputs };
    const { scale } = this.scaleOf(this.plan.values.get(n.inputs[0] as string) as string);
    const [name, biasName] = [n.inputs[1] as string, n.inputs[2] ?? ""];
    const { weight, bias, widened } = wholeWeights(n, scale, { ...w, name }, biasName ? constant(2) : undefined);
    inputs[1] = this.weights(name, weight, () => {
      this.parts.tensors++;
      this.parts.numbers += elementsOf(weight.tensor).length;
      this.parts.empty += emptyChannels(weight);
      this.parts.widened += widened;
    });
    if (bias) inputs[2] = this.weights(biasName, bias, () => {});
    const { alpha: _a, beta: _b, ...attributes } = n.attributes;
    return { ...n, inputs, ...(n.op === "Gemm" && { attributes }) };
  }

  /** A node that computes in f32. It reads a value as it is stored only if a quantised node made it. */
  private other(n: OnnxNode): OnnxNode {
    return { ...n, inputs: n.inputs.map((v) => (this.plan.made.has(v) ? (this.read.get(v) ?? v) : v)) };
  }

  /** The name of the numbers that `w` stands for. Equal weights are there once. */
  private weights(name: string, w: Whole, first: () => void): string {
    const key = `${name} ${w.axis} ${w.tensor.type} ${Buffer.from(w.scales.buffer).toString("base64")}`;
    const known = this.whole.get(key);
    if (known !== undefined) return known;
    first();
    const zeros = new Uint8Array(w.scales.length * elementBytes[w.tensor.type]);
    const inputs = [
      this.tensor(`${name}/quantized`, w.tensor),
      this.tensor(`${name}/scale`, tensorOf("", "f32", [w.scales.length], w.scales)),
      this.tensor(`${name}/zero_point`, { name: "", type: w.tensor.type, dims: [w.scales.length], data: zeros }),
    ];
    const made = this.add("DequantizeLinear", inputs, `${name}/dequantized`, w.axis);
    this.whole.set(key, made);
    return made;
  }

  private tensor(name: string, t: Tensor): string {
    const fresh = this.names.fresh(name);
    this.tensors.push({ ...t, name: fresh });
    return fresh;
  }

  private add(op: string, inputs: readonly string[], name: string, axis?: number): string {
    const output = this.names.fresh(name);
    this.nodes.push({
      name: this.nodeNames.fresh(`${output}/${op}`),
      op,
      domain: "",
      inputs,
      outputs: [output],
      attributes: axis === undefined ? {} : { axis: { kind: "int", value: axis } },
    });
    return output;
  }
}
