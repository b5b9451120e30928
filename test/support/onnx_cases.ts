// The cases of the ONNX project in test/fixtures/onnx-cases, from their archive.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { NdArray } from "../../compiler/ir/nd.js";
import { elementsOf, type Model, type Tensor } from "../../compiler/onnx/model.js";
import { decodeModel, decodeTensorFile } from "../../compiler/onnx/proto.js";
import { root } from "../../compiler/util/root.js";

export interface OnnxCase {
  readonly name: string;
  readonly model: Model;
  /** The tensors of one data set: by position in graph.input and in graph.output. */
  readonly sets: readonly { readonly inputs: readonly Tensor[]; readonly outputs: readonly Tensor[] }[];
}

const BLOCK = 512; // bytes: a header, and the unit of contents

/** The regular files of an archive in the format ustar, by path. */
function untar(archive: Uint8Array): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const text = (at: number, size: number): string =>
    Buffer.from(archive.subarray(at, at + size))
      .toString("latin1")
      .replace(/\0.*$/s, "");
  for (let at = 0; at < archive.length && archive[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12), 8);
    const content = at + BLOCK;
    if (text(at + 156, 1) === "0") files.set(text(at, 100), archive.slice(content, content + size));
    at = content + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

/** All cases, by name. */
export function onnxCases(): OnnxCase[] {
  const files = untar(gunzipSync(readFileSync(join(root, "test", "fixtures", "onnx-cases", "cases.tar.gz"))));
  const of = (dir: string, kind: string): Tensor[] => {
    const found: Tensor[] = [];
    for (let i = 0; files.has(`${dir}/${kind}_${i}.pb`); i++)
      found.push(decodeTensorFile(files.get(`${dir}/${kind}_${i}.pb`) as Uint8Array));
    return found;
  };
  return [...files.keys()]
    .filter((f) => f.endsWith("/model.onnx"))
    .map((f) => {
      const name = f.replace(/\/model\.onnx$/, "");
      const dirs = new Set(
        [...files.keys()].flatMap((g) => (g.startsWith(`${name}/test_`) ? [g.replace(/\/[^/]*$/, "")] : [])),
      );
      return {
        name,
        model: decodeModel(files.get(f) as Uint8Array),
        sets: [...dirs].map((d) => ({ inputs: of(d, "input"), outputs: of(d, "output") })),
      };
    });
}

/** A tensor of f32, f64 or integers up to 2^53 as an array of the reference evaluator. */
export const arrayOf = (t: Tensor): NdArray =>
  new NdArray(t.dims, Float64Array.from(elementsOf(t) as ArrayLike<number>, Number));
