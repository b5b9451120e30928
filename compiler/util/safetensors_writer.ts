// Writes .safetensors files: 8 bytes of header length, a JSON header padded to 8, tensors without gaps. The
// file is complete or not there.

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
 * Writes `path`; the data's sha256 is added to the metadata, whose "format" begins with moproc-. Throws naming the
 * file, and then leaves an older one as it is; also where the file that is there is none of moproc's.
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
  const { format, ...about } = metadata; // first: it is what the file is recognised by
  const text = JSON.stringify({ __metadata__: { format, ...about, sha256: sha.digest("hex") }, ...header });
  const json = Buffer.from(text);
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, " ")]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  writeWhole(path, [length, padded, ...tensors.map((t) => t.bytes)], marks.safetensors);
}
