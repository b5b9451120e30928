// Compares an exported model of less precision with the same model in f32: both run in ONNX Runtime on images.

import { type Head, outputsOf } from "../../models/deploy.js";
import type { Pictures } from "./export_images.js";
import { eachRun, type Fed, type Ort, onnxRuntime, worse } from "./export_runtime.js";

/** How far one output is from that of the f32 model. */
export interface OutputDifference {
  readonly output: string;
  readonly largest: number; // |value| of the f32 model
  readonly absolute: number; // the largest difference
  readonly relative: number; // the same, divided by `largest`
  readonly mean: number; // the mean difference, divided by `largest`
}

export interface Agreement {
  readonly with: string; // what the model is compared with, in the words of messages
  readonly images: number;
  readonly differences: readonly OutputDifference[];
  /** Images whose largest logit is the same; undefined without logits. */
  readonly equal: number | undefined;
  /** Of the images whose folder is a class: how many each model gets right; undefined if there are none. */
  readonly right: { readonly images: number; readonly f32: number; readonly model: number } | undefined;
}

/** Images that run at once. */
const BATCH = 16;

/** Runs both models. Rejects with CannotCheck without ONNX Runtime, and with its error if it does not run a model. */
export async function compareOnImages(
  s: Fed & { readonly head: Head },
  f32: Uint8Array,
  model: Uint8Array,
  pictures: Pictures,
): Promise<Agreement> {
  const ort = await onnxRuntime();
  const names = outputsOf(s.head);
  const want = await results(ort, s, f32, names, pictures);
  const got = await results(ort, s, model, names, pictures);
  const differences = names.map((output) => difference(output, got, want));
  const tops = (r: Results): number[] | undefined => r.get("logits")?.map(largestAt);
  const [a, b] = [tops(got), tops(want)];
  const equal = a?.filter((c, i) => c === b?.[i]).length;
  return { with: "the f32 model", images: pictures.count, differences, equal, right: rights(a, b) };

  function rights(model?: readonly number[], full?: readonly number[]): Agreement["right"] {
    const { labels } = pictures;
    const images = labels.filter((l) => l !== undefined).length;
    if (!model || !full || images === 0) return undefined;
    const count = (tops: readonly number[]): number => tops.filter((c, i) => c === labels[i]).length;
    return { images, f32: count(full), model: count(model) };
  }
}

/** The rows of each output, one per picture. */
type Results = ReadonlyMap<string, readonly Float32Array[]>;

async function results(
  ort: Ort,
  s: Fed,
  model: Uint8Array,
  names: readonly string[],
  pictures: Pictures,
): Promise<Results> {
  const rows = new Map(names.map((name): [string, Float32Array[]] => [name, []]));
  await eachRun(ort, model, s, pictures, BATCH, (values, { count, n }) => {
    for (const [name, own] of rows) {
      const data = values[name]?.data as Float32Array;
      const length = data.length / n;
      for (let i = 0; i < count; i++) own.push(data.slice(i * length, (i + 1) * length));
    }
  });
  return rows;
}

/** Where the largest number is. */
const largestAt = (row: Float32Array): number => row.indexOf(row.reduce(worse, Number.NEGATIVE_INFINITY));

function difference(output: string, got: Results, want: Results): OutputDifference {
  let [absolute, largest, sum, count] = [0, 0, 0, 0];
  got.get(output)?.forEach((row, i) => {
    const other = want.get(output)?.[i] as Float32Array;
    row.forEach((v, j) => {
      const d = Math.abs(v - (other[j] as number));
      absolute = worse(absolute, d);
      largest = worse(largest, Math.abs(other[j] as number));
      sum += d;
      count++;
    });
  });
  const relative = (d: number): number => (d === 0 ? 0 : d / largest);
  return { output, largest, absolute, relative: relative(absolute), mean: relative(sum / count) };
}
