// The CUDA target without a GPU: kernels compiled for the emulator, run through the runtime on the emulated driver.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Graph, Precision, Target, Value } from "../../compiler/ir/types.js";
import { templatesOf } from "../../compiler/lower/templates/index.js";
import { isElementwise, opOf } from "../../compiler/ops/op.js";
import { root } from "../../compiler/util/root.js";

export const emulatedDriver = join(root, "build", "native", "test", "emulator", "driver", "libcuda_emulator.so");
/** Whether the native tests are built, which include the emulated driver. */
export const haveEmulator = existsSync(emulatedDriver);

/** The target whose artefacts this process can load; `seed` determines the order of a block's threads. */
export function emulated(precision: Precision, seed = 1, arch = "emulator"): Target {
  process.env.MOPROC_CUDA_DRIVER = emulatedDriver;
  process.env.MOPROC_EMULATOR = `seed=${seed}`;
  return { device: "cuda", arch, ranks: [1], precision };
}

/** Whether a graph has only ops with templates for GPUs; the general template is for CPUs. */
export const hasCudaKernels = (g: Graph): boolean =>
  g.nodes.every((n) => !opOf(n.op).nest || isElementwise(n) || templatesOf({ device: "cuda" })(n) !== undefined);

/**
 * Whether the tensor cores accept the channels of all convolutions: multiples of 8, except for the image of a forward
 * one.
 */
export const fitsTensorCores = (g: Graph): boolean =>
  g.nodes.every((n) => {
    if (!n.op.startsWith("conv")) return true;
    const [x, w] = n.op === "conv_wgrad" ? [n.inputs[1], n.outputs[0]] : [n.inputs[0], n.inputs[1]];
    const [out, c] = (w as Value).type.shape;
    const image = n.op !== "conv_dgrad" && g.inputs.includes(x as never);
    return (out as number) % 8 === 0 && ((c as number) % 8 === 0 || image);
  });
