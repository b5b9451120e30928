// Flags shared by verbs, and the spelling rule: `-` and `_` are the same inside a flag's name.

import { type Command, InvalidArgumentError, Option } from "commander";
import type { Precision, Shuffle, Target } from "../../compiler/ir/types.js";
import { archs } from "../../models/resnet.js";
import { cpuArch } from "./cpu.js";
import { rankCount } from "./ranks.js";

/** Rewrites each `--some_flag` to the spelling that the verb's options use. */
export function canonicalFlags(program: Command, argv: readonly string[]): string[] {
  const verb = program.commands.find((c) => c.name() === argv[0]);
  const sub = verb?.commands.find((c) => c.name() === argv[1]);
  const known = [...(verb?.options ?? []), ...(sub?.options ?? [])].flatMap((o) => (o.long ? [o.long] : []));
  const key = (flag: string): string => flag.slice(2).replaceAll("_", "-");
  const spelling = new Map(known.map((long) => [key(long), long]));
  return argv.map((a) => {
    if (!a.startsWith("--")) return a;
    const [flag = a, ...value] = a.split("=");
    return [spelling.get(key(flag)) ?? flag, ...value].join("=");
  });
}

/** A parser of integers from `least` on. */
export const integer =
  (least: number) =>
  (text: string): number => {
    const n = Number(text);
    if (text.trim() === "" || !Number.isInteger(n) || n < least) {
      throw new InvalidArgumentError(`expected an integer of at least ${least}.`);
    }
    return n;
  };

/** A parser of a comma list of numbers of ranks, in ascending order. */
const rankList = (text: string): number[] => [...new Set(text.split(",").map(integer(1)))].toSorted((a, b) => a - b);

/** A parser of numbers greater than `above`. */
export const positive = (text: string): number => {
  const n = Number(text);
  if (!(n > 0 && Number.isFinite(n))) throw new InvalidArgumentError("expected a number greater than 0.");
  return n;
};

/** What an artefact is compiled for: every one of these is fixed in the binary. */
export interface ModelFlags {
  readonly network: string;
  readonly width: number;
  readonly batchSize: number;
  readonly bnGroups?: number;
  readonly imageSize: number;
  readonly numClass: number;
  readonly lowDim: number;
  readonly moco_queue: number;
  readonly arch?: string;
  readonly target: "cpu" | "cuda";
  readonly precision?: Precision;
  readonly ranks: readonly number[];
  readonly shuffleBn?: Shuffle;
  readonly bucketSize?: number; // MiB
  readonly imageInput: "u8" | "f32";
  readonly keepValues?: boolean;
}

/** Adds the flags of ModelFlags to a verb. */
export function addModelFlags(c: Command): Command {
  return c
    .addOption(new Option("-a, --network <name>", "network").choices(archs).default("resnet50"))
    .option("--width <factor>", "multiplies the channels of the four stages", positive, 1)
    .option("-b, --batch-size <images>", "images a step, over all ranks and groups", integer(1), 256)
    .option(
      "--bn-groups <n>",
      "groups of the batch with BatchNorm statistics of their own (default: ranks)",
      integer(1),
    )
    .option("--image-size <pixels>", "side of the square crops", integer(16), 224)
    .option("--num-class <n>", "classes", integer(2), 1000)
    .option("--low-dim <n>", "length of the embedding", integer(1), 128)
    .option("--moco_queue <keys>", "keys in the queue", integer(1), 8192)
    .addOption(new Option("--target <device>", "what the kernels run on").choices(["cpu", "cuda"]).default("cpu"))
    .option(
      "--arch <list>",
      "CPU: x86-64-v3 (AVX2), x86-64-v4 (AVX-512) or native, this machine's (the default); CUDA: a comma list of sm_80 and newer " +
        `(default: ${cudaArchs}), or emulator, which runs the same kernels on the CPU (emulator_sm_90a: those of sm_90a); a network's name is taken as -a`,
    )
    .addOption(
      new Option(
        "--precision <name>",
        "what activations and operands of convolutions are (CUDA; default: bf16; the CPU computes in f32)",
      ).choices(precisions),
    )
    .option(
      "--ranks <list>",
      "numbers of processes that may share the batch: a set of programs for each, with the same kernels and state (default: 1, or what the launcher says)",
      rankList,
    )
    .addOption(
      new Option(
        "--shuffle-bn <how>",
        "how key images reach the rank that encodes them: each loads its own, or they are sent",
      )
        .choices(["load", "exchange"])
        .default("load"),
    )
    .option("--bucket-size <MiB>", "gradients that ranks reduce in one message (default: 32)", positive)
    .addOption(
      new Option("--image-input <type>", "images of a step: u8, or f32 (normalised already) for replays")
        .choices(["u8", "f32"])
        .default("u8"),
    )
    .option("--keep-values", "store every value and gradient of a step, for --dump-step: slower, and much memory");
}

/** What --preset stands for, of what is compiled in; the binary knows the rest. */
export const presets = { "mini-webvision": { numClass: 50 } } as const;

export const presetOption = (): Option =>
  new Option("--preset <name>", "mini-webvision: 50 classes, Google's images alone").choices(Object.keys(presets));

/** Options as parsed -> flags: `--arch resnet50`, the published spelling of `-a`, names the network. */
export function modelFlags(options: Readonly<Record<string, unknown>>): ModelFlags {
  const { arch, preset, ...rest } = options as unknown as ModelFlags & { readonly preset?: keyof typeof presets };
  const f = { ...rest, ranks: rest.ranks ?? [rankCount(options)], ...(preset !== undefined && presets[preset]) };
  if (arch === undefined) return f;
  return (archs as readonly string[]).includes(arch) ? { ...f, network: arch } : { ...f, arch };
}

const precisions: readonly Precision[] = ["f32", "bf16", "tf32"];
const cudaArchs = "sm_80,sm_90a";

/** The compile target of the flags; throws for a device, arch or precision nobody has written kernels for. */
export function targetOf(f: ModelFlags): Target {
  const { target: device } = f;
  const shared = {
    ranks: f.ranks,
    ...(f.shuffleBn === "exchange" && { shuffle: f.shuffleBn }),
    ...(f.bucketSize !== undefined && { bucketBytes: f.bucketSize * 2 ** 20 }),
  };
  if (device === "cuda")
    return { device, arch: cudaArch(f.arch ?? cudaArchs), ...shared, precision: f.precision ?? "bf16" };
  if (f.precision && f.precision !== "f32") throw new Error(`--precision ${f.precision}: the CPU computes in f32`);
  return { device, arch: cpuArch(f.arch ?? "native"), ...shared };
}

/**
 * A comma list of GPU architectures, checked and without repetition; or the emulator, with the path that all take or
 * that of sm_90a.
 */
function cudaArch(list: string): string {
  if (list === "emulator" || list === "emulator_sm_90a") return list;
  const names = [...new Set(list.split(",").map((a) => a.trim()))];
  for (const a of names) {
    const number = Number(/^sm_(\d{2,3})a?$/.exec(a)?.[1]);
    if (!(number >= 80))
      throw new Error(`--arch ${a}: known are sm_80 and newer (sm_90a, sm_100, ...), emulator and emulator_sm_90a`);
  }
  return names.join(",");
}
