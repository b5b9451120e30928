// The functions whose values and gradients test/onnx/gradients_torch.test.ts compares with PyTorch's; the page of
// conformance names their operators. Operators that PyTorch has no function for are not here: the test has no peer for
// them, only central differences. Selu's own constants are rounded to f32 in ONNX and not in PyTorch, so its case names
// others.

import { peerCase as on, type PeerCase, type PeerInput, real, truth, whole } from "./peer_case.js";
import { peerLayers } from "./peer_layers.js";

const f = (float: number): { readonly float: number } => ({ float });
const x: PeerInput = real([3, 7], -2, 2);
const each = (names: readonly string[], low: number, high: number): PeerCase[] =>
  names.map((name) => on(name, [real([3, 7], low, high)]));

const elementwise: readonly PeerCase[] = [
  ...each(["Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Erf", "Abs", "Exp", "Neg", "Identity"], -2, 2),
  ...each(["Elu", "Celu", "Gelu", "Mish", "LeakyRelu", "ThresholdedRelu", "HardSigmoid"], -2, 2),
  ...each(["HardSwish"], -4, 4),
  ...each(["Sin", "Cos", "Sinh", "Cosh", "Atan", "Asinh"], -2, 2),
  ...each(["Tan"], -1, 1),
  ...each(["Asin", "Acos", "Atanh"], -0.9, 0.9),
  ...each(["Acosh"], 1.1, 3),
  ...each(["Log", "Sqrt", "Reciprocal"], 0.2, 2),
  on("Swish", [x], { alpha: f(1.5) }, { opset: 24 }),
  on("Elu", [x], { alpha: f(0.75) }),
  on("Celu", [x], { alpha: f(0.75) }),
  on("Selu", [x], { alpha: f(1.5), gamma: f(1.25) }),
  on("Gelu", [x], { approximate: "tanh" }),
  on("LeakyRelu", [x], { alpha: f(0.125) }),
  on("ThresholdedRelu", [x], { alpha: f(0.5) }),
  on("HardSigmoid", [x], { alpha: f(0.25), beta: f(0.375) }),
  on("Shrink", [x], { lambd: f(0.5), bias: f(0.5) }),
  on("Shrink", [x], { lambd: f(0.75) }),
  on("PRelu", [real([2, 3, 4]), real([3, 1])]),
  on("PRelu", [real([2, 3, 4]), real([1])]),
  on("Clip", [x, real([], -0.5, -0.5), real([], 0.75, 0.75)], {}, { fixed: [1, 2] }),
];

const a = real([2, 3, 4], 0.2, 2);
const operands: readonly PeerCase[] = [
  ...["Add", "Sub", "Mul", "Div", "Max", "Min"].flatMap((name) => [
    on(name, [real([2, 3, 4]), real([2, 3, 4], 0.2, 2)]),
    on(name, [real([3, 1]), real([2, 1, 4], 0.2, 2)]),
  ]),
  on("Pow", [a, real([2, 3, 4])]),
  on("Pow", [a, real([4])]),
  on("Mod", [real([2, 3, 4], -3, 3), real([4], 0.7, 1)], { fmod: 1 }, { fixed: [1] }),
  on("Sum", [real([2, 3]), real([3]), real([2, 1])]),
  on("Mean", [real([2, 3]), real([3]), real([2, 1])]),
  on("Max", [real([2, 3]), real([3]), real([2, 1])]),
  on("Where", [truth([1, 0, 1, 1, 0, 0], [2, 3]), real([2, 3]), real([3])]),
];

const reductions: readonly PeerCase[] = [
  ...["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSumExp"].flatMap((name) => [
    on(`Reduce${name}`, [real([3, 4, 2]), whole([1])], { keepdims: 0 }),
    on(`Reduce${name}`, [real([3, 4, 2]), whole([0, 2])]),
    on(`Reduce${name}`, [real([3, 4])]),
  ]),
  on("ReduceLogSum", [real([3, 4, 2], 0.2, 2), whole([1])], { keepdims: 0 }),
  ...["Softmax", "LogSoftmax"].flatMap((name) => [
    on(name, [real([3, 7], -2, 2)]),
    on(name, [real([2, 3, 4], -2, 2)], { axis: 1 }),
    on(name, [real([2, 3, 2, 2], -2, 2)], { axis: 0 }),
  ]),
  on("CumSum", [real([3, 4]), whole([1], [])]),
  on("CumSum", [real([3, 4]), whole([0], [])], { reverse: 1 }),
  on("CumSum", [real([3, 4]), whole([0], [])], { exclusive: 1 }),
  ...[{}, { reverse: 1 }, { exclusive: 1 }, { exclusive: 1, reverse: 1 }].map((attributes) =>
    on("CumProd", [real([3, 4]), whole([1], [])], attributes, { opset: 26 }),
  ),
  on("TopK", [real([3, 7]), whole([3])]),
  on("TopK", [real([4, 5]), whole([2])], { axis: 0, largest: 0 }),
];

const moves: readonly PeerCase[] = [
  on("Concat", [real([2, 3]), real([2, 1]), real([2, 2])], { axis: 1 }),
  on("Split", [real([6, 4]), whole([1, 3, 2])], { axis: 0 }, { outputs: 3 }),
  on("Slice", [real([5, 6]), whole([1, -1]), whole([4, -7]), whole([0, 1]), whole([2, -2])]),
  on("Transpose", [real([2, 3, 4, 5])], { perm: [2, 0, 3, 1] }),
  on("Reshape", [real([2, 3, 4]), whole([4, -1])]),
  on("Flatten", [real([2, 3, 4])], { axis: 2 }),
  on("Squeeze", [real([2, 1, 3, 1]), whole([1])]),
  on("Unsqueeze", [real([2, 3]), whole([0, 2])]),
  on("Expand", [real([3, 1]), whole([2, 3, 4])]),
  on("Tile", [real([2, 3]), whole([2, 3])]),
  on("Pad", [real([2, 3, 4]), whole([0, 1, 2, 1, 0, 1]), real([], 0.5, 0.5)], { mode: "constant" }, { fixed: [2] }),
  ...["reflect", "edge", "wrap"].map((mode) =>
    on("Pad", [real([2, 3, 4, 5]), whole([0, 0, 1, 2, 0, 0, 2, 1])], { mode }),
  ),
  on("Trilu", [real([2, 4, 5]), whole([1], [])]),
  on("Trilu", [real([4, 3])], { upper: 0 }),
  on("Compress", [real([3, 4]), truth([1, 0, 1])], { axis: 0 }),
  on("DepthToSpace", [real([2, 8, 2, 3])], { blocksize: 2, mode: "CRD" }),
  on("DepthToSpace", [real([2, 8, 2, 3])], { blocksize: 2 }),
  on("SpaceToDepth", [real([2, 2, 4, 6])], { blocksize: 2 }),
];

const places = whole([2, 0, 1, 1, 0, 2], [2, 3]); // of axis 0 of a matrix [3, 3]
const distinct = whole([2, 0, 1, 1, 2, 0], [2, 3]); // no element twice along axis 0
const indexing: readonly PeerCase[] = [
  on("Gather", [real([4, 3]), whole([3, 0, 0, -1], [2, 2])]),
  on("Gather", [real([2, 4, 3]), whole([3, 1, 1])], { axis: 1 }),
  on("GatherElements", [real([3, 3]), places]),
  on("GatherElements", [real([3, 4]), whole([3, 0, 0, 1, 2, 2], [3, 2])], { axis: 1 }),
  on("GatherND", [real([3, 4, 2]), whole([0, 1, 2, 3, 0, 1], [3, 2])]),
  on("GatherND", [real([2, 4, 3]), whole([1, 3], [2, 1])], { batch_dims: 1 }),
  on("Scatter", [real([3, 3]), distinct, real([2, 3])], {}, { opset: 10 }),
  on("ScatterElements", [real([3, 3]), distinct, real([2, 3])]),
  on("ScatterElements", [real([3, 3]), places, real([2, 3])], { reduction: "add" }),
  on("ScatterElements", [real([3, 3], 0.5, 2), distinct, real([2, 3], 0.5, 2)], { reduction: "mul" }),
  on("ScatterElements", [real([3, 3]), distinct, real([2, 3])], { reduction: "max" }),
  on("ScatterND", [real([4, 3]), whole([2, 0], [2, 1]), real([2, 3])]),
  on("ScatterND", [real([4, 3]), whole([2, 2, 0], [3, 1]), real([3, 3])], { reduction: "add" }),
  on("ReverseSequence", [real([4, 3, 2]), whole([1, 3, 4])]),
];

const sampled = real([2, 3, 4, 5]);
const size = (...sizes: readonly number[]): (PeerInput | undefined)[] => [sampled, undefined, undefined, whole(sizes)];
const sampling: readonly PeerCase[] = [
  on("Resize", size(2, 3, 8, 10), { coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" }),
  on("Resize", size(2, 3, 7, 8), { mode: "linear" }),
  on("Resize", size(2, 3, 7, 8), { mode: "linear", coordinate_transformation_mode: "align_corners" }),
  on("Resize", size(2, 3, 2, 3), { mode: "linear", antialias: 1, exclude_outside: 1 }),
  on("Resize", size(2, 3, 7, 8), { mode: "cubic", cubic_coeff_a: f(-0.75) }),
  on("Resize", size(2, 3, 7, 8), {
    mode: "cubic",
    cubic_coeff_a: f(-0.75),
    coordinate_transformation_mode: "align_corners",
  }),
  ...["linear", "nearest", "cubic"].flatMap((mode) =>
    [0, 1].map((align_corners) =>
      on("GridSample", [sampled, real([2, 3, 4, 2], -1.2, 1.2)], { mode, align_corners, padding_mode: "zeros" }),
    ),
  ),
  ...["border", "reflection"].map((padding_mode) =>
    on("GridSample", [sampled, real([2, 3, 4, 2], -1.4, 1.4)], { padding_mode }),
  ),
  on("GridSample", [real([1, 2, 3, 4, 3]), real([1, 2, 3, 2, 3], -1.2, 1.2)]),
  ...[0, 1].map((align_corners) => on("AffineGrid", [real([2, 2, 3]), whole([2, 3, 4, 5])], { align_corners })),
  on("AffineGrid", [real([1, 3, 4]), whole([1, 2, 3, 4, 2])], {}),
];

/** All cases. */
export const peerCases: readonly PeerCase[] = [
  ...elementwise,
  ...operands,
  ...reductions,
  ...moves,
  ...indexing,
  ...sampling,
  ...peerLayers,
];

/** The number of cases by operator, in the order of names. */
export function peerCounts(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { operator } of peerCases) counts.set(operator, (counts.get(operator) ?? 0) + 1);
  return new Map([...counts].toSorted(([p], [q]) => p.localeCompare(q, "en")));
}
