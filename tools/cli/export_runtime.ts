// ONNX Runtime for exported models: loading it, and images as the models take them.

import type { Input } from "../../models/deploy.js";
import { pixelsOf } from "../../models/trunk.js";
import type { TrainedNetwork } from "./checkpoint.js";
import type { Pictures } from "./export_images.js";

export type Ort = typeof import("onnxruntime-node");

/** Something is impossible on this machine. This says nothing about the model. */
export class CannotCheck extends Error {}

/** What decides how images become the input of a model. */
export interface Fed {
  readonly network: TrainedNetwork;
  readonly input: Input;
}

/** Rejects with CannotCheck, with the remedy, if it is not installed or does not load. */
export async function onnxRuntime(): Promise<Ort> {
  try {
    return await import("onnxruntime-node");
  } catch (e) {
    const missing = (e as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND";
    throw new CannotCheck(
      missing
        ? "onnxruntime-node is not installed (npm install onnxruntime-node)"
        : `onnxruntime-node does not load: ${(e as Error).message}`,
    );
  }
}

/** The larger number; NaN if one of them is NaN. */
export const worse = (a: number, b: number): number => (Number.isNaN(a) || a > b ? a : b);

/**
 * The first n images in the model's input format. Float pixels are normalised in f32 with one rounding per operation.
 */
export function feed(ort: Ort, s: Fed, planes: Uint8Array, n: number): InstanceType<Ort["Tensor"]> {
  const size = s.network.image_size;
  const pixels = size * size;
  if (s.input === "uint8") {
    const at = (i: number): number =>
      (Math.floor(i / (3 * pixels)) * 3 + (i % 3)) * pixels + Math.floor((i % (3 * pixels)) / 3);
    return new ort.Tensor(
      "uint8",
      Uint8Array.from({ length: n * 3 * pixels }, (_, i) => planes[at(i)] as number),
      [n, size, size, 3],
    );
  }
  const f = Math.fround;
  const { mean, std } = pixelsOf(s.network);
  const normal = Float32Array.from({ length: n * 3 * pixels }, (_, i) => {
    const c = Math.floor(i / pixels) % 3;
    return f(f(f((planes[i] as number) / 255) - f(mean[c] as number)) / f(std[c] as number));
  });
  if (s.network.foreign?.options.input.channels === 3)
    return new ort.Tensor(
      "float32",
      Float32Array.from(normal, (_, i) => {
        const pixel = Math.floor(i / 3) % pixels;
        return normal[(Math.floor(i / (3 * pixels)) * 3 + (i % 3)) * pixels + pixel] as number;
      }),
      [n, size, size, 3],
    );
  return new ort.Tensor("float32", normal, [n, 3, size, size]);
}

/** What a run was given. */
export interface Run {
  readonly n: number; // the size of the batch
  readonly count: number; // pictures in it that count
  readonly fed: unknown; // the elements of the input
}

type Values = Readonly<Record<string, { readonly data: unknown }>>;

/**
 * Runs a model in ONNX Runtime on pictures, `batch` at once or as many as the model takes, and calls `visit` with the
 * values of each run. If the last run needs more pictures than are left, the last one
 * is there several times, and does not count.
 */
export async function eachRun(
  ort: Ort,
  model: Uint8Array,
  s: Fed,
  pictures: Pictures,
  batch: number,
  visit: (values: Values, run: Run) => void,
): Promise<void> {
  const input = s.network.foreign?.options.input;
  const session = await ort.InferenceSession.create(model, { logSeverityLevel: 3 });
  const each = 3 * pictures.size ** 2;
  try {
    for (let first = 0; first < pictures.count; first += input?.batch ?? batch) {
      const count = Math.min(input?.batch ?? batch, pictures.count - first);
      const n = input?.batch ?? count;
      const planes = new Uint8Array(n * each);
      for (let i = 0; i < n; i++) {
        const at = Math.min(first + i, pictures.count - 1) * each;
        planes.set(pictures.planes.subarray(at, at + each), i * each);
      }
      const fed = feed(ort, s, planes, n);
      visit(await session.run({ [input?.name ?? "image"]: fed }), { count, n, fed: fed.data });
    }
  } finally {
    await session.release();
  }
}
