// Networks from ONNX files of other programs: what flags and plans say about them. The code that reads such files is
// in foreign_network.ts. It is loaded only if a command has one, because loading it takes longer than most verbs run.

import { existsSync } from "node:fs";
import type { Model } from "../../compiler/onnx/model.js";
import { imagenet } from "../../models/archs.js";
import type { ForeignNetwork, Pixels } from "../../models/foreign.js";
import { anyText, namedFile, oneOf } from "./kinds.js";
import type { Flag, Given } from "./record.js";

/** The network of a run in its folder, and in the artefact that trains it: the model as it was before training. */
export const NETWORK = "network.onnx";

/** What the flags say about a network. It is kept in checkpoints. */
export interface ForeignSettings {
  readonly name: string; // of the file, without .onnx
  readonly input?: string;
  readonly feature?: string;
  readonly head: "replace" | "keep";
  readonly pixels: keyof typeof normalizations;
  readonly freeze: readonly string[]; // patterns with * for any characters
  readonly freezeBatchNorm: boolean;
}

/** A network for an image size, and its model. */
export interface Foreign {
  readonly model: Model;
  readonly sha256: string; // of the model's bytes
  readonly settings: ForeignSettings;
  readonly imageSize: number;
  readonly network: ForeignNetwork;
  readonly dropouts: number; // Dropout nodes in what is trained
}

const same = (x: number): readonly [number, number, number] => [x, x, x];

/** How pixels become a network's input, by the names of --normalize. */
export const normalizations = {
  imagenet,
  unit: { mean: same(0), std: same(1) },
  signed: { mean: same(0.5), std: same(0.5) },
  bytes: { mean: same(0), std: same(1 / 255) },
} as const satisfies Readonly<Record<string, Pixels>>;

const section = "network from an ONNX file (MODEL.onnx)";

export const foreignFlags: readonly Flag[] = [
  { names: ["--input"], unit: "NAME", section, shown: "the only one of rank 4", help: "The input that takes images." },
  {
    names: ["--feature"],
    unit: "NAME",
    section,
    shown: "what the last layer reads",
    help: "The tensor that the new classifier reads; its mean over pixels or tokens, if it has these.",
  },
  {
    names: ["--head"],
    unit: "HOW",
    kind: oneOf(["replace", "keep"]),
    default: "replace",
    section,
    help: "replace: a new classifier for the classes of the data; keep: the model's own, which has as many classes.",
  },
  {
    names: ["--normalize"],
    unit: "HOW",
    kind: oneOf(Object.keys(normalizations)),
    default: "imagenet",
    section,
    help:
      "What the model takes: imagenet: pixels from 0 to 1, less ImageNet's mean and divided by its deviation; unit: " +
      "0 to 1; signed: -1 to 1; bytes: 0 to 255.",
  },
  {
    names: ["--freeze"],
    unit: "PATTERN",
    kind: anyText,
    repeated: true,
    section,
    help: "Keeps the tensors of these names as they are; * stands for any characters.",
  },
  {
    names: ["--freeze-bn"],
    section,
    help: "Keeps all BatchNormalization as it is: running statistics, scales and shifts.",
  },
  {
    names: ["--bind"],
    unit: "NAME=FILE",
    kind: namedFile,
    repeated: true,
    section,
    help: "Makes another input of the model a constant: a .pb or .npy file, or one tensor of an .npz or .safetensors.",
  },
];

/** Those of them for verbs that only read the network's feature. */
export const featureFlags: readonly Flag[] = foreignFlags.filter(({ names }) =>
  ["--input", "--feature", "--normalize", "--bind"].includes(names[0] as string),
);

/** Throws, naming the flag, if there are flags for a model but no model. */
function requireNoFlags(given: Given): void {
  const named = foreignFlags.find(({ names }) => given.said(optionOf(names[0] as string)));
  if (named) throw new Error(`${named.names[0]}: only a network from an ONNX file has it; give the file, MODEL.onnx`);
}

const optionOf = (flag: string): string => flag.slice(2).replace(/-(.)/g, (_, c: string) => c.toUpperCase());

/** The .onnx file that a command names; undefined if it names none. Throws for any other argument. */
export function modelArgument(given: Given): string | undefined {
  const [file, other] = given.args;
  if (file === undefined) {
    requireNoFlags(given);
    return undefined;
  }
  if (!file.endsWith(".onnx")) throw new Error(`${file}: what is this? Only a network as MODEL.onnx can be named here`);
  if (other !== undefined) throw new Error(`${other}: one network is trained, ${file}`);
  if (!existsSync(file)) throw new Error(`${file}: no such file`);
  return file;
}

/** The entries that a plan has of a network. Checkpoints keep the first two. */
export const metaOf = (f: Foreign): Readonly<Record<string, string>> => ({
  onnx_sha256: f.sha256,
  onnx_settings: JSON.stringify(f.settings),
});
