// Graphs compiled for this machine and run through the addon, beside the reference evaluator: the test of every kernel,
// fusion and memory plan. Many graphs share one artefact, because starting the C++ compiler is what takes the time.

import { join } from "node:path";
import { type Artefact, load, type Values } from "node-cuda-rt";
import { type Env, evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { DType, Graph, Target, TensorType, Value } from "../../compiler/ir/types.js";
import { compile } from "../../compiler/pipeline.js";
import { root } from "../../compiler/util/root.js";
import { cpuArch } from "../../tools/cli/cpu.js";

export const nativeTarget: Target = { device: "cpu", arch: cpuArch("native"), ranks: [1] };

/** Compiles the graphs as programs of one artefact below build/test and loads it. Names must be unique. */
export async function compiled(
  name: string,
  graphs: readonly Graph[],
  target = nativeTarget,
  threads = 2,
): Promise<Artefact> {
  const dir = join(root, "build", "test", name);
  await compile(graphs, dir, { name, target });
  return load(dir, { threads });
}

/** The results of a program from `feed` (inputs and states): outputs by position, and states after the step by name. */
export interface Ran {
  readonly outputs: readonly NdArray[];
  readonly state: ReadonlyMap<string, NdArray>;
}

export async function runCompiled(a: Artefact, g: Graph, feed: ReadonlyMap<Value, NdArray>): Promise<Ran> {
  for (const s of g.state) a.set(s.name, toValues(s.type, feed.get(s) as NdArray));
  const inputs = Object.fromEntries(g.inputs.map((v) => [v.name, toValues(v.type, feed.get(v) as NdArray)]));
  const out = await a.run(g.name, inputs);
  const updated = [...g.updates.keys()];
  const names = a.programs.find((p) => p.name === g.name)?.outputs.map((o) => o.name) ?? [];
  return {
    outputs: g.outputs.map((v, i) => fromValues(v.type, out[names[i] as string] as Values)),
    state: new Map(updated.map((s) => [s.name, fromValues(s.type, a.get(s.name))])),
  };
}

/** The same by the reference evaluator. */
export function runReference(g: Graph, feed: ReadonlyMap<Value, NdArray>): Ran & { readonly env: Env } {
  const env = evaluate(g, feed);
  const value = (v: Value): NdArray => env.get(v) as NdArray;
  return { env, outputs: g.outputs.map(value), state: new Map([...g.updates].map(([s, v]) => [s.name, value(v)])) };
}

export function toValues(type: TensorType, x: NdArray): Values {
  const d = x.data;
  const make: Readonly<Partial<Record<DType, () => Values>>> = {
    f32: () => new Float32Array(d),
    f64: () => d.slice(),
    i64: () => BigInt64Array.from(d, (v) => BigInt(v)),
    i32: () => Int32Array.from(d),
    i16: () => Int16Array.from(d),
    i8: () => Int8Array.from(d),
    u64: () => BigUint64Array.from(d, (v) => BigInt(v)),
    u32: () => Uint32Array.from(d),
    u16: () => Uint16Array.from(d),
    u8: () => Uint8Array.from(d),
    bool: () => Uint8Array.from(d),
  };
  const f = make[type.dtype];
  if (!f) throw new Error(`tests cannot feed ${type.dtype}`);
  return f();
}

export const fromValues = (type: TensorType, v: Values): NdArray =>
  new NdArray(
    type.shape,
    v instanceof BigInt64Array || v instanceof BigUint64Array ? Float64Array.from(v, Number) : new Float64Array(v),
  );

/** |a - b| / |b| in the 2-norm; NaN if either has a NaN. */
export function relativeError(a: NdArray, b: NdArray): number {
  let d = 0;
  let n = 0;
  b.data.forEach((y, i) => {
    d += ((a.data[i] as number) - y) ** 2;
    n += y ** 2;
  });
  return Math.sqrt(d) / Math.max(Math.sqrt(n), 1e-30);
}
