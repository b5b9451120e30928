// The model of another program after training: its own nodes with new values of its tensors, and behind its feature the
// classifier and the projection that were trained with it.

import { liveNodes } from "./foreign_graph.js";
import type { Attributes, Dim, Model, OnnxNode, Tensor, ValueInfo } from "./model.js";
import { readsOf } from "./subgraph.js";

/** A layer y = x W^T + b: weight [out, in], bias [out]. */
export interface Layer {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

/** The model's own scores of the classes, [N, classes] or [N, classes, 1, 1]. */
export interface Kept {
  readonly kept: string;
  readonly rank: number;
  readonly classes: number;
}

/** What a model is to return. A part that is undefined is left out. */
export interface Returned {
  readonly feature: string; // the model's tensor that the layers read
  readonly rank: number; // of that tensor: 2, 3 (tokens) or 4 (pixels)
  readonly size: number; // of the feature
  readonly logits?: Layer | Kept;
  readonly embedding?: readonly [Layer, Layer];
  readonly features?: true; // the feature itself
}

const UNLISTED = 4; // the version of the file format from which initializers need not be inputs
const GEMM = 7; // the operator set in which Gemm became what is written here
const AXES = 18; // from which the axes of ReduceMean are an input

/**
 * The model with `values` in place of the tensors of these names, and the outputs logits, embedding and features as far
 * as they are asked for. Throws if a name of the model is one that is added, or its operator set is too old.
 */
export function retrained(
  m: Model,
  values: ReadonlyMap<string, Tensor>,
  returned: Returned,
  metadata: Readonly<Record<string, string>>,
): Model {
  const opset = m.opsets.get("") ?? 0;
  if (opset < GEMM)
    throw new Error(`its operator set ${opset} has no layers that a new classifier could be written in`);
  const added = new Added(opset);
  const outputs: ValueInfo[] = [];
  const batch: Dim =
    m.graph.inputs.find((v) => !m.graph.initializers.some((t) => t.name === v.name))?.shape?.[0] ?? "N";
  const give = (name: string, size: number, from: string): void => {
    if (from !== name) added.node("Identity", [from], name);
    outputs.push({ name, type: "f32", shape: [batch, size] });
  };
  const row = (): string => added.row(returned.feature, returned.rank);
  const { logits, embedding } = returned;
  if (logits && "kept" in logits)
    give("logits", logits.classes, logits.rank === 2 ? logits.kept : added.flat(logits.kept));
  else if (logits) give("logits", logits.bias.dims[0] as number, added.layer(row(), logits));
  if (embedding) {
    const [first, second] = embedding;
    const hidden = added.node("Relu", [added.layer(row(), first)], `${first.weight.name}/relu`);
    const unit = added.node("LpNormalization", [added.layer(hidden, second)], "embedding/unit", {
      axis: { kind: "int", value: 1 },
      p: { kind: "int", value: 2 },
    });
    give("embedding", second.bias.dims[0] as number, unit);
  }
  if (returned.features) give("features", returned.size, row());

  const makesNone = (n: OnnxNode): boolean => !n.outputs.some((name) => values.has(name)); // of the weights
  const others = m.graph.nodes.filter(makesNone);
  const own = liveNodes(others, [returned.feature, ...(logits && "kept" in logits ? [logits.kept] : [])]);
  const nodes = liveNodes(
    [...own, ...added.nodes],
    outputs.map((v) => v.name),
  );
  const read = new Set(nodes.flatMap(readsOf));
  const readByOwn = new Set(own.flatMap(readsOf));
  const initializers = [
    ...m.graph.initializers.filter((t) => !values.has(t.name) && readByOwn.has(t.name)),
    ...values.values(),
    ...added.tensors.values(),
  ].filter((t) => read.has(t.name));
  requireUnique(nodes, initializers);
  const kept = m.graph.inputs.filter((v) => readByOwn.has(v.name));
  const listed = initializers.filter((t) => m.irVersion < UNLISTED && !kept.some((v) => v.name === t.name));
  const inputs = [...kept, ...listed.map(({ name, type, dims }): ValueInfo => ({ name, type, shape: dims }))];
  const known = new Set(nodes.flatMap((n) => n.outputs));
  const types = m.graph.values.filter((v) => known.has(v.name) && !outputs.some((o) => o.name === v.name));
  const graph = { ...m.graph, nodes, initializers, inputs, outputs, values: types };
  return { ...m, graph, producer: "moproc", metadata: new Map([...m.metadata, ...Object.entries(metadata)]) };
}

function requireUnique(nodes: readonly OnnxNode[], initializers: readonly Tensor[]): void {
  const names = new Set<string>();
  for (const name of [...initializers.map((t) => t.name), ...nodes.flatMap((n) => n.outputs)]) {
    if (name !== "" && names.has(name))
      throw new Error(`the model has a tensor ${name} already, which export would add`);
    names.add(name);
  }
}

/** The nodes and tensors behind the model's own. */
class Added {
  readonly nodes: OnnxNode[] = [];
  readonly tensors = new Map<string, Tensor>();

  constructor(private readonly opset: number) {}

  node(op: string, inputs: readonly string[], output: string, attributes: Attributes = {}): string {
    if (!this.nodes.some((n) => n.outputs.includes(output)))
      this.nodes.push({ name: output, op, domain: "", inputs, outputs: [output], attributes });
    return output;
  }

  layer(x: string, { weight, bias }: Layer): string {
    for (const t of [weight, bias]) this.tensors.set(t.name, t);
    const transposed = { transB: { kind: "int", value: 1 } } as const;
    return this.node("Gemm", [x, weight.name, bias.name], `${weight.name}/product`, transposed);
  }

  /** [N, C, 1, 1] as [N, C]. */
  flat(name: string): string {
    return this.node("Flatten", [name], `${name}/row`, { axis: { kind: "int", value: 1 } });
  }

  /** A feature as [N, C]: the mean over pixels or tokens. */
  row(name: string, rank: number): string {
    if (rank === 2) return name;
    if (rank === 4) return this.flat(this.node("GlobalAveragePool", [name], `${name}/mean`));
    const keepdims = { keepdims: { kind: "int", value: 0 } } as const;
    if (this.opset < AXES)
      return this.node("ReduceMean", [name], `${name}/mean`, { axes: { kind: "ints", value: [1] }, ...keepdims });
    const axes = `${name}/axes`;
    this.tensors.set(axes, { name: axes, type: "i64", dims: [1], data: new Uint8Array(BigInt64Array.of(1n).buffer) });
    return this.node("ReduceMean", [name, axes], `${name}/mean`, keepdims);
  }
}
