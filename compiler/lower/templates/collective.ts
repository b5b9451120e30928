// The templates of collectives. A collective launches no kernel; the templates only say that its operand and result are
// plain buffers.

import { plain, type TemplateSpec } from "../template.js";

const together = (op: string): TemplateSpec => ({
  name: op,
  op,
  ...plain,
  constants: () => ({}),
  launch: () => ({ tasks: [], workspaceBytes: 0, scratchBytes: 0 }),
  flops: () => 0,
});

export const collectives: readonly TemplateSpec[] = ["all_reduce", "all_gather", "own_rows"].map(together);
