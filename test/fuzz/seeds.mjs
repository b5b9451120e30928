// node test/fuzz/seeds.mjs DIR: a folder of first inputs a target, from the fixtures: whole files for those that read
// files, the pickles inside the archives for the pickle machine.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const out = process.argv[2];
if (!out) {
  console.error("usage: node test/fuzz/seeds.mjs DIR");
  process.exit(2);
}
const allFixtures = join(dirname(fileURLToPath(import.meta.url)), "..", "fixtures");
const fixtures = join(allFixtures, "torch");

function put(target, name, bytes) {
  mkdirSync(join(out, target), { recursive: true });
  writeFileSync(join(out, target, name), bytes);
}

/** The first entry of an archive, which torch.save makes data.pkl; its size is behind its data. */
function pickleIn(zip) {
  const begin = 30 + zip.readUInt16LE(26) + zip.readUInt16LE(28);
  return zip.subarray(begin, zip.indexOf("PK\x07\x08", begin, "latin1"));
}

for (const name of readdirSync(fixtures).filter((f) => /\.(pth|tar|pkl)$/.test(f))) {
  const bytes = readFileSync(join(fixtures, name));
  put("checkpoint", name, bytes);
  const zip = bytes.readUInt32LE(0) === 0x04034b50;
  if (zip) put("zip", name, bytes);
  if (zip || name.endsWith(".pkl")) put("pickle", name, zip ? pickleIn(bytes) : bytes);
}

const tensors = {
  a: { dtype: "F32", shape: [2, 1], data_offsets: [0, 8] },
  b: { dtype: "BF16", shape: [], data_offsets: [8, 10] },
};
const header = JSON.stringify({ __metadata__: { format: "moproc-converted-1", epoch: "3" }, ...tensors });
const length = Buffer.alloc(8);
length.writeBigUInt64LE(BigInt(header.length));
const file = Buffer.concat([length, Buffer.from(header), Buffer.alloc(10)]);
put("safetensors", "two", file);
put("checkpoint", "two.safetensors", file);
put("json", "header", header);
put("json", "values", '{"a": [1, -2.5e-3, true, false, null, "\\u00e9\\ud83d\\ude00\\n"], "": {}}');
put("list", "google", "google/q0001/a b.jpg 0\ngoogle/q0002/b.jpg\t9\n\n google/q0003/c.jpg 10 \r\n");

const unpacked = mkdtempSync(join(tmpdir(), "moproc-seeds-"));
execFileSync("tar", ["xzf", join(allFixtures, "pictures", "pictures.tar.gz"), "-C", unpacked]);
for (const name of readdirSync(join(unpacked, "pictures", "in"))) {
  const target = { ".jpg": "jpeg", ".png": "png", ".webp": "webp", ".gif": "gif" }[extname(name)];
  if (target) put(target, name, readFileSync(join(unpacked, "pictures", "in", name)));
}
rmSync(unpacked, { recursive: true });
