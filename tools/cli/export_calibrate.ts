// The model of 8 bits for moproc export: ONNX Runtime runs the f32 model on images, and the ranges of its values there
// decide the scales.

import type { Model } from "../../compiler/onnx/model.js";
import { encodeModel } from "../../compiler/onnx/proto.js";
import {
  type Prepared,
  prepared,
  type QuantizedParts,
  quantized,
  withoutOthers,
} from "../../compiler/onnx/quantize.js";
import { Histogram, type Range, type RangeMethod } from "../../compiler/onnx/quantize_ranges.js";
import type { Pictures } from "./export_images.js";
import { eachRun, type Fed, type Ort } from "./export_runtime.js";

/** Images that run at once while all values of the model are kept. */
const BATCH = 4;

/**
 * The model in 8 bits, with ranges by `method` from these pictures. Throws, naming the value, if it is not finite on a
 * picture, and if nothing of the model can be quantised. Rejects with ONNX Runtime's error if that does not run it.
 */
export async function calibrated(
  ort: Ort,
  m: Model,
  s: Fed,
  pictures: Pictures,
  method: RangeMethod,
): Promise<{ readonly model: Model; readonly parts: QuantizedParts }> {
  const p = await ofFloats(ort, prepared(m));
  return quantized(p, await rangesOf(ort, p, s, pictures, method));
}

/** The values whose ranges are measured. */
const roots = (p: Prepared): string[] => [...new Set(p.plan.values.values())];

/** The values that ONNX Runtime returns besides the outputs. */
const more = (p: Prepared, names: readonly string[]): string[] => {
  const given = new Set([...p.model.graph.outputs, ...p.model.graph.inputs].map((v) => v.name));
  return names.filter((v) => !given.has(v));
};

/** The plan without the values that ONNX Runtime finds to be of another type than f32. */
async function ofFloats(ort: Ort, p: Prepared): Promise<Prepared> {
  const names = more(p, [...p.plan.values.keys()]);
  const session = await ort.InferenceSession.create(encodeModel(p.model, names), { logSeverityLevel: 3 });
  try {
    const others = session.outputMetadata.filter((o) => o.isTensor && o.type !== "float32").map((o) => o.name);
    return others.length === 0 ? p : withoutOthers(p, new Set(others));
  } finally {
    await session.release();
  }
}

async function rangesOf(
  ort: Ort,
  p: Prepared,
  s: Fed,
  pictures: Pictures,
  method: RangeMethod,
): Promise<ReadonlyMap<string, Range>> {
  const names = roots(p);
  const histograms = new Map(names.map((name) => [name, new Histogram(name)]));
  const input = p.model.graph.inputs.find((v) => histograms.has(v.name))?.name;
  await eachRun(ort, encodeModel(p.model, more(p, names)), s, pictures, BATCH, (values, { fed }) => {
    for (const [name, h] of histograms) h.add((name === input ? fed : values[name]?.data) as Float32Array);
  });
  return new Map([...histograms].map(([name, h]) => [name, h.range(method)]));
}
