// Tensors as numpy's .npy files, and several as an .npz. numpy has no bfloat16: its elements are 2-byte words of the
// type V2, as the package ml_dtypes writes them.

import { elements } from "../ir/types.js";
import { marks, NPZ_END } from "../util/own.js";
import { writeWhole } from "../util/whole_file.js";
import { readZip, zipped } from "../util/zip.js";
import { type ElementType, elementBytes, type Tensor } from "./model.js";

const names: Readonly<Record<ElementType, string>> = {
  f32: "<f4",
  f64: "<f8",
  f16: "<f2",
  bf16: "<V2",
  i64: "<i8",
  i32: "<i4",
  i16: "<i2",
  i8: "|i1",
  u64: "<u8",
  u32: "<u4",
  u16: "<u2",
  u8: "|u1",
  bool: "|b1",
};
const types = new Map(Object.entries(names).map(([type, name]) => [name.slice(1), type as ElementType]));
const MAGIC = "\x93NUMPY";
const ALIGN = 64; // bytes, of the elements in a file

/** The tensor of an .npy file, whose memory it shares. Throws unless it has little-endian elements in C order. */
export function decodeNpy(file: Buffer, name: string): Tensor {
  if (file.length < 12 || file.toString("latin1", 0, 6) !== MAGIC) throw new Error("no .npy file");
  const wide = file[6] !== 1; // version 1 has a length of 16 bits
  const begin = wide ? 12 : 10;
  const data = begin + (wide ? file.readUInt32LE(8) : file.readUInt16LE(8));
  const header = file.toString("latin1", begin, Math.min(data, file.length));
  const [, order, kind] = /'descr': *'([<>|=])(\w+)'/.exec(header) ?? [];
  const [, list] = /'shape': *\(([^)]*)\)/.exec(header) ?? [];
  const fortran = /'fortran_order': *(True|False)/.exec(header)?.[1];
  if (kind === undefined || list === undefined || fortran === undefined)
    throw new Error("its header is none of an .npy file of numbers");
  const type = types.get(kind);
  if (type === undefined) throw new Error(`element type ${kind} is not supported`);
  const dims = (list.match(/\d+/g) ?? []).map(Number);
  if (order === ">" && elementBytes[type] > 1) throw new Error("its elements are big-endian, which is not supported");
  if (fortran === "True" && dims.filter((d) => d !== 1).length > 1)
    throw new Error("it is in Fortran order; save numpy.ascontiguousarray() of it");
  const [need, have] = [elements(dims) * elementBytes[type], file.length - data];
  if (need !== have) throw new Error(`${type}[${dims}] takes ${need} bytes, there are ${have}`);
  return { name, type, dims, data: new Uint8Array(file.buffer, file.byteOffset + data, need) };
}

/** The bytes of an .npy file. */
export function encodeNpy(t: Tensor): Uint8Array {
  const list = t.dims.length === 1 ? `${t.dims[0]},` : t.dims.join(", ");
  const about = `{'descr': '${names[t.type]}', 'fortran_order': False, 'shape': (${list}), }`;
  const begin = 10;
  const padding = ALIGN - ((begin + about.length + 1) % ALIGN);
  const head = Buffer.from(`${MAGIC}\x01\x00..${about}${" ".repeat(padding % ALIGN)}\n`, "latin1");
  head.writeUInt16LE(head.length - begin, 8);
  return Buffer.concat([head, t.data as Uint8Array]);
}

/** The tensors of an .npz file by name. */
export function decodeNpz(file: Buffer): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  for (const [entry, bytes] of readZip(file)) {
    const name = entry.replace(/\.npy$/, "");
    try {
      tensors.set(name, decodeNpy(bytes, name));
    } catch (e) {
      throw new Error(`${entry}: ${(e as Error).message}`);
    }
  }
  return tensors;
}

/** Writes an .npz file. Throws if it cannot be written, or if a file that moproc did not write is there. */
export function writeNpz(path: string, tensors: ReadonlyMap<string, Tensor>): void {
  const files = new Map([...tensors].map(([name, t]) => [`${name}.npy`, encodeNpy(t)]));
  writeWhole(path, zipped(files, NPZ_END), marks.npz);
}
