// node tools/conformance/pack.mjs FOLDER: writes test/fixtures/onnx-conformance/cases.tar.gz from a folder with the
// ONNX project's test cases and tolerances.json. Files with the same contents are one file with several names in the
// archive, because gzip does not find repetitions that are far apart. The same folder gives the same bytes.

import { createHash } from "node:crypto";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { quiet, root } from "../setup/steps.mjs";

const archive = join(root, "test", "fixtures", "onnx-conformance", "cases.tar.gz");
const LARGEST = 8e6; // bytes of the archive
/** Networks whose expected outputs prove little, and large ones that ONNX did not make. */
const left_out = new Set(["light", "light-seeded"]);

const [folder] = process.argv.slice(2);
if (folder === undefined || !existsSync(join(folder, "tolerances.json"))) {
  process.stderr.write(
    "usage: node tools/conformance/pack.mjs FOLDER, which has tolerances.json and folders of cases\n",
  );
  process.exit(2);
}

/** Whether a file is of a case: the folder of the case has a model. */
const isOfCase = (file) =>
  existsSync(join(dirname(file), "model.onnx")) || existsSync(join(dirname(file), "..", "model.onnx"));

const files = readdirSync(folder, { withFileTypes: true })
  .filter((e) => e.isDirectory() && !left_out.has(e.name))
  .flatMap((e) => readdirSync(join(folder, e.name), { recursive: true, withFileTypes: true }))
  .filter((e) => e.isFile())
  .map((e) => join(e.parentPath, e.name))
  .filter(isOfCase)
  .sort();
const temporary = mkdtempSync(join(tmpdir(), "moproc-pack-"));
try {
  const known = new Map(); // digest -> path of the copy
  for (const file of [join(folder, "tolerances.json"), ...files]) {
    const bytes = readFileSync(file);
    const key = createHash("sha256").update(bytes).digest("hex");
    const copy = join(temporary, relative(folder, file));
    mkdirSync(dirname(copy), { recursive: true });
    const first = known.get(key);
    if (first === undefined) writeFileSync(copy, bytes, { mode: 0o644 });
    else linkSync(first, copy);
    known.set(key, first ?? copy);
  }
  const same = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "--mode=u=rwX,go=rX"];
  const tar = quiet("tar", ["-C", temporary, "--format=gnu", ...same, "-cf", "-", "."], { encoding: "buffer" });
  const packed = gzipSync(tar, { level: 9 });
  const models = files.filter((f) => f.endsWith("/model.onnx")).length;
  console.log(`${models} cases, ${files.length} files, ${known.size} different ones: ${packed.length} bytes`);
  if (packed.length > LARGEST)
    throw new Error(`${packed.length} bytes are more than ${LARGEST}: leave out large cases`);
  writeFileSync(archive, packed);
} finally {
  rmSync(temporary, { recursive: true });
}
