// Describes an exported model, in its metadata and on the terminal.

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { Changed } from "../../compiler/onnx/half.js";
import type { Model } from "../../compiler/onnx/model.js";
import { fileDigest } from "../../compiler/util/digest.js";
import { version } from "../../compiler/util/version.js";
import type { Head, Input, Network } from "../../models/deploy.js";
import { pixelsOf } from "../../models/trunk.js";
import type { Encoder, NetworkFlags } from "./checkpoint.js";
import type { Checked, Difference } from "./export_check.js";
import { megabytes } from "./units.js";

/** The types that a model's arithmetic can have. */
export const precisions = ["f32", "f16"] as const;
export type Precision = (typeof precisions)[number];

/**
 * What --tolerance is by default. A number of f16 has 11 binary digits, an error of 5e-4, and the errors of some dozen
 * layers add up to several times that.
 */
export const tolerances: Readonly<Record<Precision, number>> = { f32: 1e-4, f16: 1e-2 };

/** The flags of moproc export. */
export interface ExportFlags extends NetworkFlags {
  readonly resume: string;
  readonly out: string;
  readonly head: Head;
  readonly which: Encoder;
  readonly input: Input;
  readonly opset: number;
  readonly saidOpset: boolean; // whether the user gave it
  readonly precision: Precision;
  readonly keepBn?: true;
  readonly classes?: string;
  readonly check: boolean;
  readonly verify?: true;
  readonly tolerance: number;
  readonly json?: true;
}

/** What became f16, and the size that the file would have in f32. */
export interface Half extends Changed {
  readonly bytesF32: number;
}

/** A model that was written. `checked` is the result of the comparison, or the reason why there is none. */
export interface Written {
  readonly model: Model;
  readonly bytes: number;
  readonly half: Half | undefined; // undefined: the model is f32
  readonly checked: Checked | string;
  readonly notes: readonly string[];
}

/**
 * The model's metadata_props, with what its users need to know; lists are JSON. `names`: of the classes in the
 * checkpoint, which --classes replaces. Throws if the file of --classes cannot be read or does not have one name per
 * class.
 */
export function describe(
  f: ExportFlags,
  c: Network,
  { epoch, names }: { readonly epoch: string | undefined; readonly names: readonly string[] | undefined },
): Readonly<Record<string, string>> {
  const called = f.classes === undefined ? names : classNames(f.classes, c.num_class);
  const layout = f.input === "uint8" ? "uint8 NHWC, RGB, 0 to 255" : "float32 NCHW, RGB, (value / 255 - mean) / std";
  return {
    producer: `moproc ${version()}`,
    task: c.task,
    arch: c.arch,
    width: String(c.width),
    head: f.head,
    ...(c.task === "mopro" && { encoder: f.which }),
    ...(c.low_dim !== undefined && { embedding_size: String(c.low_dim) }),
    ...(c.num_class !== undefined && { classes: String(c.num_class) }),
    ...(called !== undefined && { class_names: JSON.stringify(called) }),
    input: layout,
    mean: JSON.stringify(pixelsOf(c).mean),
    std: JSON.stringify(pixelsOf(c).std),
    // as the runtime's test transform: 256 for 224, scaled in proportion, halves rounded up
    resize: `shorter side to ${Math.floor((c.image_size * 256 + 112) / 224)}, antialiased bilinear`,
    crop: `centre ${c.image_size}`,
    batch_norm: c.foreign ? "as in the source" : f.keepBn ? "kept" : "folded",
    precision: f.precision,
    source: basename(f.resume),
    source_sha256: fileDigest(f.resume),
    ...(epoch !== undefined && { source_epoch: epoch }),
  };
}

/**
 * The names of the classes that a checkpoint holds, one per output of the classifier; undefined if it holds none.
 * Outputs for which the data had no class are called "class N".
 */
export function recordedNames(
  metadata: ReadonlyMap<string, string>,
  classes: number | undefined,
): readonly string[] | undefined {
  const text = metadata.get("label_names");
  if (text === undefined || classes === undefined) return undefined;
  const names = JSON.parse(text) as readonly string[];
  return Array.from({ length: classes }, (_, i) => names[i] ?? `class ${i}`);
}

/** The lines of a file. Throws unless there is one per class and none is empty. */
function classNames(file: string, classes: number | undefined): string[] {
  if (classes === undefined) throw new Error(`--classes ${file}: the network has no classifier`);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (e) {
    throw new Error(`--classes ${file}: ${(e as Error).message}`);
  }
  const names = text.split(/\r?\n/).map((l) => l.trim());
  if (names.at(-1) === "") names.pop();
  const empty = names.indexOf("");
  if (empty >= 0) throw new Error(`--classes ${file}: line ${empty + 1} is empty`);
  if (names.length !== classes)
    throw new Error(`--classes ${file}: ${names.length} names, the network has ${classes} classes`);
  return names;
}

/** The report as some lines of text. */
export function asText(f: ExportFlags, { model, bytes, half, checked, notes }: Written): string {
  const { nodes, inputs, outputs } = model.graph;
  const norm = `BatchNorm ${model.metadata.get("batch_norm")}`;
  const lines = [`${f.out}: ${megabytes(bytes)}, opset ${model.opsets.get("")}, ${nodes.length} nodes, ${norm}`];
  for (const [what, values] of [
    ["in ", inputs],
    ["out", outputs],
  ] as const) {
    for (const v of values) lines.push(`  ${what} ${v.name.padEnd(9)} ${v.type}[${v.shape?.join(", ")}]`);
  }
  if (half) lines.push(...aboutHalf(half, bytes));
  if (typeof checked === "string") lines.push(`  ${checked}`);
  else {
    const batches = checked.batches.join(", ");
    lines.push(`  ${checked.runtime} beside the compiled network, batches of ${batches}:`);
    for (const d of checked.differences) lines.push(`    ${comparison(d, f.tolerance)}`);
    if (half && checked.top1) {
      const { equal, images } = checked.top1;
      lines.push(
        `    largest logit: the same for ${equal} of ${images} images of random bytes, which are no photographs`,
      );
    }
  }
  for (const n of notes) lines.push(`  note: ${n}`);
  return `${lines.join("\n")}\n`;
}

function aboutHalf(h: Half, bytes: number): string[] {
  const size = `${megabytes(bytes)} beside ${megabytes(h.bytesF32)} in f32`;
  const nodes = `${h.half} nodes compute in f16, ${h.full} in f32, ${h.casts} casts`;
  const lines = [`  f16: ${size}; ${h.tensors} tensors with ${h.numbers} numbers; ${nodes}`];
  if (h.zeros > 0) lines.push(`  f16: ${h.zeros} numbers became 0, because they are less than 3.0e-8`);
  return lines;
}

function comparison(d: Difference, tolerance: number): string {
  const found = `largest difference ${d.absolute.toExponential(1)} of values up to ${d.largest.toPrecision(3)}`;
  const judged = d.relative <= tolerance ? "tolerance" : "MORE than the tolerance of";
  return `${d.output.padEnd(9)} ${found}: ${d.relative.toExponential(1)} relative, ${judged} ${tolerance}`;
}

/** The report as one JSON object. */
export function asJson(f: ExportFlags, { model, bytes, half, checked, notes }: Written): string {
  const { inputs, outputs, nodes } = model.graph;
  const check =
    typeof checked === "string" ? { done: false, why: checked } : { done: true, tolerance: f.tolerance, ...checked };
  const about = { file: f.out, bytes, opset: model.opsets.get(""), nodes: nodes.length, inputs, outputs };
  const metadata = Object.fromEntries(model.metadata);
  return `${JSON.stringify({ ...about, ...(half && { f16: half }), metadata, check, notes }, undefined, 1)}\n`;
}
