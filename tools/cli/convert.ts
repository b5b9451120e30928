// moproc convert: checkpoints between PyTorch's formats, safetensors and detectron2's, done by the native tool that
// shares the trainer's reader.

import type { Verb } from "./record.js";

export const convert: Verb = {
  name: "convert",
  usage: "IN OUT [flags]",
  purpose: "Converts checkpoints between .pth.tar, .pth, .safetensors and detectron2's .pkl.",
  native: { tool: "moproc-convert", args: [] },
};
