// Tensors by name in files: .npz, .safetensors, or a folder with a file per tensor, .pb (ONNX's TensorProto) or .npy.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import type { ElementType, OnnxGraph, Tensor } from "../../compiler/onnx/model.js";
import { decodeNpy, decodeNpz, writeNpz } from "../../compiler/onnx/npy.js";
import { decodeTensorFile } from "../../compiler/onnx/proto.js";
import { marks, requireFile } from "../../compiler/util/own.js";
import { type SafetensorsDType, SafetensorsFile } from "../../compiler/util/safetensors.js";
import { writeSafetensors } from "../../compiler/util/safetensors_writer.js";
import { safetensorsTypes } from "./weights_file.js";

const MAX_FILE = 2 ** 31 - 1; // bytes that are read at once

/** Returns the result of `f`. Puts the file's name in front of the message of whatever `f` throws. */
function inFile<T>(file: string, f: () => T): T {
  try {
    return f();
  } catch (e) {
    throw new Error(`${file}: ${(e as Error).message}`);
  }
}

function contents(file: string): Buffer {
  const info = statSync(file, { throwIfNoEntry: false });
  if (!info) throw new Error("no such file");
  if (!info.isFile()) throw new Error("is not a regular file");
  if (info.size > MAX_FILE) throw new Error(`has ${info.size} bytes; a .safetensors file may have more than 2 GB`);
  return readFileSync(file);
}

const elementTypes = new Map(Object.entries(safetensorsTypes).map(([type, name]) => [name, type as ElementType]));

function fromSafetensors(path: string, wanted: (name: string) => boolean): Map<string, Tensor> {
  const file = SafetensorsFile.open(path);
  try {
    const entries = [...file.tensors.values()].filter((e) => wanted(e.name));
    return new Map(
      entries.map(({ name, dtype, shape }) => {
        const type = elementTypes.get(dtype) as ElementType;
        return [name, { name, type, dims: shape, data: file.bytes(name) }];
      }),
    );
  } finally {
    file.close();
  }
}

/** The one tensor of a .pb or .npy file. */
const single = (file: string, name: string): Tensor =>
  inFile(file, () => ({
    ...(extname(file) === ".pb" ? decodeTensorFile(contents(file)) : decodeNpy(contents(file), name)),
    name,
  }));

/** The tensor for `name` in a file: the only one of a .pb or .npy, the one of this name of an .npz or .safetensors. */
export function readTensor(file: string, name: string): Tensor {
  const kind = extname(file);
  if (kind === ".pb" || kind === ".npy") return single(file, name);
  const found = readTensors(file, (n) => n === name).get(name);
  if (!found) throw new Error(`${file}: holds no tensor ${name}`);
  return found;
}

/** The tensors of an .npz or .safetensors file by name. */
function readTensors(file: string, wanted: (name: string) => boolean = () => true): Map<string, Tensor> {
  if (extname(file) === ".safetensors") return fromSafetensors(file, wanted);
  if (extname(file) === ".npz") return inFile(file, () => decodeNpz(contents(file)));
  throw new Error(`${file}: its name must end in .npz or .safetensors, or it must be a folder`);
}

/**
 * The inputs of a graph in a folder: input_I.pb is that of graph.inputs[I], and NAME.pb or NAME.npy that of input NAME.
 * Throws for two files of one input, and for a file of no input, except output_I.pb.
 */
export function readFolder(dir: string, graph: OnnxGraph): Map<string, Tensor> {
  const names = new Set(graph.inputs.map((v) => v.name));
  const tensors = new Map<string, Tensor>();
  for (const file of readdirSync(dir).toSorted()) {
    const [, stem, kind] = /^(.*)\.(pb|npy)$/.exec(file) ?? [];
    if (stem === undefined) continue;
    const [, side, position] = /^(input|output)_(\d+)$/.exec(names.has(stem) || kind !== "pb" ? "" : stem) ?? [];
    if (side === "output") continue;
    const name = position === undefined ? stem : graph.inputs[Number(position)]?.name;
    if (name === undefined || !names.has(name))
      throw new Error(`${join(dir, file)}: the model has no such input; they are ${[...names].join(", ")}`);
    if (tensors.has(name)) throw new Error(`${join(dir, file)}: another file of the folder is input ${name}, too`);
    tensors.set(name, single(join(dir, file), name));
  }
  return tensors;
}

/** The inputs of a graph in a file or folder. Tells on stderr which tensors of a file are no inputs. */
export function readInputs(path: string, graph: OnnxGraph): Map<string, Tensor> {
  if (!existsSync(path)) throw new Error(`${path}: no such file or folder`);
  if (statSync(path).isDirectory()) return readFolder(path, graph);
  const all = readTensors(path);
  const names = new Set(graph.inputs.map((v) => v.name));
  const unused = [...all.keys()].filter((name) => !names.has(name));
  if (unused.length > 0) process.stderr.write(`note: ${path}: not used by the model: ${unused.join(", ")}\n`);
  return new Map([...all].filter(([name]) => names.has(name)));
}

/** Throws unless writeTensors() can write this file, judged by its name, its folder and what is there. */
export function requireTensorFile(path: string): void {
  const folder = dirname(path);
  if (!existsSync(folder) || !statSync(folder).isDirectory()) throw new Error(`${path}: ${folder} is no folder`);
  if (extname(path) === ".npz") return requireFile(path, marks.npz);
  if (extname(path) === ".safetensors") return requireFile(path, marks.safetensors);
  throw new Error(`${path}: its name must end in .npz or .safetensors`);
}

/** Writes tensors as .npz or .safetensors. Throws as requireTensorFile(), or if the file cannot be written. */
export function writeTensors(path: string, tensors: readonly Tensor[]): void {
  requireTensorFile(path);
  if (extname(path) === ".npz") return writeNpz(path, new Map(tensors.map((t) => [t.name, t])));
  const entries = tensors.map(({ name, type, dims, data }) => ({
    name,
    dtype: safetensorsTypes[type] as SafetensorsDType,
    shape: dims,
    bytes: data as Uint8Array,
  }));
  writeSafetensors(path, entries, { format: "moproc-tensors-1" });
}
