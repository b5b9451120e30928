// Models as files. A protobuf message is limited to 2 GiB, so the large tensors of a large model are in a second file
// beside it. A model is not trusted: it can only name files in its own folder.

import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { marks, ONNX_DATA_END, requireFile } from "../util/own.js";
import { writeWhole } from "../util/whole_file.js";
import type { External, Model, Tensor } from "./model.js";
import { decodeModel, encodeModel } from "./proto.js";
import { shown, withShownErrors } from "./shown.js";
import { Unsupported } from "./unsupported.js";

/** In bytes: tensors are stored beside the model if all of them have more than `model`; each has at least `tensor`. */
const limits = { model: 1.5e9, tensor: 1024 } as const;
const ALIGN = 64; // bytes, of tensors in the file beside the model
const MAX_MODEL = 2 ** 31 - 1;

/** The file with the tensors of a large model. */
const besideOf = (file: string): string => `${file}.data`;

/**
 * Throws, with the remedy in the message, if a file that moproc did not write has the name of the model or of the file
 * beside it.
 */
export function requireModel(file: string): void {
  requireFile(file, marks.onnx);
  requireFile(besideOf(file), marks.onnxData);
}

/**
 * Writes a model, and FILE.data beside it if its tensors have more than `above` bytes. Returns the names of the files.
 * Throws as requireModel() does, and if a file cannot be written.
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

/**
 * The model in a file, with all its tensors in memory. Throws, naming the file, if it is not a valid model, and
 * Unsupported if it is not supported.
 */
export function readModel(file: string): Model {
  return withShownErrors(() => readShown(file));
}

function readShown(file: string): Model {
  try {
    if (!existsSync(file)) throw new Error("no such file");
    const info = statSync(file);
    if (!info.isFile()) throw new Error("is not a regular file");
    if (info.size > MAX_MODEL) throw new Error(`has ${info.size} bytes; a model has at most ${MAX_MODEL}`);
    const m = decodeModel(readFileSync(file));
    return {
      ...m,
      graph: { ...m.graph, initializers: m.graph.initializers.map((t) => withData(t, dirname(file))) },
    };
  } catch (e) {
    throw e instanceof Unsupported ? e.in(file) : new Error(`${file}: ${(e as Error).message}`);
  }
}

function withData(t: Tensor, dir: string): Tensor {
  if (t.data instanceof Uint8Array) return t;
  const { location, offset, length } = t.data;
  const what = `initializer ${shown(t.name)}`;
  if (!/^[^/\\]+$/.test(location) || location === ".." || location.includes("\0"))
    throw new Error(
      `${what} is in ${JSON.stringify(location.slice(0, 200))}, which is not the name of a file beside the model`,
    );
  const fd = openBeside(join(dir, location), `${what} is in ${shown(location)}`);
  try {
    const { size } = fstatSync(fd);
    if (offset + length > size)
      throw new Error(`${what} is at bytes ${offset} to ${offset + length} of ${shown(location)}, which has ${size}`);
    const data = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const n = readSync(fd, data, done, Math.min(length - done, 1 << 30), offset + done);
      if (n === 0) throw new Error(`${shown(location)} shrank while it was read`);
      done += n;
    }
    return { ...t, data };
  } finally {
    closeSync(fd);
  }
}

/**
 * Opens a file with tensors. A link could lead out of the folder, and a pipe would keep the reader waiting; what was
 * opened is checked, because a name may stand for another file a moment later.
 */
function openBeside(path: string, what: string): number {
  let fd: number;
  try {
    // Windows has neither flag
    fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (e) {
    const { code } = e as NodeJS.ErrnoException;
    if (code === "ELOOP") throw new Error(`${what}, which is a symbolic link, not a file beside the model`);
    throw new Error(`${what}, which is not a file beside the model that can be read (${code})`);
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new Error(`${what}, which is not a file beside the model`);
}
