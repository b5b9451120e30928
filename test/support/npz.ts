// Reads numpy's .npz (a zip of .npy files, stored or deflated), as far as the fixtures need it: dense little-endian
// arrays.

import { inflateRawSync } from "node:zlib";

export interface NpyArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array | Float32Array | Float64Array | BigInt64Array;
}

/** The arrays of an .npz by name, without ".npy". Throws on anything but C-ordered u1, f4, f8 and i8. */
export function readNpz(file: Buffer): ReadonlyMap<string, NpyArray> {
  const end = file.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end < 0) throw new Error("no zip file: it has no end record");
  const arrays = new Map<string, NpyArray>();
  let at = file.readUInt32LE(end + 16);
  for (let i = file.readUInt16LE(end + 10); i > 0; i--) {
    if (file.readUInt32LE(at) !== 0x02014b50) throw new Error(`no zip directory entry at byte ${at}`);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((o) => file.readUInt16LE(at + o)) as [
      number,
      number,
      number,
    ];
    const name = file.toString("utf8", at + 46, at + 46 + nameLength);
    const local = file.readUInt32LE(at + 42);
    const start = local + 30 + file.readUInt16LE(local + 26) + file.readUInt16LE(local + 28);
    const packed = file.subarray(start, start + file.readUInt32LE(at + 20));
    arrays.set(name.replace(/\.npy$/, ""), readNpy(unpack(packed, file.readUInt16LE(at + 10), name), name));
    at += 46 + nameLength + extraLength + commentLength;
  }
  return arrays;
}

function unpack(packed: Buffer, method: number, name: string): Buffer {
  if (method === 0) return packed;
  if (method === 8) return inflateRawSync(packed);
  throw new Error(`${name}: unknown zip method ${method}`);
}

function readNpy(file: Buffer, name: string): NpyArray {
  if (file.toString("latin1", 0, 6) !== "\x93NUMPY") throw new Error(`${name} is no .npy file`);
  const wide = file[6] !== 1; // version 1 has a 16-bit header length
  const begin = wide ? 12 : 10;
  const data = begin + (wide ? file.readUInt32LE(8) : file.readUInt16LE(8));
  const header = file.toString("latin1", begin, data);
  const descr = /'descr': '([^']+)'/.exec(header)?.[1];
  const shape = /'shape': \(([^)]*)\)/.exec(header)?.[1]?.match(/\d+/g)?.map(Number) ?? [];
  if (!header.includes("'fortran_order': False")) throw new Error(`${name} is not in C order`);
  const bytes = Uint8Array.from(file.subarray(data)).buffer; // a copy, so that it is aligned
  switch (descr) {
    case "|u1":
      return { shape, data: new Uint8Array(bytes) };
    case "<f4":
      return { shape, data: new Float32Array(bytes) };
    case "<f8":
      return { shape, data: new Float64Array(bytes) };
    case "<i8":
      return { shape, data: new BigInt64Array(bytes) };
    default:
      throw new Error(`${name} has dtype ${descr}`);
  }
}
