// Cases for PyTorch: operators with parameters, windows, statistics or a state.

import { peerCase as on, type PeerCase, type PeerInput, real, whole } from "./peer_case.js";

const f = (float: number): { readonly float: number } => ({ float });
const image = real([2, 4, 6, 5]);

const convolutions: readonly PeerCase[] = [
  on("Conv", [real([2, 3, 8]), real([4, 3, 3]), real([4])], { strides: [2], pads: [1, 1] }),
  on("Conv", [image, real([6, 4, 3, 3]), real([6])], { pads: [1, 1, 1, 1] }),
  on("Conv", [image, real([6, 4, 1, 1])], {}),
  on("Conv", [image, real([6, 4, 3, 3])], { strides: [2, 2], pads: [1, 1, 1, 1] }),
  on("Conv", [image, real([6, 2, 3, 3]), real([6])], { group: 2, pads: [1, 1, 1, 1], strides: [2, 1] }),
  on("Conv", [image, real([4, 1, 3, 3])], { group: 4, pads: [1, 1, 1, 1] }),
  on("Conv", [image, real([8, 1, 3, 3])], { group: 4 }),
  on("Conv", [image, real([3, 4, 3, 2])], { dilations: [2, 1], pads: [2, 0, 1, 1] }),
  on("Conv", [real([1, 2, 4, 5, 4]), real([3, 2, 2, 3, 2]), real([3])], {
    strides: [1, 2, 1],
    pads: [1, 1, 0, 1, 1, 0],
  }),
  on("ConvTranspose", [real([2, 3, 5]), real([3, 4, 3]), real([4])], { strides: [2], pads: [1, 1] }),
  on("ConvTranspose", [real([2, 4, 3, 4]), real([4, 3, 3, 3]), real([3])], {
    strides: [2, 2],
    pads: [1, 1, 1, 1],
    output_padding: [1, 1],
  }),
  on("ConvTranspose", [real([2, 4, 3, 4]), real([4, 3, 2, 2])], { group: 2, strides: [2, 1] }),
  on("ConvTranspose", [real([1, 2, 4, 3]), real([2, 3, 3, 3])], { dilations: [2, 1] }),
  on("ConvTranspose", [real([1, 2, 3, 2, 3]), real([2, 2, 2, 2, 2])], { strides: [2, 1, 1] }),
  on("Col2Im", [real([2, 12, 9]), whole([4, 4]), whole([2, 2])], {}),
  on("Col2Im", [real([1, 8, 9]), whole([5, 4]), whole([2, 2])], { strides: [2, 2], pads: [1, 1, 0, 1] }),
];

const pools: readonly PeerCase[] = [
  on("AveragePool", [real([2, 3, 8])], { kernel_shape: [3], strides: [2], pads: [1, 1] }),
  on("AveragePool", [image], { kernel_shape: [2, 2], strides: [2, 2] }),
  on("AveragePool", [image], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 }),
  on("AveragePool", [image], { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 0] }),
  on("AveragePool", [real([1, 2, 4, 4, 5])], { kernel_shape: [2, 2, 3] }),
  on("MaxPool", [real([2, 3, 8])], { kernel_shape: [3], strides: [2], pads: [1, 1] }),
  on("MaxPool", [image], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }),
  on("MaxPool", [image], { kernel_shape: [2, 2], dilations: [2, 1] }),
  on("MaxPool", [real([2, 3, 6, 6])], { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }),
  on("MaxPool", [real([1, 2, 4, 4, 5])], { kernel_shape: [2, 2, 2], strides: [1, 2, 2] }),
  on("LpPool", [image], { kernel_shape: [2, 3], strides: [2, 1], p: 2 }),
  on("LpPool", [real([2, 3, 7], 0.1, 1)], { kernel_shape: [2], p: 3 }),
  on("GlobalAveragePool", [image]),
  on("GlobalMaxPool", [image]),
  on("MaxUnpool", [real([1, 1, 2, 2]), whole([5, 7, 13, 15], [1, 1, 2, 2])], { kernel_shape: [2, 2], strides: [2, 2] }),
];

const channels = (low: number, high: number): PeerInput => real([4], low, high);
const normalizations: readonly PeerCase[] = [
  on("BatchNormalization", [image, channels(0.5, 2), channels(-1, 1), channels(-1, 1), channels(0.5, 2)], {
    epsilon: f(0.0625),
  }),
  on(
    "BatchNormalization",
    [image, channels(0.5, 2), channels(-1, 1), channels(-1, 1), channels(0.5, 2)],
    { epsilon: f(0.0625), training_mode: 1 },
    { fixed: [3, 4] }, // the output depends on the statistics of the batch alone
  ),
  on("InstanceNormalization", [image, channels(0.5, 2), channels(-1, 1)], { epsilon: f(0.0625) }),
  on("InstanceNormalization", [real([2, 4, 7]), channels(0.5, 2), channels(-1, 1)], { epsilon: f(0.0625) }),
  on("GroupNormalization", [image, channels(0.5, 2), channels(-1, 1)], { num_groups: 2, epsilon: f(0.0625) }),
  on("LayerNormalization", [real([3, 4, 5]), real([5]), real([5])], { epsilon: f(0.0625) }),
  on("LayerNormalization", [real([3, 4, 5]), real([4, 5])], { axis: 1, epsilon: f(0.0625) }),
  on("RMSNormalization", [real([3, 4, 5]), real([5])], { epsilon: f(0.0625) }, { opset: 23 }),
  on("LpNormalization", [real([3, 4, 5])], { axis: 1, p: 2 }),
  on("LpNormalization", [real([3, 4, 5])], { p: 1 }),
  on("LRN", [image], { size: 3, alpha: f(0.5), beta: f(0.75), bias: f(1.5) }),
  on("MeanVarianceNormalization", [image]),
];

/** The weights of a recurrent layer of 3 inputs and 4 hidden values, with its bias, and its first states. */
const recurrent = (gates: number, directions: number, states: number): (PeerInput | undefined)[] => [
  real([5, 2, 3]),
  real([directions, 4 * gates, 3]),
  real([directions, 4 * gates, 4]),
  real([directions, 8 * gates]),
  undefined,
  ...Array.from({ length: states }, () => real([directions, 2, 4])),
];
const layers: readonly PeerCase[] = [
  on("RNN", recurrent(1, 1, 1), { hidden_size: 4 }, { outputs: 2 }),
  on("RNN", recurrent(1, 2, 1), { hidden_size: 4, direction: "bidirectional" }, { outputs: 2 }),
  on("RNN", recurrent(1, 1, 1), { hidden_size: 4, activations: { texts: ["Relu"] } }, { outputs: 2 }),
  on("GRU", recurrent(3, 1, 1), { hidden_size: 4, linear_before_reset: 1 }, { outputs: 2 }),
  on("GRU", recurrent(3, 2, 1), { hidden_size: 4, linear_before_reset: 1, direction: "bidirectional" }, { outputs: 2 }),
  on("LSTM", recurrent(4, 1, 2), { hidden_size: 4 }, { outputs: 3 }),
  on("LSTM", recurrent(4, 2, 2), { hidden_size: 4, direction: "bidirectional" }, { outputs: 3 }),
  on("Attention", [real([2, 3, 4, 5]), real([2, 3, 6, 5]), real([2, 3, 6, 7])], {}, { opset: 23 }),
  on("Attention", [real([2, 4, 4, 5]), real([2, 2, 4, 5]), real([2, 2, 4, 5])], { is_causal: 1 }, { opset: 23 }),
  on("Attention", [real([2, 3, 4, 5]), real([2, 3, 6, 5]), real([2, 3, 6, 7]), real([4, 6])], {}, { opset: 23 }),
];

const products: readonly PeerCase[] = [
  on("MatMul", [real([3, 4]), real([4, 5])]),
  on("MatMul", [real([2, 3, 4]), real([4, 5])]),
  on("MatMul", [real([2, 1, 3, 4]), real([3, 4, 2])]),
  on("MatMul", [real([4]), real([2, 4, 3])]),
  on("Gemm", [real([3, 4]), real([4, 5]), real([5])]),
  on("Gemm", [real([4, 3]), real([5, 4]), real([3, 1])], { transA: 1, transB: 1, alpha: f(0.5), beta: f(1.5) }),
  on("Gemm", [real([3, 4]), real([4, 5])], { alpha: f(0.25) }),
  on("Einsum", [real([2, 3, 4]), real([2, 4, 5])], { equation: "bij,bjk->bik" }),
  on("Einsum", [real([3, 4]), real([4, 5]), real([5, 2])], { equation: "ij,jk,kl->li" }),
  on("Einsum", [real([4, 4])], { equation: "ii->i" }),
  on("Einsum", [real([2, 3]), real([2, 4])], { equation: "ai,aj->ij" }),
  on("Det", [real([2, 3, 4, 4])]),
];

const classes = whole([0, 2, 1, 4], [4]);
const losses: readonly PeerCase[] = [
  on("SoftmaxCrossEntropyLoss", [real([4, 5]), classes]),
  on("SoftmaxCrossEntropyLoss", [real([4, 5]), classes], { reduction: "sum" }),
  on("SoftmaxCrossEntropyLoss", [real([4, 5]), classes, real([5], 0.1, 1)], {}, { fixed: [2] }),
  on("SoftmaxCrossEntropyLoss", [real([4, 5]), classes], { ignore_index: 2 }),
  on("SoftmaxCrossEntropyLoss", [real([2, 5, 2]), whole([0, 2, 1, 4], [2, 2])], { reduction: "none" }),
  on("NegativeLogLikelihoodLoss", [real([4, 5]), classes]),
  on("NegativeLogLikelihoodLoss", [real([4, 5]), classes, real([5], 0.1, 1)], {}, { fixed: [2] }),
  on("NegativeLogLikelihoodLoss", [real([2, 5, 2]), whole([0, 2, 1, 4], [2, 2])], { reduction: "sum" }),
];

export const peerLayers: readonly PeerCase[] = [
  ...convolutions,
  ...pools,
  ...normalizations,
  ...layers,
  ...products,
  ...losses,
];
