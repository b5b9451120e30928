// Decides, for a model in half precision, in which type every node reads its inputs and makes its results.

import { numbersTensor, type OnnxGraph, type OnnxNode, type Tensor } from "./model.js";

export type Float = "f32" | "f16";

/** TensorProto.DataType. */
export const typeNumber: Readonly<Record<Float, number>> = { f32: 1, f16: 10 };

export interface Plan {
  readonly types: ReadonlyMap<string, Float | undefined>; // of values and constants; undefined: no float
  readonly reads: ReadonlyMap<OnnxNode, readonly (Float | undefined)[]>; // by input; undefined: as it is
  readonly wants: ReadonlyMap<string, ReadonlySet<Float>>; // the types in which a constant is read
}

/** A constant of f32 numbers: an initializer, or what a node makes of the tensor in its attribute. */
export interface Constant {
  readonly tensor: Tensor; // with the name of the value
}

const words = (text: string): string[] => text.trim().split(/\s+/);

/** Sums of products, which every device accumulates in more than f16. */
const products = words("Conv ConvTranspose Gemm MatMul");
/** Operators whose range or rounding needs f32: they sum, square, divide by sums, or are exponentials and roots. */
const full = words(`
  AveragePool GlobalAveragePool ReduceMean ReduceSum ReduceSumSquare ReduceL1 ReduceL2 LpNormalization LRN
  LayerNormalization InstanceNormalization GroupNormalization Softmax LogSoftmax Exp Log Sqrt Pow Erf Reciprocal
  Softplus Resize Range`);
/** Operators that are f32 if a value that they read is, and else f16. A constant follows the values. */
const following = words(`
  Add Sub Mul Div Neg Abs Max Min Clip Relu LeakyRelu PRelu Elu Sigmoid Tanh HardSigmoid HardSwish Where
  BatchNormalization MaxPool GlobalMaxPool ReduceMax ReduceMin Identity Dropout Reshape Transpose Flatten Squeeze
  Unsqueeze Concat Slice Split Gather Expand Pad Tile DepthToSpace SpaceToDepth`);
const comparisons = words("Equal Greater Less GreaterOrEqual LessOrEqual ArgMax ArgMin");
const shapes = words("Shape Size Not And Or Constant ConstantOfShape");

type Kind = "product" | "full" | "following" | "comparison" | "shape";
const kinds: ReadonlyMap<string, Kind> = new Map([
  ...products.map((op) => [op, "product"] as const),
  ...full.map((op) => [op, "full"] as const),
  ...following.map((op) => [op, "following"] as const),
  ...comparisons.map((op) => [op, "comparison"] as const),
  ...shapes.map((op) => [op, "shape"] as const),
]);

/** The constants of f32 by the names of their values. Throws if one is a float of another type, or an input, too. */
export function constantsOf(g: OnnxGraph): ReadonlyMap<string, Constant> {
  const inputs = new Set(g.inputs.map((v) => v.name));
  const found = new Map<string, Constant>();
  const add = (name: string, t: Tensor): void => {
    requireF32(name, t.type);
    if (t.type === "f32") found.set(name, { tensor: { ...t, name } });
  };
  for (const t of g.initializers) {
    if (inputs.has(t.name)) throw new Error(`input ${t.name} has a default value, which is not supported in f16`);
    add(t.name, t);
  }
  for (const n of g.nodes) {
    const t = n.domain === "" ? attributeOf(n) : undefined;
    if (t) add(n.outputs[0] as string, t);
  }
  return found;
}

function attributeOf({ op, attributes: a }: OnnxNode): Tensor | undefined {
  if (op !== "Constant" && op !== "ConstantOfShape") return undefined;
  if (a.value?.kind === "tensor") return a.value.value;
  if (op === "ConstantOfShape") return numbersTensor("", "f32", [1], [0]);
  if (a.value_float?.kind === "float") return numbersTensor("", "f32", [], [a.value_float.value]);
  if (a.value_floats?.kind !== "floats") return undefined;
  return numbersTensor("", "f32", [a.value_floats.value.length], a.value_floats.value);
}

function requireF32(name: string, type: string): void {
  if (["f64", "f16", "bf16"].includes(type)) throw new Error(`${name} is ${type}: only f32 can become f16`);
}

/** Throws, naming the node, for an operator without a rule. `opset`: 13 or later. */
export function planOf(g: OnnxGraph, opset: number): Plan {
  const constants = constantsOf(g);
  const types = new Map<string, Float | undefined>();
  const reads = new Map<OnnxNode, readonly (Float | undefined)[]>();
  const wants = new Map<string, Set<Float>>();
  const want = (name: string, type: Float): void => {
    if (constants.has(name)) wants.set(name, (wants.get(name) ?? new Set()).add(type));
  };
  for (const v of g.inputs) {
    requireF32(`input ${v.name}`, v.type);
    types.set(v.name, v.type === "f32" ? "f32" : undefined);
  }
  for (const t of g.initializers) types.set(t.name, t.type === "f32" ? "f32" : undefined);
  for (const n of g.nodes) {
    const { inputs, makes } = nodePlan(n, opset, (v) => types.get(v), constants);
    reads.set(n, inputs);
    n.inputs.forEach((v, i) => want(v, inputs[i] ?? "f32"));
    n.outputs.forEach((v, i) => types.set(v, i === 0 || n.op === "Split" ? makes : undefined));
  }
  for (const v of g.outputs) want(v.name, "f32");
  return { types, reads, wants };
}

interface NodePlan {
  readonly inputs: readonly (Float | undefined)[];
  readonly makes: Float | undefined;
}

function nodePlan(
  n: OnnxNode,
  opset: number,
  type: (name: string) => Float | undefined,
  constants: ReadonlyMap<string, Constant>,
): NodePlan {
  const asIs = n.inputs.map(() => undefined);
  if (n.op === "Cast" && n.domain === "") return { inputs: asIs, makes: castTo(n) };
  const kind = n.domain === "" ? kinds.get(n.op) : undefined;
  if (kind === undefined)
    throw new Error(
      `node ${n.name || n.outputs[0]}: the operator ${n.domain && `${n.domain}::`}${n.op} has no f16 rule`,
    );
  if (kind === "shape") return { inputs: asIs, makes: constants.has(n.outputs[0] as string) ? "f32" : undefined };
  const floats = n.inputs.map((v) => type(v) !== undefined);
  if (!floats.includes(true)) return { inputs: asIs, makes: undefined };
  const own = precisionOf(n, kind, type, constants);
  const inputs = floats.map((float, i) => (float ? (own === "f16" ? halfInput(n, i, opset) : own) : undefined));
  return { inputs, makes: kind === "comparison" ? undefined : own };
}

/** The type of a Cast's result. */
function castTo({ name, outputs, attributes: { to } }: OnnxNode): Float | undefined {
  const number = to?.kind === "int" ? to.value : 0;
  if (number === 10 || number === 11 || number === 16)
    throw new Error(`node ${name || outputs[0]} casts to another float type than f32`);
  return number === typeNumber.f32 ? "f32" : undefined;
}

function precisionOf(
  n: OnnxNode,
  kind: Kind,
  type: (name: string) => Float | undefined,
  constants: ReadonlyMap<string, Constant>,
): Float {
  if (kind === "product") return "f16";
  const square = n.op === "Mul" && n.inputs[0] === n.inputs[1];
  if (kind !== "following" || square) return "f32";
  return n.inputs.some((v) => !constants.has(v) && type(v) === "f32") ? "f32" : "f16";
}

/** BatchNormalization takes mean and variance of another type than x from opset 14, scale and bias from 15. */
function halfInput(n: OnnxNode, i: number, opset: number): Float {
  if (n.op !== "BatchNormalization" || i === 0) return "f16";
  return opset >= 15 || (opset === 14 && i > 2) ? "f32" : "f16";
}
