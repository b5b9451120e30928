// Runs an exported model in ONNX Runtime and the program that this compiler makes of the same network, on the same
// bytes, and compares the outputs. The two implementations share only the weights.

import type { NdArray } from "../../compiler/ir/nd.js";
import type { Graph } from "../../compiler/ir/types.js";
import type { Elements } from "../../compiler/onnx/model.js";
import { Stopped } from "../../compiler/util/run.js";
import { embed as classifierEmbed } from "../../models/classifier.js";
import { complete, type Head, type Input, outputsOf } from "../../models/deploy.js";
import { embed as moproEmbed } from "../../models/mopro.js";
import type { TrainedNetwork } from "./checkpoint.js";
import { cpuArch } from "./cpu.js";
import type { Pictures } from "./export_images.js";
import { CannotCheck, feed, onnxRuntime, worse } from "./export_runtime.js";
import { metaOf } from "./foreign_flags.js";
import type { Source } from "./graphs.js";
import { cachedArtefact } from "./obtain.js";

/** A model, and what it is compared with. */
export interface Subject {
  readonly file: string; // the ONNX model
  readonly network: TrainedNetwork;
  readonly head: Head;
  readonly input: Input;
  readonly values: ReadonlyMap<string, NdArray>; // the checkpoint's weights, by name without prefix
  readonly constants?: ReadonlyMap<string, Elements>; // of further states, likewise
  readonly pictures?: Pictures | undefined; // images to compare on; absent: random bytes
}

/** The largest difference in one output, over all images and batch sizes. */
export interface Difference {
  readonly output: string;
  readonly absolute: number;
  readonly relative: number; // the difference divided by `largest`
  readonly largest: number; // the largest |value| of the compiled program
}
export interface Checked {
  readonly with: string; // what the model is compared with, in the words of messages
  readonly runtime: string;
  readonly batches: readonly number[];
  readonly differences: readonly Difference[];
  /** Of the images of the largest batch: those whose largest logit is the same; undefined without logits. */
  readonly top1: { readonly equal: number; readonly images: number } | undefined;
  readonly random: boolean; // whether the images are random bytes
}

type Outputs = Readonly<Record<string, Float32Array>>;

/** The batch sizes with which the model runs; the compiled program runs with the largest. */
const batches = [1, 3, 4] as const;
const images = 4;

/** Compares the outputs. Rejects with CannotCheck if ONNX Runtime or a compiler is missing, or with its error. */
export async function checkModel(s: Subject): Promise<Checked> {
  const ort = await onnxRuntime();
  const size = images * 3 * s.network.image_size ** 2;
  const bytes = s.pictures ? repeated(s.pictures.planes, size) : randomBytes(size);
  const want = await compiledOutputs(s, bytes).catch((e: Error) => {
    if (e instanceof Stopped) throw e;
    throw new CannotCheck(`the network cannot be compiled here: ${e.message}`);
  });
  const session = await ort.InferenceSession.create(s.file, { logSeverityLevel: 3 });
  const names = outputsOf(s.head);
  const worst = new Map(names.map((n) => [n, 0]));
  const input = s.network.foreign?.options.input;
  const fixed = input?.batch;
  if (fixed !== undefined && fixed > images) throw new CannotCheck(`the model takes ${fixed} images at once`);
  const sizes = fixed === undefined ? batches : [fixed];
  let top1: Checked["top1"];
  try {
    for (const n of sizes) {
      const got = await session.run({ [input?.name ?? "image"]: feed(ort, s, bytes, n) });
      for (const name of names)
        worst.set(name, worse(worst.get(name) as number, distance(got[name]?.data, want[name], n)));
      if (want.logits && names.includes("logits"))
        top1 = { equal: sameLargest(got.logits?.data as Float32Array, want.logits, n), images: n };
    }
  } finally {
    await session.release();
  }
  const differences = names.map((output) => {
    const largest = (want[output] as Float32Array).reduce((m, v) => worse(m, Math.abs(v)), 0);
    const absolute = worst.get(output) as number;
    return { output, absolute, relative: absolute === 0 ? 0 : absolute / largest, largest };
  });
  return {
    with: "the compiled network",
    runtime: `onnxruntime ${ort.env.versions.node ?? ort.env.versions.common}`,
    batches: sizes,
    differences,
    top1,
    random: !s.pictures,
  };
}

/** The first n bytes; if there are fewer, they begin again. */
const repeated = (bytes: Uint8Array, n: number): Uint8Array =>
  Uint8Array.from({ length: n }, (_, i) => bytes[i % bytes.length] as number);

/** In how many of the first n rows the largest number is at the same place. */
function sameLargest(got: Float32Array, want: Float32Array, n: number): number {
  const length = want.length / images;
  const top = (xs: Float32Array, row: number): number => {
    const of = xs.subarray(row * length, (row + 1) * length);
    return of.indexOf(of.reduce(worse, -Infinity));
  };
  return Array.from({ length: n }, (_, row) => row).filter((row) => top(got, row) === top(want, row)).length;
}

/**
 * The largest |got - want| over the rows of the first n images. Throws unless `got` has the f32 numbers of n images.
 */
function distance(got: unknown, want: Float32Array | undefined, n: number): number {
  const length = ((want?.length ?? 0) / images) * n;
  if (!(got instanceof Float32Array) || !want || got.length !== length) {
    throw new Error(
      `a batch of ${n} has ${(got as Float32Array | undefined)?.length} numbers as output, not ${length}`,
    );
  }
  return got.reduce((m, v, i) => worse(m, Math.abs(v - (want[i] as number))), 0);
}

/** The outputs of the compiled network for `images` images as bytes [N, 3, H, W], by the exported names. */
async function compiledOutputs(s: Subject, img: Uint8Array): Promise<Outputs> {
  const { load } = await import("node-cuda-rt");
  const source = embedSource(s.network);
  const target = { device: "cpu", arch: cpuArch("native"), ranks: [1] } as const;
  const { dir } = await cachedArtefact(source, target);
  const a = load(dir);
  const prefix = s.network.task === "mopro" ? "encoder_q." : "";
  for (const [name, x] of s.values) a.set(prefix + name, Float32Array.from(x.data));
  for (const [name, x] of s.constants ?? []) a.set(prefix + name, x);
  const { feature, logits, embedding } = await a.run("embed", {
    img,
    ...(s.network.task === "mopro" && { "hyper.temperature": Float32Array.of(1) }),
  });
  return { logits, embedding, features: feature } as Outputs;
}

function embedSource({ onnx, ...c }: TrainedNetwork): Source {
  const config = { ...complete(c), batch: images, groups: 1, queue: 1 }; // no queue is read
  const { foreign: _, ...meta } = config;
  const graph = (): Graph => (config.task === "mopro" ? moproEmbed(config) : classifierEmbed(config));
  const all = { ...meta, ...(onnx && metaOf(onnx)) };
  return { name: `${c.arch}_embed`, meta: all, key: JSON.stringify(all), graphs: () => [graph()] };
}

/** The first bytes of a fixed pseudo-random sequence (mulberry32). */
function randomBytes(n: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length: n }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 24;
  });
}
