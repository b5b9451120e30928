// The flags of moproc export.

import { opsets } from "../../compiler/onnx/export.js";
import { type RangeMethod, rangeMethods } from "../../compiler/onnx/quantize_ranges.js";
import { archs } from "../../models/archs.js";
import { type Head, heads, type Input, inputs } from "../../models/deploy.js";
import { type Encoder, encoders, type NetworkFlags } from "./checkpoint.js";
import { USUAL_CALIBRATION } from "./export_images.js";
import { integer, oneOf, positive } from "./kinds.js";
import { type Flag, type Given, sections } from "./record.js";

/** The types that a model's floats can have. */
export const precisions = ["f32", "f16"] as const;
export type Precision = (typeof precisions)[number];

/**
 * What --tolerance is by default. A number of f16 has 11 binary digits, an error of 5e-4, and the errors of some dozen
 * layers add up to several times that. Of 8 bits, each value has an error of up to 2e-3 of its range.
 */
export const tolerances: Readonly<Record<Precision | "int8", number>> = { f32: 1e-4, f16: 1e-2, int8: 0.25 };

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
  readonly quantize?: "int8";
  readonly images?: string;
  readonly calibrationImages?: number;
  readonly checkImages: number;
  readonly ranges: RangeMethod;
  readonly keepBn?: true;
  readonly classes?: string;
  readonly check: boolean;
  readonly verify?: true;
  readonly tolerance: number;
  readonly json?: true;
}

/** What the model's arithmetic is. */
export const precisionOf = (f: ExportFlags): Precision | "int8" => f.quantize ?? f.precision;

const network = "network (only what the checkpoint does not say itself)";
const checking = "check";
const images = "images (with --quantize and --precision f16)";

export const exportFlags: readonly Flag[] = [
  {
    names: ["--resume"],
    unit: "FILE",
    needed: true,
    section: sections.run,
    help: "The checkpoint: .safetensors of a training run, or a PyTorch .pth.tar or .pth.",
  },
  {
    names: ["-o", "--out"],
    unit: "FILE",
    needed: true,
    section: sections.run,
    help: "The file of the model; an older model there is replaced.",
  },
  {
    names: ["--head"],
    unit: "NAME",
    kind: oneOf(heads),
    default: "classifier",
    section: sections.run,
    help: "The outputs. classifier: logits; embedding: unit vectors; both; features: those after global pooling.",
  },
  {
    names: ["--which"],
    unit: "ENCODER",
    kind: oneOf(encoders),
    default: "query",
    section: sections.run,
    help: "MoPro's query encoder, or the key encoder that follows it.",
  },
  {
    names: ["--input"],
    unit: "TYPE",
    kind: oneOf(inputs),
    default: "float",
    section: sections.run,
    help: "float: f32 [batch, 3, H, W], normalised RGB. uint8: RGB bytes [batch, H, W, 3].",
  },
  {
    names: ["--opset"],
    unit: "N",
    kind: integer(opsets.least, opsets.most),
    default: 17,
    section: sections.run,
    help: "Version of the ONNX operators.",
  },
  {
    names: ["--precision"],
    unit: "TYPE",
    kind: oneOf(precisions),
    default: "f32",
    section: sections.run,
    help: "f16: half the size. Inputs and outputs stay as they are; sums and the input's normalisation stay f32.",
  },
  {
    names: ["--quantize"],
    unit: "TYPE",
    kind: oneOf(["int8"]),
    section: sections.run,
    help:
      "int8: a quarter of the size. Products compute with whole numbers of 8 bits: i8 weights with a scale per " +
      "channel, and u8 values with ranges measured on --images; ONNX Runtime must be installed.",
  },
  {
    names: ["--keep-bn"],
    section: sections.run,
    help: "Keeps BatchNorm as nodes of their own; without it convolutions absorb it.",
  },
  {
    names: ["--classes"],
    unit: "FILE",
    section: sections.run,
    help: "Names of the classes for the metadata, one per line; without it, those in the checkpoint.",
  },
  {
    names: ["-a", "--network"],
    unit: "NAME",
    kind: oneOf(archs),
    section: network,
    help: "The network; `--arch NAME` means the same.",
  },
  { names: ["--width"], unit: "FACTOR", kind: positive, section: network, help: "Multiplies all channels." },
  { names: ["--num-class"], unit: "N", kind: integer(2), section: network, help: "Number of classes." },
  { names: ["--low-dim"], unit: "N", kind: integer(1), section: network, help: "Length of the embedding." },
  {
    names: ["--image-size"],
    unit: "PIXELS",
    kind: integer(16),
    section: network,
    help: "Side of the square images.",
  },
  {
    names: ["--images"],
    unit: "DIR",
    section: images,
    help:
      "A folder of images, in class folders or not, prepared as for `moproc evaluate`: --quantize is calibrated on " +
      "them, and the model is compared with f32 on them.",
  },
  {
    names: ["--calibration-images"],
    unit: "N",
    kind: integer(1),
    shown: `${USUAL_CALIBRATION}, at most half of the folder`,
    section: images,
    help: "How many images --quantize measures ranges on, drawn evenly over the folder.",
  },
  {
    names: ["--ranges"],
    unit: "METHOD",
    kind: oneOf(rangeMethods),
    default: rangeMethods[0],
    section: images,
    help:
      "The range of a value. mse: with the least mean square error; minmax: all that occurs; percentile: without the " +
      "largest and the least 0.01 %.",
  },
  {
    names: ["--check-images"],
    unit: "N",
    kind: integer(1),
    default: 500,
    section: images,
    help: "How many images both models run on, drawn evenly over those not calibrated on, if there are any.",
  },
  {
    names: ["--verify"],
    section: checking,
    help: "Fails, and writes nothing, unless ONNX Runtime agrees with the compiled network, and on --images with f32.",
  },
  {
    names: ["--tolerance"],
    unit: "X",
    kind: positive,
    shown: `${tolerances.f32}, with --precision f16 ${tolerances.f16}, with --quantize int8 ${tolerances.int8}`,
    section: checking,
    help: "The largest difference that --verify accepts, relative to the largest output.",
  },
  { names: ["--no-check"], section: checking, help: "Does not run the model." },
  { names: ["--json"], section: sections.output, help: "Prints the result as JSON." },
];

/** The flags as they were given. Throws for those that exclude or need each other. */
export function flagsOf({ options, said }: Given): ExportFlags {
  const f = options as unknown as ExportFlags;
  if (f.verify && !f.check) throw new Error("--verify and --no-check exclude each other");
  if (f.quantize && f.precision !== "f32")
    throw new Error(`--quantize ${f.quantize} and --precision ${f.precision} exclude each other`);
  if (f.quantize && f.images === undefined)
    throw new Error(`--quantize ${f.quantize} needs --images DIR, images to measure the ranges of values on`);
  if (f.quantize && f.keepBn)
    throw new Error(`--quantize ${f.quantize} and --keep-bn exclude each other: BatchNorm becomes part of the weights`);
  const only = (option: string, flag: string, needs: string): void => {
    if (said(option)) throw new Error(`${flag}: is for ${needs} only`);
  };
  if (!f.quantize) {
    only("calibrationImages", "--calibration-images", "--quantize int8");
    only("ranges", "--ranges", "--quantize int8");
    if (f.precision === "f32") only("images", "--images", "--quantize int8 and --precision f16");
    else if (!f.check) only("images", "--images", "the check, which --no-check leaves out");
  }
  if (f.images === undefined || !f.check) only("checkImages", "--check-images", "a check with --images DIR");
  const tolerance = options.tolerance === undefined ? tolerances[precisionOf(f)] : f.tolerance;
  return { ...f, saidOpset: said("opset"), tolerance };
}
