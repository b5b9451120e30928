// moproc convert: converts checkpoints between PyTorch's formats, safetensors and detectron2's. A native tool does it,
// with the same reader as the trainer.

import type { Verb } from "./record.js";

export const convert: Verb = {
  name: "convert",
  usage: "IN OUT [flags]",
  purpose: "Converts checkpoints between .pth.tar, .pth, .safetensors and detectron2's .pkl.",
  native: { tool: "moproc-convert", args: [] },
};
