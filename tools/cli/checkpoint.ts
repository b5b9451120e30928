// Reads the network in a checkpoint and its weights. A setting of the network may follow from the file's metadata, from
// a flag and from the shapes of the tensors; those that state it must agree.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nativeFile } from "../../compiler/emit/native.js";
import { NdArray } from "../../compiler/ir/nd.js";
import { type State, sameShape, showType } from "../../compiler/ir/types.js";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { addedName } from "../../models/added.js";
import type { Network } from "../../models/deploy.js";
import { archOf, stems, widthOf, widthTensor, widthTensors } from "../../models/trunk.js";
import type { Foreign } from "./foreign_flags.js";

/** The network's settings that flags state; undefined if a flag is not given. */
export interface NetworkFlags {
  readonly network?: string;
  readonly width?: number;
  readonly numClass?: number;
  readonly lowDim?: number;
  readonly imageSize?: number;
}

/** The encoders of a checkpoint: the one that is trained, and the key encoder, which is its moving average. */
export const encoders = ["query", "key"] as const;
export type Encoder = (typeof encoders)[number];

/** The network of a checkpoint. */
export interface TrainedNetwork extends Network {
  readonly onnx?: Foreign; // the file that it is from, if another program wrote it
}

/** An open checkpoint with its network. */
export interface Checkpoint {
  readonly file: SafetensorsFile;
  readonly network: TrainedNetwork;
  readonly prefix: string; // of the names of the encoder's tensors
  readonly head: string; // the name of the classifier behind the prefix
  readonly notes: readonly string[]; // settings that were assumed because nothing states them
  readonly converted: readonly string[]; // what the reader of other programs' files chose, changed or did not read
}

const PUBLISHED_IMAGE_SIZE = 224;

/**
 * Opens a checkpoint and finds out which network it contains. Rejects, naming the file and the flag or tensor, if it is
 * damaged, if two sources contradict each other, or if none states what the network is.
 */
export async function openCheckpoint(path: string, flags: NetworkFlags, encoder: Encoder): Promise<Checkpoint> {
  const { file, converted } = obtainSafetensors(path);
  try {
    const digest = file.metadata.get("sha256");
    if (digest !== undefined && digest !== file.dataDigest()) {
      throw new Error(`${path}: the file is damaged: its data do not have the sha256 that it names`);
    }
    return { file, converted, ...(await identify(file, flags, encoder)) };
  } catch (e) {
    file.close();
    throw e;
  }
}

async function identify(
  file: SafetensorsFile,
  flags: NetworkFlags,
  encoder: Encoder,
): Promise<Omit<Checkpoint, "file" | "converted">> {
  const notes: string[] = [];
  if (file.metadata.has("onnx_sha256")) return identifyForeign(file, flags, encoder);
  // A single network that was converted has MoPro's names, too.
  const named = stems.some((name) => file.tensors.has(`encoder_q.${name}`));
  const whole = file.tensors.has("prototypes") || stems.some((name) => file.tensors.has(`encoder_k.${name}`));
  const task = named && whole ? "mopro" : "classifier";
  agreed(file, "task", undefined, undefined, task as string, text);
  if (task === "classifier" && encoder === "key") throw new Error(`--which key: ${file.path} has no key encoder`);
  const prefix = named ? `encoder_${encoder[0]}.` : "";
  const head = named ? "classifier" : "fc";
  /** The rows of a weight; undefined if the file does not have it. */
  const rows = (name: string): number | undefined =>
    file.tensors.has(prefix + name) ? file.entry(prefix + name).shape[0] : undefined;
  if (widthTensors.every((name) => rows(name) === undefined)) {
    const names = widthTensors.map((name) => prefix + name);
    fail(`${file.path}: holds neither a ResNet nor a vision transformer: tensors ${names.join(" and ")} are missing`);
  }
  const arch =
    agreed(file, "arch", "-a", flags.network, undefined, text) ??
    fail(`${file.path}: does not say its architecture: give it with -a`);
  const tensor = widthTensor(archOf(arch));
  const channels = rows(tensor) ?? fail(`${file.path}: holds no ${arch}: tensor ${prefix}${tensor} is missing`);
  const width = agreed(file, "width", "--width", flags.width, widthOf(archOf(arch), channels), number) as number;
  const num_class = agreed(file, "num_class", "--num-class", flags.numClass, rows(`${head}.weight`), number);
  const low_dim = agreed(file, "low_dim", "--low-dim", flags.lowDim, rows("fc2.weight"), number);
  let image_size = agreed(file, "image_size", "--image-size", flags.imageSize, undefined, number);
  if (image_size === undefined) {
    image_size = PUBLISHED_IMAGE_SIZE;
    const assumed = `${image_size} pixels, as published; --image-size changes it`;
    notes.push(`the checkpoint does not say its image size: ${assumed}`);
  }
  return { network: { task, arch: archOf(arch), width, num_class, low_dim, image_size }, prefix, head, notes };
}

/** The network of another program, which lies beside the checkpoint. */
async function identifyForeign(
  file: SafetensorsFile,
  flags: NetworkFlags,
  encoder: Encoder,
): Promise<Omit<Checkpoint, "file" | "converted">> {
  const { metadata, path } = file;
  const task = metadata.get("task") === "mopro" ? "mopro" : "classifier";
  if (task === "classifier" && encoder === "key") throw new Error(`--which key: ${path} has no key encoder`);
  const onnx = (await import("./foreign_network.js")).foreignOfCheckpoint(path, metadata);
  const arch = agreed(file, "arch", "-a", flags.network, onnx.settings.name, text) as string;
  const width = agreed(file, "width", "--width", flags.width, 1, number) as number;
  const num_class = agreed(file, "num_class", "--num-class", flags.numClass, undefined, number);
  const low_dim = agreed(file, "low_dim", "--low-dim", flags.lowDim, undefined, number);
  const image_size = agreed(file, "image_size", "--image-size", flags.imageSize, onnx.imageSize, number) as number;
  return {
    network: { task, arch, width, num_class, low_dim, image_size, foreign: onnx.network, onnx },
    prefix: task === "mopro" ? `encoder_${encoder[0]}.` : "",
    head: addedName(task === "mopro" ? "classifier" : "fc", onnx.network),
    notes: [],
  };
}

function fail(message: string): never {
  throw new Error(message);
}

const text = (s: string): string => s;
const number = (s: string): number => (s.trim() === "" ? Number.NaN : Number(s));

/** The value that metadata, flag and tensors agree on; undefined if none of them states it. Throws if they disagree. */
function agreed<T extends string | number>(
  file: SafetensorsFile,
  key: string,
  flag: string | undefined,
  given: T | undefined,
  implied: T | undefined,
  parse: (s: string) => T,
): T | undefined {
  const written = file.metadata.get(key);
  const value = written === undefined ? undefined : parse(written);
  if (Number.isNaN(value)) throw new Error(`${file.path}: __metadata__.${key} is '${written}'`);
  if (given !== undefined && value !== undefined && given !== value) {
    throw new Error(`${flag} ${given}: ${file.path} says ${value} (__metadata__.${key})`);
  }
  const said = value ?? given;
  if (said !== undefined && implied !== undefined && said !== implied) {
    const who = value === undefined ? `${flag} ${said}` : `__metadata__.${key} ${said}`;
    throw new Error(`${who}: the tensors of ${file.path} have ${implied}`);
  }
  return said ?? implied;
}

/**
 * The exact values of the states of a graph, by name. Throws, naming file and tensor, if one is missing, has another
 * shape, is not finite or is a negative variance.
 */
export function readStates({ file, prefix, head }: Checkpoint, states: readonly State[]): ReadonlyMap<string, NdArray> {
  const values = new Map<string, NdArray>();
  for (const s of states) {
    const name = prefix + s.name.replace(/^fc\.(weight|bias)$/, `${head}.$1`);
    const { shape, dtype } = file.entry(name);
    const where = `${file.path}: tensor ${name}`;
    if (!sameShape(shape, s.type.shape))
      throw new Error(`${where} is ${dtype}[${shape}], but the network needs ${showType(s.type)}`);
    const data = Float64Array.from(file.floats(name));
    const bad = data.findIndex((v) => !Number.isFinite(v) || (v < 0 && name.endsWith("running_var")));
    if (bad >= 0) throw new Error(`${where}: element ${bad} is ${data[bad]}`);
    values.set(s.name, new NdArray(shape, data));
  }
  return values;
}

/**
 * Opens a checkpoint of any format as a safetensors file. moproc-convert converts other formats, and safetensors files
 * of other programs, to a temporary file, which is removed before this returns.
 */
function obtainSafetensors(path: string): { file: SafetensorsFile; converted: readonly string[] } {
  if (!existsSync(path)) throw new Error(`${path}: no such file`);
  if (path.endsWith(".safetensors")) {
    const file = SafetensorsFile.open(path);
    if (file.metadata.get("format")?.startsWith("moproc-")) return { file, converted: [] };
    file.close();
  }
  const dir = mkdtempSync(join(tmpdir(), "moproc-export-"));
  try {
    const converted = join(dir, "checkpoint.safetensors");
    const r = spawnSync(nativeFile("moproc-convert"), [path, converted], { encoding: "utf8" });
    if (r.error) throw r.error;
    if (r.status !== 0)
      throw new Error(
        r.stderr.trim().replace(/^moproc convert: /, "") ||
          `${path}: moproc-convert ends with ${r.signal ?? `exit code ${r.status}`}`,
      );
    const notes = r.stdout.trim().split("\n").slice(1); // the first line says which file became which
    return { file: SafetensorsFile.open(converted, path), converted: notes };
  } finally {
    rmSync(dir, { recursive: true, force: true }); // the open file stays readable
  }
}
