// Describes an exported model, in its metadata and on the terminal.

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { Changed } from "../../compiler/onnx/half.js";
import type { Model } from "../../compiler/onnx/model.js";
import type { QuantizedParts } from "../../compiler/onnx/quantize.js";
import { fileDigest } from "../../compiler/util/digest.js";
import { version } from "../../compiler/util/version.js";
import type { Network } from "../../models/deploy.js";
import { pixelsOf } from "../../models/trunk.js";
import type { Agreement } from "./export_agreement.js";
import type { Checked, Difference } from "./export_check.js";
import { type ExportFlags, precisionOf } from "./export_flags.js";
import type { Drawn } from "./export_images.js";
import { megabytes } from "./units.js";

/** What became f16, and the size that the file would have in f32. */
export interface Half extends Changed {
  readonly bytesF32: number;
}

/** What became whole numbers of 8 bits, likewise. */
export interface WholeNumbers extends QuantizedParts {
  readonly bytesF32: number;
}

/** A model that was written. Comparisons that were not done are the reason for that. */
export interface Written {
  readonly model: Model;
  readonly bytes: number;
  readonly half: Half | undefined; // undefined: the model is not f16
  readonly whole: WholeNumbers | undefined; // undefined: it is not int8
  readonly drawn: Drawn | undefined; // images; undefined without --images
  readonly checked: Checked | string;
  readonly agreement: Agreement | string | undefined; // with the f32 model, on images
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
    precision: precisionOf(f),
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
export function asText(f: ExportFlags, w: Written): string {
  const { model, bytes, half, whole, drawn, checked, agreement, notes } = w;
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
  if (whole && drawn) lines.push(...aboutWhole(f, whole, drawn, bytes));
  const unread = drawn?.unreadable ?? [];
  if (unread.length > 0) {
    const which =
      unread.length === 1 ? "1 image cannot be read and is" : `${unread.length} images cannot be read and are`;
    lines.push(`  ${which} left out, such as ${unread[0]}`);
  }
  if (typeof checked === "string") lines.push(`  ${checked}`);
  else {
    const batches = checked.batches.join(", ");
    lines.push(`  ${checked.runtime} beside the compiled network, batches of ${batches}:`);
    for (const d of checked.differences) lines.push(`    ${comparison(d, f.tolerance)}`);
    if ((half || whole) && checked.top1) {
      const { equal, images } = checked.top1;
      const which = checked.random ? "images of random bytes, which are no photographs" : "images of --images";
      lines.push(`    largest logit: the same for ${equal} of ${images} ${which}`);
    }
  }
  if (agreement && typeof agreement !== "string" && drawn) lines.push(...aboutAgreement(f, agreement, drawn));
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

const SHOWN = 5;

function aboutWhole(f: ExportFlags, w: WholeNumbers, drawn: Drawn, bytes: number): string[] {
  const size = `${megabytes(bytes)} beside ${megabytes(w.bytesF32)} in f32`;
  const parts = `${w.tensors} tensors with ${w.numbers} numbers are i8, ${w.activations} values u8`;
  const left = Object.entries(w.left).map(([op, n]) => `${n} ${op}`);
  const count = Object.values(w.left).reduce((a, b) => a + b, 0);
  const which = count > 0 ? `: ${left.join(", ")}` : "";
  const images = `${drawn.calibration.count} of ${drawn.found} images of ${drawn.folder}`;
  const lines = [
    `  int8: ${size}; ${parts}; ${w.nodes} nodes compute in int8`,
    `  int8: ${count} ${count === 1 ? "node stays as it is" : "nodes stay as they are"}${which}`,
    `  int8: ranges by ${f.ranges} on ${images}`,
  ];
  if (drawn.calibration.count < FEW)
    lines.push(`  int8: ${drawn.calibration.count} images are few: other images may have values beyond the ranges`);
  if (w.folded > 0) lines.push(`  int8: ${w.folded} BatchNormalization nodes became part of their convolutions`);
  const others = w.refused.length - SHOWN;
  for (const why of w.refused.slice(0, SHOWN)) lines.push(`  int8: ${why}, so it stays f32`);
  if (others > 0) lines.push(`  int8: ${others} more products stay f32`);
  if (w.empty > 0) lines.push(`  int8: ${w.empty} output channels have weights of 0 alone`);
  if (w.widened > 0)
    lines.push(`  int8: ${w.widened} output channels have coarser weights, because their biases are large beside them`);
  return lines;
}

/** Fewer images than this may not show what values occur. */
const FEW = 32;

function aboutAgreement(f: ExportFlags, a: Agreement, drawn: Drawn): string[] {
  const which = !f.quantize
    ? `images of ${drawn.folder}`
    : drawn.separate
      ? `other images of ${drawn.folder}`
      : "images of the calibration, because the folder has no others";
  const lines = [`  ${precisionOf(f)} beside f32, both in ONNX Runtime, on ${a.images} ${which}:`];
  for (const d of a.differences) lines.push(`    ${comparison(d, f.tolerance)}; mean ${d.mean.toExponential(1)}`);
  if (a.equal !== undefined) lines.push(`    largest logit: the same for ${a.equal} of ${a.images} images`);
  if (a.right) {
    const { images, f32, model } = a.right;
    const percent = (n: number): string => `${((100 * n) / images).toFixed(2)} %`;
    const both = `f32 ${percent(f32)}, ${precisionOf(f)} ${percent(model)}`;
    lines.push(`    top-1 on ${images} images in folders of classes: ${both}`);
  } else if (a.equal !== undefined)
    lines.push("    top-1: unknown, because no image is in a folder with the name of a class");
  return lines;
}

function comparison(d: Difference, tolerance: number): string {
  const found = `largest difference ${d.absolute.toExponential(1)} of values up to ${d.largest.toPrecision(3)}`;
  const judged = d.relative <= tolerance ? "tolerance" : "MORE than the tolerance of";
  return `${d.output.padEnd(9)} ${found}: ${d.relative.toExponential(1)} relative, ${judged} ${tolerance}`;
}

/** The report as one JSON object. */
export function asJson(f: ExportFlags, w: Written): string {
  const { model, bytes, half, whole, drawn, checked, agreement, notes } = w;
  const { inputs, outputs, nodes } = model.graph;
  const result = (c: Checked | Agreement | string): object =>
    typeof c === "string" ? { done: false, why: c } : { done: true, tolerance: f.tolerance, ...c };
  const about = { file: f.out, bytes, opset: model.opsets.get(""), nodes: nodes.length, inputs, outputs };
  const images = drawn && {
    folder: drawn.folder,
    found: drawn.found,
    calibration: drawn.calibration.count,
    check: drawn.check.count,
    separate: drawn.separate,
    unreadable: drawn.unreadable,
  };
  const all = {
    ...about,
    ...(half && { f16: half }),
    ...(whole && { int8: { ...whole, ranges: f.ranges } }),
    ...(images && { images }),
    metadata: Object.fromEntries(model.metadata),
    check: result(checked),
    ...(agreement !== undefined && { agreement: result(agreement) }),
    notes,
  };
  return `${JSON.stringify(all, undefined, 1)}\n`;
}
