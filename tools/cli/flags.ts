// The flags that determine what an artefact is compiled for. Several verbs have them.

import type { Precision, Shuffle, Target } from "../../compiler/ir/types.js";
import { archs } from "../../models/archs.js";
import type { Decays, Optimizer } from "../../models/learning_config.js";
import { cpuArch } from "./cpu.js";
import type { Foreign } from "./foreign_flags.js";
import { countList, integer, oneOf, positive } from "./kinds.js";
import { cpuRates, faster } from "./precision.js";
import { rankCount } from "./ranks.js";
import { type Flag, sections } from "./record.js";

/** What an artefact is compiled for. All of these are fixed in the binary. */
export interface ModelFlags {
  readonly network: string;
  readonly width: number;
  readonly batchSize: number;
  readonly bnGroups?: number;
  readonly imageSize: number;
  readonly numClass: number;
  readonly lowDim: number;
  readonly moco_queue: number;
  readonly targetArch?: string;
  readonly target: "cpu" | "cuda";
  readonly precision?: Precision | "auto";
  readonly memory?: "normal" | "low";
  readonly ranks: readonly number[];
  readonly shuffleBn?: Shuffle;
  readonly bucketSize?: number; // MB, of 10^6 bytes
  readonly imageInput: "u8" | "f32";
  readonly keepValues?: boolean;
  readonly optimizer?: Optimizer; // of these three, those that are not the usual ones
  readonly decayParams?: Decays;
  readonly dropout?: number;
  readonly foreign?: Foreign; // the network, if it is from an ONNX file of another program
}

const precisions: readonly (Precision | "auto")[] = ["f32", "bf16", "tf32", "auto"];
const cudaArchs = "sm_80,sm_90a";

const network = { section: sections.compiled, passedOn: true } as const;
const device = { section: sections.compiled } as const;

/** The flags for the members of ModelFlags. */
export const modelFlagList: readonly Flag[] = [
  {
    names: ["-a", "--network"],
    unit: "NAME",
    kind: oneOf(archs),
    default: "resnet50",
    help: "The network; `--arch NAME`, the published spelling, means the same.",
    ...network,
  },
  { names: ["--width"], unit: "FACTOR", kind: positive, default: 1, help: "Multiplies all channels.", ...device },
  {
    names: ["-b", "--batch-size"],
    unit: "IMAGES",
    kind: integer(1),
    default: 256,
    help: "Images per step, over all ranks and BatchNorm groups.",
    ...network,
  },
  {
    names: ["--bn-groups"],
    unit: "N",
    kind: integer(1),
    shown: "the number of ranks",
    help: "Groups of the batch with BatchNorm statistics of their own.",
    ...network,
  },
  {
    names: ["--image-size"],
    unit: "PIXELS",
    kind: integer(16),
    default: 224,
    help: "Side of the square training images.",
    ...network,
  },
  {
    names: ["--num-class"],
    unit: "N",
    kind: integer(2),
    shown: "the number of classes of --data, or of the checkpoint; 1000 without these",
    help: "Number of classes.",
    ...network,
  },
  { names: ["--low-dim"], unit: "N", kind: integer(1), default: 128, help: "Length of the embedding.", ...network },
  {
    names: ["--moco_queue"],
    unit: "KEYS",
    kind: integer(1),
    default: 8192,
    help: "Keys that the queue holds.",
    ...network,
  },
  {
    names: ["--target"],
    unit: "DEVICE",
    kind: oneOf(["cpu", "cuda"]),
    default: "cpu",
    help: "The device that the kernels run on.",
    ...device,
  },
  {
    names: ["--target-arch"],
    unit: "LIST",
    shown: `native; for CUDA ${cudaArchs}`,
    help:
      "CPU: x86-64-v3 (AVX2), x86-64-v4 (AVX-512), x86-64-v4+bf16 (with AVX512-BF16), x86-64-v4+amx (with AMX) or " +
      "native, which is this machine's. CUDA: a comma list of " +
      "sm_80 and " +
      "newer; or emulator, which runs the same kernels on the CPU (emulator_sm_90a: those of sm_90a).",
    ...device,
  },
  {
    names: ["--precision"],
    unit: "NAME",
    kind: oneOf(precisions),
    shown: "bf16 for CUDA, f32 for the CPU",
    help:
      "The type of activations and of the operands of convolutions; tf32 is for CUDA. auto: bf16 for CUDA; for the " +
      "CPU whichever of f32 and bf16 is faster on this machine, which takes 20 ms to measure.",
    ...device,
  },
  {
    names: ["--memory"],
    unit: "HOW",
    kind: oneOf(["normal", "low"]),
    default: "normal",
    help:
      "low: training steps on the CPU compute cheap activations a second time in the backward pass instead of " +
      "keeping them. A step has the same bits, needs about half the work memory and takes up to 10 % longer.",
    ...device,
  },
  {
    names: ["--ranks"],
    unit: "LIST",
    kind: countList,
    shown: "1, or as many as the launcher or --nproc-per-node says",
    help: "Numbers of ranks that may share the batch; the artefact gets a set of programs for each.",
    ...device,
  },
  {
    names: ["--shuffle-bn"],
    unit: "HOW",
    kind: oneOf(["load", "exchange"]),
    default: "load",
    help: "How key images reach the rank that encodes them: it loads them itself, or ranks exchange them.",
    ...device,
  },
  {
    names: ["--bucket-size"],
    unit: "MB",
    kind: positive,
    shown: "33.6",
    help: "Gradients that ranks reduce in one message.",
    ...device,
  },
  {
    names: ["--image-input"],
    unit: "TYPE",
    kind: oneOf(["u8", "f32"]),
    default: "u8",
    help: "Type of a step's images; f32 images are normalised already, as replays have them.",
    ...device,
  },
  {
    names: ["--keep-values"],
    help: "Stores every value and gradient of a step for --dump-step, which takes time and much memory.",
    ...device,
  },
];

/** The compiled-in settings that a --preset stands for; the binary has the others. */
const presets: Readonly<Record<string, { readonly numClass: number }>> = { "mini-webvision": { numClass: 50 } };

/** The classes of ImageNet and WebVision V1. */
const PUBLISHED_CLASSES = 1000;

/** The number of classes that the flags state; undefined if they state none. */
export function saidClasses(options: Readonly<Record<string, unknown>>): number | undefined {
  const { preset, numClass } = options as { readonly preset?: string; readonly numClass?: number };
  return (preset === undefined ? undefined : presets[preset]?.numClass) ?? numClass;
}

/** The ModelFlags in the parsed options. */
export function modelFlags(options: Readonly<Record<string, unknown>>): ModelFlags {
  const given = options as unknown as ModelFlags;
  return { ...given, ranks: given.ranks ?? [rankCount(options)], numClass: saidClasses(options) ?? PUBLISHED_CLASSES };
}

/** The compile target of the flags. Throws for a device, arch or precision that has no kernels. */
export function targetOf(f: ModelFlags): Target {
  const { target: device } = f;
  const shared = {
    ranks: f.ranks,
    ...(f.shuffleBn === "exchange" && { shuffle: f.shuffleBn }),
    ...(f.bucketSize !== undefined && { bucketBytes: Math.round(f.bucketSize * 1e6) }),
  };
  if (device === "cuda") {
    if (f.memory === "low") throw new Error("--memory low: for --target cpu; it has not been tried on GPUs");
    const precision = f.precision === undefined || f.precision === "auto" ? "bf16" : f.precision;
    return { device, arch: cudaArch(f.targetArch ?? cudaArchs), ...shared, precision };
  }
  if (f.precision === "tf32")
    throw new Error("--precision tf32: a format of the tensor cores of GPUs; a CPU computes in f32 or bf16");
  const precision = f.precision === "auto" ? faster(cpuRates()) : (f.precision ?? "f32");
  const arch = cpuArch(f.targetArch ?? "native", precision);
  return {
    ...{ device, arch, ...shared },
    ...(precision === "bf16" && { precision }),
    ...(f.memory === "low" && { memory: f.memory }),
  };
}

/**
 * Checks a comma list of GPU architectures and removes repetitions. The list may also be the emulator, with the path
 * for all GPUs or the one for sm_90a. Throws for an unknown name.
 */
function cudaArch(list: string): string {
  if (list === "emulator" || list === "emulator_sm_90a") return list;
  const names = [...new Set(list.split(",").map((a) => a.trim()))];
  for (const a of names) {
    const number = Number(/^sm_(\d{2,3})a?$/.exec(a)?.[1]);
    if (!(number >= 80))
      throw new Error(
        `--target-arch ${a}: known are sm_80 and newer (sm_90a, sm_100, ...), emulator and emulator_sm_90a`,
      );
  }
  return names.join(",");
}

/** The optional inputs of a classifier's step besides images and labels. MoPro's step has the last two. */
export const extras = ["label-smoothing", "mixup", "sample-weights", "clip-norm"] as const;
export type Extra = (typeof extras)[number];
