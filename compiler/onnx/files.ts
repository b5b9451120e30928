// Models as files. Large tensors of a large model lie beside it, because protobuf ends at 2 GiB; a file that
// names such tensors says nothing about where else to read.

import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { marks, ONNX_DATA_END, requireFile } from "../util/own.js";
import { writeWhole } from "../util/whole_file.js";
import type { External, Model, Tensor } from "./model.js";
import { decodeModel, encodeModel } from "./proto.js";

/** Bytes of tensors above which they leave the model, and how large one has to be. */
const limits = { model: 1.5e9, tensor: 1024 } as const;
const ALIGN = 64; // of tensors in the file beside
const MAX_MODEL = 2 ** 31 - 1;

/** The file that the tensors of a large model lie in. */
const besideOf = (file: string): string => `${file}.data`;

/**
 * Throws, with the remedy, where a file that is none of moproc's has the name of the model or of the file beside it.
 */
export function requireModel(file: string): void {
  requireFile(file, marks.onnx);
  requireFile(besideOf(file), marks.onnxData);
}

/**
 * Writes a model, and FILE.data beside it when its tensors take more than `above` bytes. Returns the files' names.
 * Throws as requireModel() does.
 */
export function writeModel(file: string, m: Model, above: number = limits.model): string[] {
  requireModel(file);
  const inside = m.graph.initializers.reduce((s, t) => s + (t.data instanceof Uint8Array ? t.data.byteLength : 0), 0);
  if (inside <= above) {
    writeWhole(file, [encodeModel(m)], marks.onnx);
    return [file];
  }
  const beside = besideOf(file);
  const parts: Uint8Array[] = [];
  let offset = 0;
  const initializers = m.graph.initializers.map((t): Tensor => {
    if (!(t.data instanceof Uint8Array) || t.data.byteLength < limits.tensor) return t;
    const data: External = { location: basename(beside), offset, length: t.data.byteLength };
    const gap = (ALIGN - (t.data.byteLength % ALIGN)) % ALIGN;
    parts.push(t.data, new Uint8Array(gap));
    offset += t.data.byteLength + gap;
    return { ...t, data };
  });
  writeWhole(beside, [...parts, Buffer.from(ONNX_DATA_END)], marks.onnxData);
  writeWhole(file, [encodeModel({ ...m, graph: { ...m.graph, initializers } })], marks.onnx);
  return [file, beside];
}

/** The model in a file with all its tensors in memory. Throws, naming the file, when it is none. */
export function readModel(file: string): Model {
  try {
    if (!existsSync(file)) throw new Error("no such file");
    const info = statSync(file);
    if (!info.isFile()) throw new Error("is no file");
    if (info.size > MAX_MODEL) throw new Error(`has ${info.size} bytes; a model has at most ${MAX_MODEL}`);
    const m = decodeModel(readFileSync(file));
    return {
      ...m,
      graph: { ...m.graph, initializers: m.graph.initializers.map((t) => withData(t, dirname(file))) },
    };
  } catch (e) {
    throw new Error(`${file}: ${(e as Error).message}`);
  }
}

function withData(t: Tensor, dir: string): Tensor {
  if (t.data instanceof Uint8Array) return t;
  const { location, offset, length } = t.data;
  const what = `initializer ${t.name}`;
  if (!/^[^/\\]+$/.test(location) || location === ".." || location.includes("\0"))
    throw new Error(`${what} is in ${JSON.stringify(location)}, which is no name of a file beside the model`);
  const path = join(dir, location);
  if (!existsSync(path) || !statSync(path).isFile())
    throw new Error(`${what} is in ${location}, which is no file beside the model`);
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    if (offset + length > size)
      throw new Error(`${what} is at bytes ${offset} to ${offset + length} of ${location}, which has ${size}`);
    const data = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const n = readSync(fd, data, done, Math.min(length - done, 1 << 30), offset + done);
      if (n === 0) throw new Error(`${location} shrank while it was read`);
      done += n;
    }
    return { ...t, data };
  } finally {
    closeSync(fd);
  }
}
