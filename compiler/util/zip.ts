// Zip files, as numpy's .npz are: read stored or deflated, written stored. A file that is read is not trusted: every
// offset and size is checked before it is used.

import { inflateRawSync } from "node:zlib";

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const LONGEST_COMMENT = 0xffff;
const LARGEST = 0xffffffff; // from here on sizes and offsets need zip64, which is not supported

/** The files of a zip file by name. Throws if it is damaged, encrypted, larger than 4 GB or packed in another way. */
export function readZip(file: Buffer): Map<string, Buffer> {
  const end = endOf(file);
  const count = file.readUInt16LE(end + 10);
  const files = new Map<string, Buffer>();
  let at = file.readUInt32LE(end + 16);
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || file.readUInt32LE(at) !== ENTRY) throw new Error(`no zip entry at byte ${at}`);
    const [method, packed, size] = [file.readUInt16LE(at + 10), file.readUInt32LE(at + 20), file.readUInt32LE(at + 24)];
    const [named, extra, comment] = [28, 30, 32].map((o) => file.readUInt16LE(at + o)) as [number, number, number];
    const name = file.toString("utf8", at + 46, at + 46 + named);
    const bytes = contents(file, file.readUInt32LE(at + 42), packed, name);
    if (files.has(name)) throw new Error(`it holds ${name} twice`);
    if ((file.readUInt16LE(at + 8) & 1) !== 0) throw new Error(`${name} is encrypted`);
    files.set(name, unpacked(bytes, method, size, name, file.readUInt32LE(at + 16)));
    at += 46 + named + extra + comment;
  }
  return files;
}

function endOf(file: Buffer): number {
  for (let at = file.length - END_BYTES; at >= 0 && at >= file.length - END_BYTES - LONGEST_COMMENT; at--)
    if (file.readUInt32LE(at) === END && at + END_BYTES + file.readUInt16LE(at + 20) === file.length) return at;
  throw new Error("no zip file, or cut off: it has no end record");
}

function contents(file: Buffer, local: number, packed: number, name: string): Buffer {
  if (packed === LARGEST || local === LARGEST) throw new Error(`${name} has 4 GB or more, which is not supported`);
  if (local + 30 > file.length || file.readUInt32LE(local) !== LOCAL)
    throw new Error(`${name} is not where it should be`);
  const start = local + 30 + file.readUInt16LE(local + 26) + file.readUInt16LE(local + 28);
  if (start + packed > file.length) throw new Error(`${name} ends behind the end of the file`);
  return file.subarray(start, start + packed);
}

function unpacked(bytes: Buffer, method: number, size: number, name: string, crc: number): Buffer {
  if (method !== 0 && method !== 8) throw new Error(`${name} is packed by method ${method}; known are 0 and 8`);
  const plain = method === 0 ? bytes : inflateRawSync(bytes, { maxOutputLength: Math.max(1, size) });
  if (plain.length !== size || crc32(plain) !== crc) throw new Error(`${name} is damaged`);
  return plain;
}

/** The parts of a zip file with these files, stored, and a comment at its end. Throws if it would reach 4 GB. */
export function zipped(files: ReadonlyMap<string, Uint8Array>, comment: string): Uint8Array[] {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const [name, bytes] of files) {
    const named = Buffer.from(name);
    if (at + bytes.length + named.length + 30 >= LARGEST)
      throw new Error("a zip file of 4 GB or more is not supported");
    const about = Buffer.alloc(26); // the same in both headers
    about.writeUInt16LE(20, 0); // the version that is needed to read it
    about.writeUInt16LE(0x800, 2); // the name is UTF-8
    about.writeUInt16LE(0x21, 8); // 1 January 1980
    about.writeUInt32LE(crc32(bytes), 10);
    about.writeUInt32LE(bytes.length, 14);
    about.writeUInt32LE(bytes.length, 18);
    about.writeUInt16LE(named.length, 22);
    parts.push(word(LOCAL), about, named, bytes);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(at, 10);
    directory.push(word(ENTRY), Buffer.from([20, 0]), about, rest, named);
    at += 30 + named.length + bytes.length;
  }
  const size = directory.reduce((s, p) => s + p.length, 0);
  const end = Buffer.alloc(END_BYTES);
  end.writeUInt32LE(END, 0);
  end.writeUInt16LE(files.size, 8);
  end.writeUInt16LE(files.size, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(at, 16);
  end.writeUInt16LE(Buffer.byteLength(comment), 20);
  return [...parts, ...directory, end, Buffer.from(comment)];
}

function word(x: number): Buffer {
  const b = Buffer.alloc(4);
  b.writeUInt32LE(x);
  return b;
}

const table = Uint32Array.from({ length: 256 }, (_, i) => {
  let c = i;
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c;
});

function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) c = (table[(c ^ (bytes[i] as number)) & 255] as number) ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}
