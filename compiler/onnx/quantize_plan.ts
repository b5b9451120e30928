// Decides, for a model of 8 bits, which nodes compute with whole numbers and which values between nodes are stored as
// such. Products decide: other operators are quantised only between quantised nodes, where that spares a conversion.

import { computedConstants, constantTensors } from "./constant_tensors.js";
import type { OnnxGraph, OnnxNode, Tensor } from "./model.js";
import { readsOf } from "./subgraph.js";

/** Which nodes and values become whole numbers. */
export interface QuantizePlan {
  readonly nodes: ReadonlySet<OnnxNode>; // that compute with them
  readonly tails: ReadonlySet<OnnxNode>; // Relu and Clip right behind such nodes, which are part of their rounding
  /** The activations that are stored as u8, with the value whose range each has: itself, or what it was moved from. */
  readonly values: ReadonlyMap<string, string>;
  readonly made: ReadonlySet<string>; // values that quantised nodes make
  readonly refused: ReadonlyMap<OnnxNode, string>; // products that stay f32, and why
  readonly constants: ReadonlyMap<string, Tensor>; // of all types, by the names under which nodes read them
}

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** Sums of products. */
const products = words("Conv ConvTranspose Gemm MatMul");
/** Products that compute with whole numbers only if their result is stored as such. */
const stored = words("Conv ConvTranspose");
/** Operators whose results are elements of their first input, and so have its scale. */
const moves = words(`
  Reshape Transpose Flatten Squeeze Unsqueeze Identity Slice Split Expand Tile Gather DepthToSpace SpaceToDepth
  MaxPool GlobalMaxPool Dropout`);
/** Operators with a scale of their own. */
const joins = words("Add Mul Concat AveragePool GlobalAveragePool");
/** Operators behind a node that its rounding does as well, because the range of the result is theirs. */
const bounds = words("Relu Clip");

/**
 * The plan for a graph of operators of ai.onnx of set `opset`, 13 or later. `others`: values that are known to be of
 * another type than f32, which stay as they are. Throws if the graph has whole numbers with scales already.
 */
export function quantizePlan(g: OnnxGraph, opset: number, others: ReadonlySet<string>): QuantizePlan {
  const done = g.nodes.find((n) => n.op === "QuantizeLinear" || n.op === "DequantizeLinear");
  if (done) throw new Error(`node ${done.name || done.outputs[0]}: the model has quantised values already`);
  return new Planner(g, opset, others).plan();
}

class Planner {
  private readonly constants: ReadonlyMap<string, Tensor>;
  private readonly computed: ReadonlySet<string>; // of constants alone, but by nodes
  private readonly readers = new Map<string, OnnxNode[]>(); // a node that reads a value twice is there twice
  private readonly outputs: ReadonlySet<string>;
  private readonly nodes = new Set<OnnxNode>();
  private readonly refused = new Map<OnnxNode, string>();
  private readonly makers = new Map<string, OnnxNode>(); // of the nodes' results behind their tails

  constructor(
    private readonly g: OnnxGraph,
    opset: number,
    private readonly others: ReadonlySet<string>,
  ) {
    this.constants = constantTensors(g, opset);
    this.computed = computedConstants(g, this.constants);
    this.outputs = new Set(g.outputs.map((v) => v.name));
    for (const n of g.nodes) for (const name of readsOf(n)) this.readers.set(name, [...this.readersOf(name), n]);
  }

  plan(): QuantizePlan {
    for (const n of this.g.nodes) {
      if (n.domain !== "") continue;
      const why = products.has(n.op) ? this.refusal(n) : undefined;
      if (why !== undefined) this.refused.set(n, why);
      else if (products.has(n.op) || this.mayFollow(n)) this.nodes.add(n);
    }
    for (const n of this.nodes) for (const name of this.results(n)) this.makers.set(name, n);
    while (this.dropOne());
    const values = this.values();
    const tails = [...this.nodes].flatMap((n) => this.tail(n) ?? []);
    return {
      nodes: this.nodes,
      tails: new Set(tails.filter((n) => values.has(n.outputs[0] as string))),
      values,
      made: new Set(this.makers.keys()),
      refused: this.refused,
      constants: this.constants,
    };
  }

  private readersOf(name: string): readonly OnnxNode[] {
    return this.readers.get(name) ?? [];
  }
  private operands(n: OnnxNode): readonly string[] {
    return operands(n, this.constants);
  }
  private isConstant(name: string): boolean {
    return this.constants.has(name) || this.computed.has(name);
  }

  /** Why a product stays f32; undefined: it need not. */
  private refusal(n: OnnxNode): string | undefined {
    const [x = "", w = "", b = ""] = n.inputs;
    if ([x, w, ...n.outputs].some((v) => this.others.has(v))) return "its values are not f32";
    if (this.isConstant(x)) return "its first operand is a constant";
    if (n.op === "MatMul" && !this.isConstant(w)) return undefined;
    const weights = this.constants.get(w);
    if (!weights) return this.computed.has(w) ? "its weights are computed by nodes" : "its weights are no constant";
    if (weights.type !== "f32") return `its weights are ${weights.type}`;
    if (weights.dims.length < 2) return "its weights are a vector";
    if (b === "") return undefined;
    const bias = this.constants.get(b);
    if (!bias) return "its bias is no constant";
    const size = bias.dims.reduce((p, d) => p * d, 1);
    return bias.dims.at(-1) === size || size === 1 ? undefined : "its bias is a matrix";
  }

  /** Whether a node that is no product may be quantised if its neighbours are. */
  private mayFollow(n: OnnxNode): boolean {
    const known = moves.has(n.op) ? n.outputs.length === 1 || n.op === "Split" : joins.has(n.op);
    if (n.op === "Dropout" && (n.inputs[2] ?? "") !== "") return false; // it may be training
    return known && ![...this.operands(n), ...n.outputs].some((v) => this.others.has(v) || this.isConstant(v));
  }

  /** Takes nodes out of the plan whose neighbours do not need whole numbers; false: there are none. */
  private dropOne(): boolean {
    let dropped = false;
    for (const n of [...this.nodes].toReversed()) {
      if (products.has(n.op)) continue;
      const isRead = this.results(n).some((v) => this.readersOf(v).some((r) => this.reads(r, v)));
      const isFed = this.operands(n).every((v) => this.makers.has(v) || this.isMultiplied(v));
      if (isRead && isFed) continue;
      this.nodes.delete(n);
      for (const v of this.results(n)) this.makers.delete(v);
      dropped = true;
    }
    return dropped;
  }

  /** Whether a quantised node reads the value as an activation. */
  private reads(n: OnnxNode, value: string): boolean {
    return this.nodes.has(n) && this.operands(n).includes(value);
  }
  private isMultiplied(value: string): boolean {
    return this.readersOf(value).some((n) => products.has(n.op) && this.reads(n, value));
  }

  /** The Relu or Clip that alone reads the result of a node, if the node's rounding can do its work. */
  private tail(n: OnnxNode): OnnxNode | undefined {
    const [result = "", other] = n.outputs;
    const [reader, more] = this.readersOf(result);
    if (other !== undefined || moves.has(n.op) || this.outputs.has(result) || more || !reader) return undefined;
    if (reader.domain !== "" || !bounds.has(reader.op) || reader.inputs[0] !== result) return undefined;
    return reader.inputs.slice(1).every((v) => v === "" || this.constants.has(v)) ? reader : undefined;
  }

  /** The results of a node, behind its tail. */
  private results(n: OnnxNode): readonly string[] {
    return this.tail(n)?.outputs ?? n.outputs.filter((v) => v !== "");
  }

  private values(): ReadonlyMap<string, string> {
    const values = new Map<string, string>();
    for (const n of this.g.nodes) {
      if (!this.nodes.has(n)) continue;
      for (const v of this.operands(n)) if (!values.has(v)) values.set(v, v);
      const from = this.operands(n)[0] as string;
      const isStored = !products.has(n.op) || stored.has(n.op);
      for (const v of this.results(n)) {
        const isRead = this.readersOf(v).some((r) => this.reads(r, v));
        if (isRead || (isStored && !this.outputs.has(v)))
          values.set(v, moves.has(n.op) ? (values.get(from) as string) : v);
      }
    }
    return values;
  }
}

/** The inputs of a node with a rule that are activations: no weights, shapes or the like. */
export function operands(n: OnnxNode, constants: ReadonlyMap<string, Tensor>): readonly string[] {
  if (joins.has(n.op)) return n.inputs;
  if (n.op === "MatMul") return n.inputs.filter((v) => !constants.has(v));
  return n.inputs.slice(0, 1);
}
