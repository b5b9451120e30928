// moproc convert: checkpoints between PyTorch's formats, safetensors and detectron2's, done by the native tool that
// shares the trainer's reader.

import { Command } from "commander";
import { nativeTool } from "./data.js";

export function convertCommand(): Command {
  return new Command("convert")
    .description("Checkpoints between .pth.tar, .pth, .safetensors and detectron2's .pkl.")
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(async (_o: unknown, self: Command) => {
      process.exitCode = await nativeTool("moproc-convert", self.args);
    });
}
