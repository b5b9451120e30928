// Weights as i8 with a scale per output channel, and biases as i32 with the scales of the sums that they are added to.

import { elements } from "../ir/types.js";
import { around } from "../ops/composed/layout.js";
import { roundEven } from "../util/float.js";
import { elementsOf, type OnnxNode, type Tensor, tensorOf } from "./model.js";

/** A tensor of whole numbers q, which stand for scale * q, with a scale per position of an axis. */
export interface Whole {
  readonly tensor: Tensor;
  readonly scales: Float32Array;
  readonly axis: number;
}

/** The weights of a product and its bias. */
export interface WholeWeights {
  readonly weight: Whole; // i8
  readonly bias: Whole | undefined; // i32
  readonly widened: number; // channels with a larger scale than their weights need, because of the bias
}

const MOST_I8 = 127;
const MOST_I32 = 2 ** 30; // half of what i32 has, so that sums have room
const LEAST = 2 ** -126; // the least f32 with all its digits

/** The axis of the output channels in the weights of a product. */
function axisOf(n: OnnxNode, rank: number): number {
  if (n.op === "Conv") return 0;
  if (n.op === "Gemm") return n.attributes.transB?.kind === "int" && n.attributes.transB.value !== 0 ? 0 : 1;
  return n.op === "ConvTranspose" ? 1 : rank - 1;
}

const factor = (n: OnnxNode, name: string): number => {
  const a = n.op === "Gemm" ? n.attributes[name] : undefined;
  return a?.kind === "float" ? a.value : 1;
};

/**
 * The weights of a product whose activation has the scale `x`; factors of a Gemm are part of them. A channel of zeros
 * has the scale 1. Throws, naming the tensor, if an element is not finite.
 */
export function wholeWeights(n: OnnxNode, x: number, w: Tensor, b: Tensor | undefined): WholeWeights {
  const weights = finite(w, factor(n, "alpha"));
  const axis = axisOf(n, w.dims.length);
  const [outer, channels, inner] = around(w.dims, axis);
  const isGrouped = n.op === "ConvTranspose"; // [C, M / group, ...]: the channels of all groups share scales
  const outputs = isGrouped ? channels * groupsOf(n) : channels;
  const biases = b && spread(finite(b, factor(n, "beta")), outputs);
  const largest = new Float64Array(channels);
  weights.forEach((v, i) => {
    const c = Math.floor(i / inner) % channels;
    if (Math.abs(v) > (largest[c] as number)) largest[c] = Math.abs(v);
  });
  const needed = new Float64Array(channels);
  biases?.forEach((v, i) => {
    needed[i % channels] = Math.max(needed[i % channels] as number, Math.abs(v) / (x * MOST_I32));
  });
  let widened = 0;
  const scales = Float32Array.from(largest, (most, c) => {
    const [own, bias] = [most / MOST_I8, needed[c] as number];
    if (own === 0 && bias === 0) return 1;
    if (bias > own) widened++;
    return Math.max(own, bias, LEAST, LEAST / x);
  });
  const q = Int8Array.from(weights, (v, i) => {
    const scale = scales[Math.floor(i / inner) % channels] as number;
    return Math.max(-MOST_I8, Math.min(MOST_I8, roundEven(v / scale)));
  });
  if (q.length !== outer * channels * inner) throw new Error(`internal: ${w.name} has ${q.length} elements`);
  const sums = biases && Float32Array.from(biases, (_, i) => Math.fround(x * (scales[i % channels] as number)));
  return {
    weight: { tensor: tensorOf("", "i8", w.dims, q), scales, axis },
    bias: biases &&
      sums && {
        tensor: tensorOf(
          "",
          "i32",
          [outputs],
          Int32Array.from(biases, (v, i) => roundEven(v / (sums[i] as number))),
        ),
        scales: sums,
        axis: 0,
      },
    widened,
  };
}

function groupsOf({ attributes: { group } }: OnnxNode): number {
  return group?.kind === "int" ? group.value : 1;
}

/** The elements times a factor. */
function finite(t: Tensor, by: number): Float64Array {
  const xs = Float64Array.from(elementsOf(t) as Float32Array, (v) => v * by);
  const bad = xs.findIndex((v) => !Number.isFinite(v));
  if (bad >= 0) throw new Error(`tensor ${t.name}: element ${bad} is ${xs[bad]}`);
  return xs;
}

/** One number per output channel; a single one is that of all. */
function spread(xs: Float64Array, channels: number): Float64Array {
  if (xs.length !== 1 && xs.length !== channels)
    throw new Error(`a bias has ${xs.length} numbers for ${channels} channels`);
  return xs.length === channels ? xs : new Float64Array(channels).fill(xs[0] as number);
}

/** How many scales a tensor has that are not needed to be exact: those of channels without a weight. */
export const emptyChannels = ({ tensor, axis }: Whole): number => {
  const [, channels, inner] = around(tensor.dims, axis);
  const used = new Set<number>();
  (elementsOf(tensor) as Int8Array).forEach((v, i) => {
    if (v !== 0) used.add(Math.floor(i / inner) % channels);
  });
  return elements(tensor.dims) === 0 ? 0 : channels - used.size;
};
