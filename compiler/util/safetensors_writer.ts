// Writes .safetensors files: 8 bytes of header length, a JSON header padded to a multiple of 8 bytes, tensors without
// gaps. If writing fails, no incomplete file is left.

import { createHash } from "node:crypto";
import { marks } from "./own.js";
import type { SafetensorsDType } from "./safetensors.js";
import { writeWhole } from "./whole_file.js";

export interface TensorBytes {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array; // little-endian, logical row-major order
}

/**
 * Writes `path`, with the SHA-256 of the data added to the metadata as "sha256". Throws if the file cannot be written
 * or `path` is a file that moproc did not write (recognised by the "format" that begins with moproc-); an older file
 * then stays as it is.
 */
export function writeSafetensors(
  path: string,
  tensors: readonly TensorBytes[],
  metadata: Readonly<Record<string, string>> & { readonly format: `moproc-${string}` },
): void {
  const sha = createHash("sha256");
  const header: Record<string, unknown> = {};
  let at = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    sha.update(bytes);
    header[name] = { dtype, shape, data_offsets: [at, at + bytes.length] };
    at += bytes.length;
  }
  const { format, ...about } = metadata; // comes first in the file, because the file is recognised by it
  const text = JSON.stringify({ __metadata__: { format, ...about, sha256: sha.digest("hex") }, ...header });
  const json = Buffer.from(text);
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, " ")]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  writeWhole(path, [length, padded, ...tensors.map((t) => t.bytes)], marks.safetensors);
}
