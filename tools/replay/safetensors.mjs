// Reads and writes safetensors files: u64 header length, JSON header, data. Tensors are typed arrays in
// logical order; the header's order is kept, because dumps are in execution order.

import { readFileSync, writeFileSync } from "node:fs";

const types = {
  F64: Float64Array,
  F32: Float32Array,
  I64: BigInt64Array,
  I32: Int32Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
};
const nameOf = (data) => Object.entries(types).find(([, T]) => data instanceof T)?.[0];

/** An error of the user's input: printed without a stack, exit code 2. */
export class BadFile extends Error {}

/** Returns tensors {shape, data} by name in the file's order, and the metadata. Throws BadFile, naming the file. */
export function readSafetensors(path) {
  const bytes = readBytes(path);
  const length = bytes.length < 8 ? Number.NaN : Number(bytes.readBigUInt64LE(0));
  if (!(length <= bytes.length - 8)) throw new BadFile(`${path}: not a safetensors file`);
  const header = parseJson(bytes.toString("utf8", 8, 8 + length), path);
  const tensors = new Map();
  for (const [name, t] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const T = types[t?.dtype];
    if (!T) throw new BadFile(`${path}: tensor ${name} has the unsupported dtype ${t?.dtype}`);
    const [begin, end] = t.data_offsets;
    const elements = t.shape.reduce((a, b) => a * b, 1);
    if (!(begin >= 0 && end <= bytes.length - 8 - length && end - begin === elements * T.BYTES_PER_ELEMENT))
      throw new BadFile(`${path}: tensor ${name}: its data are outside the file or do not have the size of its shape`);
    const own = Uint8Array.from(bytes.subarray(8 + length + begin, 8 + length + end)); // aligned memory
    tensors.set(name, { shape: t.shape, data: new T(own.buffer) });
  }
  return { path, tensors, metadata: header.__metadata__ ?? {} };
}

/** Writes tensors (a Map of {shape, data}) in their order. */
export function writeSafetensors(path, tensors, metadata) {
  const header = { __metadata__: metadata };
  let at = 0;
  for (const [name, { shape, data }] of tensors) {
    header[name] = { dtype: nameOf(data), shape, data_offsets: [at, at + data.byteLength] };
    at += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const text = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, " ")]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const parts = [...tensors.values()].map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  writeFileSync(path, Buffer.concat([length, text, ...parts]));
}

export function readJson(path) {
  return parseJson(readBytes(path).toString("utf8"), path);
}

function readBytes(path) {
  try {
    return readFileSync(path);
  } catch (e) {
    throw new BadFile(`cannot read ${path}: ${e.code ?? e.message}`);
  }
}

function parseJson(text, path) {
  try {
    return JSON.parse(text);
  } catch (e) {
    throw new BadFile(`${path}: bad JSON: ${e.message}`);
  }
}
