// The file in an artefact with the values that its state begins with.

import { join } from "node:path";
import { planDigest } from "../../compiler/emit/plan_json.js";
import type { Plan } from "../../compiler/lower/plan.js";
import type { Tensor } from "../../compiler/onnx/model.js";
import type { SafetensorsDType } from "../../compiler/util/safetensors.js";
import { writeSafetensors } from "../../compiler/util/safetensors_writer.js";

/** The file in an artefact folder with the state from the ONNX files that it was compiled from. */
export const INIT = "init.safetensors";

/** The dtypes of safetensors by those of the IR. */
export const safetensorsTypes: Readonly<Record<string, SafetensorsDType>> = {
  f32: "F32",
  bf16: "BF16",
  f16: "F16",
  f64: "F64",
  i64: "I64",
  i32: "I32",
  i16: "I16",
  i8: "I8",
  u64: "U64",
  u32: "U32",
  u16: "U16",
  u8: "U8",
  bool: "BOOL",
};

/** The bytes of a tensor that is in memory, as all are that readModel() has read. */
export const bytesOf = (t: Tensor): Uint8Array => t.data as Uint8Array;

/** Writes tensors as a safetensors file with this metadata. */
export function writeTensors(
  file: string,
  values: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> & { readonly format: `moproc-${string}` },
): void {
  const tensors = [...values].map(([name, tensor]) => ({
    name,
    dtype: safetensorsTypes[tensor.type] as SafetensorsDType,
    shape: tensor.dims,
    bytes: bytesOf(tensor),
  }));
  writeSafetensors(file, tensors, metadata);
}

/** Writes the values of all states as a checkpoint into an artefact's folder. */
export function writeState(
  dir: string,
  compiled: Plan,
  values: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>>,
): void {
  const format = "moproc-checkpoint-1";
  writeTensors(join(dir, INIT), values, { plan_digest: planDigest(compiled), ...metadata, format });
}
