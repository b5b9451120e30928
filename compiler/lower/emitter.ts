// The interface by which kernel selection gets the text of a kernel from compiler/emit, which it may not import. A
// kernel is named by the digest of its text, so its text is needed when it is selected. compiler/pipeline.ts passes the
// emitter in.

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
   * The kernel of a region. `plain` has the anchor's buffers after packing, `constants` those of the template. `groups`
   * is the number of groups of the launch; the text depends only on whether it is 1. Throws if a body would have to
   * load or store a type that it cannot.
   */
  kernel(
    r: Region,
    plain: ReadonlyMap<string, Value>,
    constants: Constants,
    device: Target["device"],
    groups: number,
    prologues: Fused["prologues"],
  ): Emitted;
  /** The kernel that packs the weight `w` into `packed`. */
  packing(template: TemplateSpec, w: Value, packed: Value, constants: Constants, device: Target["device"]): Emitted;
}
