// Reads .safetensors files: 8 bytes of header length, a JSON header, dense little-endian tensors. The file is not
// trusted: every number of the header is checked before it is used, and the tensors must fill the file without gap or
// overlap.

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { streamDigest } from "./digest.js";
import { bf16, f16 } from "./float.js";
import { parseJson } from "./json.js";
import { product } from "./math.js";

const bytesOf = {
  ...{ F32: 4, BF16: 2, F16: 2, F64: 8, BOOL: 1 },
  ...{ I64: 8, I32: 4, I16: 2, I8: 1, U64: 8, U32: 4, U16: 2, U8: 1 },
} as const;
export type SafetensorsDType = keyof typeof bytesOf;

export interface TensorEntry {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly begin: number; // bytes from the start of the data
  readonly end: number;
}

const MAX_HEADER = 16 << 20; // bytes; 150 thousand tensors

/** An open file. All errors name it, and the tensor if the error is about one. */
export class SafetensorsFile {
  private constructor(
    readonly path: string, // as error messages name it
    private readonly fd: number,
    private readonly dataAt: number,
    readonly tensors: ReadonlyMap<string, TensorEntry>,
    readonly metadata: ReadonlyMap<string, string>,
  ) {}

  /**
   * Opens a file and checks its header against its size; the caller closes it. Throws if the file cannot be read or is
   * not a valid safetensors file. Error messages name it `shown`.
   */
  static open(path: string, shown = path): SafetensorsFile {
    const fd = inFile(shown, () => openSync(path, "r"));
    try {
      return inFile(shown, () => {
        const info = fstatSync(fd);
        if (!info.isFile()) throw new Error("is not a regular file");
        const { text, dataAt } = readHeader(fd, info.size);
        const { tensors, metadata } = parseHeader(text);
        checkRanges(tensors, info.size - dataAt);
        return new SafetensorsFile(shown, fd, dataAt, new Map(tensors.map((t) => [t.name, t])), metadata);
      });
    } catch (e) {
      closeSync(fd);
      throw e;
    }
  }

  close(): void {
    closeSync(this.fd);
  }

  /** The entry of the tensor `name`. Throws if there is none. */
  entry(name: string): TensorEntry {
    const t = this.tensors.get(name);
    if (!t) throw new Error(`${this.path}: tensor ${show(name)} is missing`);
    return t;
  }

  /** The bytes of a tensor: little-endian, in logical row-major order. Throws if it is missing or cannot be read. */
  bytes(name: string): Uint8Array<ArrayBuffer> {
    const { begin, end } = this.entry(name);
    const bytes = new Uint8Array(end - begin);
    inFile(this.path, () => readFully(this.fd, bytes, this.dataAt + begin));
    return bytes;
  }

  /**
   * The values of a tensor, in logical row-major order. Its dtype must be exact in f32: F32, BF16 or F16. Throws if it
   * has another dtype, is missing or cannot be read.
   */
  floats(name: string): Float32Array {
    const { dtype } = this.entry(name);
    const bytes = this.bytes(name);
    if (dtype === "F32") return new Float32Array(bytes.buffer);
    if (dtype === "BF16") return Float32Array.from(new Uint16Array(bytes.buffer), bf16);
    if (dtype === "F16") return Float32Array.from(new Uint16Array(bytes.buffer), f16);
    throw new Error(`${this.path}: tensor ${show(name)} is ${dtype}, not F32, BF16 or F16`);
  }

  /** Hex SHA-256 of the data section, without the header. */
  dataDigest(): string {
    return inFile(this.path, () => streamDigest(this.fd, this.dataAt));
  }
}

/** Returns the result of `f`. Puts the file's name in front of the message of whatever `f` throws. */
function inFile<T>(file: string, f: () => T): T {
  try {
    return f();
  } catch (e) {
    throw new Error(`${file}: ${(e as Error).message}`);
  }
}

/** A tensor's name for an error message: at most 200 characters, and quoted if some are not printable ASCII. */
const show = (name: string): string => (/^[!-~]{1,200}$/.test(name) ? name : JSON.stringify(name.slice(0, 200)));

function readFully(fd: number, into: Uint8Array, at: number): void {
  for (let done = 0; done < into.length; ) {
    const n = readSync(fd, into, done, Math.min(into.length - done, 1 << 30), at + done);
    if (n === 0) throw new Error(`ends at byte ${at + done}: it shrank while it was read`);
    done += n;
  }
}

function readHeader(fd: number, size: number): { text: string; dataAt: number } {
  if (size < 8) throw new Error(`not a safetensors file: it has ${size} bytes`);
  const prefix = new Uint8Array(8);
  readFully(fd, prefix, 0);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > BigInt(size - 8))
    throw new Error(`not a safetensors file, or truncated: its header claims ${length} bytes, the file has ${size}`);
  if (length > BigInt(MAX_HEADER)) throw new Error(`its header of ${length} bytes is larger than ${MAX_HEADER}`);
  const bytes = new Uint8Array(Number(length));
  readFully(fd, bytes, 8);
  try {
    return {
      text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes),
      dataAt: 8 + bytes.length,
    };
  } catch {
    throw new Error("its header is not UTF-8");
  }
}

type Json = Readonly<Record<string, unknown>>;
const isObject = (v: unknown): v is Json => typeof v === "object" && v !== null && !Array.isArray(v);
const isCount = (v: unknown): v is number => Number.isSafeInteger(v) && (v as number) >= 0;

function parseHeader(text: string): { tensors: TensorEntry[]; metadata: Map<string, string> } {
  let header: unknown;
  try {
    header = parseJson(text);
  } catch (e) {
    throw new Error(`its header is not valid JSON: ${(e as Error).message}`);
  }
  if (!isObject(header)) throw new Error("its header is not a JSON object");
  const tensors: TensorEntry[] = [];
  const metadata = new Map<string, string>();
  for (const [name, value] of Object.entries(header)) {
    if (name !== "__metadata__") {
      tensors.push(parseEntry(name, value));
      continue;
    }
    if (!isObject(value)) throw new Error("__metadata__ is not a JSON object");
    for (const [key, v] of Object.entries(value)) {
      if (typeof v !== "string") throw new Error(`__metadata__.${show(key)} is not a string`);
      metadata.set(key, v);
    }
  }
  return { tensors, metadata };
}

function parseEntry(name: string, value: unknown): TensorEntry {
  const wrong = (what: string): Error => new Error(`tensor ${show(name)}: ${what}`);
  if (!isObject(value) || Object.keys(value).sort().join() !== "data_offsets,dtype,shape") {
    throw wrong("its header is not {dtype, shape, data_offsets}");
  }
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !Object.hasOwn(bytesOf, dtype)) throw wrong(`unknown dtype ${show(String(dtype))}`);
  if (!Array.isArray(shape) || !shape.every(isCount)) throw wrong("its shape is not whole numbers");
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? offsets : [];
  if (!isCount(begin) || !isCount(end) || begin > end) throw wrong("its data_offsets are not a range");
  // a product that is not exact in f64 cannot equal the size of a file; 0 times anything is 0
  const size = product([bytesOf[dtype as SafetensorsDType], ...shape]);
  if (size !== end - begin)
    throw wrong(
      `its data_offsets hold ${end - begin} bytes, but its shape [${shape.slice(0, 20)}] of ${dtype} takes ${size}`,
    );
  return { name, dtype: dtype as SafetensorsDType, shape, begin, end };
}

function checkRanges(tensors: readonly TensorEntry[], size: number): void {
  let at = 0;
  for (const t of tensors.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    const where = `tensor ${show(t.name)}: its data`;
    if (t.begin !== at)
      throw new Error(`${where} ${t.begin < at ? "overlap" : "leave a gap behind"} those of the tensor before`);
    if (t.end > size) throw new Error(`${where} end at byte ${t.end} of ${size}: the file is truncated`);
    at = t.end;
  }
  if (at !== size) throw new Error(`${size - at} bytes follow the last tensor`);
}
