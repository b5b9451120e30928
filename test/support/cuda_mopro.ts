// Code that the tests of the tiny MoPro as CUDA kernels share: networks, the native tool, launches checked one by one.

import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import type { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Target } from "../../compiler/ir/types.js";
import { root } from "../../compiler/util/root.js";
import { writeSafetensors } from "../../compiler/util/safetensors_writer.js";
import { compiled, toValues } from "./compiled.js";
import type { MoproSteps } from "./mopro_steps.js";
import { checkRecord } from "./recorded.js";

export const small = { arch: "resnet10", width: 1 / 4, num_class: 5, low_dim: 8, queue: 11, image_size: 32 } as const;

/** Runs the native tool; returns its exit status and output. */
export function gpuCheck(...args: readonly string[]): { readonly status: number | null; readonly text: string } {
  const { status, stdout, stderr } = spawnSync(join(root, "build", "native", "moproc-gpu-check"), args, {
    encoding: "utf8",
  });
  return { status, text: stdout + stderr };
}

/** Writes states and inputs of a step, for the tool that records launches. */
function writeValues(mopro: MoproSteps, groups: number, path: string): void {
  const g = mopro.program(`clean_${groups}`);
  const all = { ...Object.fromEntries(mopro.start(groups, 11)), ...mopro.batch(groups, 80) };
  const tensors = [...g.state, ...g.inputs].map(({ name, type: { dtype, shape } }) => {
    const values = toValues({ dtype, shape }, all[name] as NdArray);
    const kinds = { f32: "F32", i64: "I64", u8: "U8" } as const;
    return { name, dtype: kinds[dtype as keyof typeof kinds], shape, bytes: new Uint8Array(values.buffer) };
  });
  writeSafetensors(path, tensors, { format: "moproc-values-1" });
}

/**
 * Records a step of `mopro` and checks every launch against its op's reference. Returns the checks, which are logged by
 * template.
 */
export async function checkLaunches(
  t: ExecutionContext,
  mopro: MoproSteps,
  groups: number,
  name: string,
  target: Target,
  graphs: readonly Graph[] = mopro.graphs,
) {
  const { dir } = await compiled(name, graphs, target);
  const beside = `${dir}_record`; // an artefact is not replaced if it holds other files
  mkdirSync(beside, { recursive: true });
  const [values, record] = [join(beside, "values.safetensors"), join(beside, "clean.record")];
  writeValues(mopro, groups, values);
  const made = gpuCheck("record", dir, `clean_${groups}`, values, record);
  t.is(made.status, 0, made.text);
  const checks = await checkRecord(dir, record, values, mopro.program(`clean_${groups}`), target);
  for (const kernel of new Set(checks.map((c) => c.kernel))) {
    const own = checks.filter((c) => c.kernel === kernel);
    t.log(
      `${kernel}: ${own.length} results, ${Math.max(...own.map((c) => c.norm)).toExponential(1)} of the norm, ` +
        `${Math.max(...own.map((c) => c.ulps)).toFixed(1)} ulp`,
    );
  }
  t.deepEqual(
    checks.filter((c) => !c.ok),
    [],
  );
  t.true(checks.length > 150);
  return { dir, values, record };
}
