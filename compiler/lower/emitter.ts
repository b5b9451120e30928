// What selection asks of the room above it: the text of a kernel. A kernel is named by the digest of its text, so
// selecting kernels and writing them go together; compiler/pipeline.ts hands the emitter in.

import type { Target, Value } from "../ir/types.js";
import type { Kernel } from "./plan.js";
import type { Region } from "./region.js";
import type { Constants, Fused, TemplateSpec } from "./template.js";

export interface Emitted {
  readonly kernel: Kernel;
  readonly args: readonly Value[]; // tensors in the order of the kernel's parameters
  readonly scalars: readonly number[]; // Params::scalars
}

export interface Emitter {
  /**
   * The kernel of a region. `plain` are the anchor's buffers after packing, `constants` the template's own; `groups`
   * are those of the launch, of which the text only says whether there are several. Throws if a body would have to load
   * or store a type that it cannot.
   */
  kernel(
    r: Region,
    plain: ReadonlyMap<string, Value>,
    constants: Constants,
    device: Target["device"],
    groups: number,
    prologues: Fused["prologues"],
  ): Emitted;
  /** A kernel that packs the weight `w` into `packed`. */
  packing(template: TemplateSpec, w: Value, packed: Value, constants: Constants, device: Target["device"]): Emitted;
}
