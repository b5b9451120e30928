// moproc data: sample folders, checks, shards, done by the native tool that shares its code.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { root } from "../../compiler/util/root.js";

export function dataCommand(): Command {
  const c = new Command("data").description("Sample data and checks of the image pipeline.");
  for (const [verb, what] of [
    ["sample", "write a data folder of drawn scenes with wrong labels and out-of-class images"],
    ["check", "decode every image of a data folder and say what is wrong with it"],
    ["pack", "write a data folder as tar shards, which every command reads like the folder"],
    ["pixels", "write images under the test transform as raw bytes, as an exported model takes them"],
    ["verify-pixels", "compare decoding, resizing and colour operations with the reference images of a folder"],
  ] as const) {
    c.addCommand(
      new Command(verb)
        .description(what)
        .helpOption(false)
        .allowUnknownOption()
        .allowExcessArguments()
        .action(async (_o: unknown, self: Command) => {
          process.exitCode = await nativeTool("moproc-data", [verb, ...self.args]);
        }),
    );
  }
  return c;
}

/** Runs a program of build/native with this terminal and returns its exit code. */
export const nativeTool = (name: string, args: readonly string[]): Promise<number> =>
  spawnTool(nativeToolFile(name), args);

/** Where a program of build/native lies. Throws, saying what to do, when it is not built. */
export function nativeToolFile(name: string): string {
  const candidates = [join(root, "build", "native", name), join(root, "build", "native", "tools", "data", name)];
  const file = candidates.find((f) => existsSync(f));
  if (!file) throw new Error(`${name} is not built: run npm run build`);
  return file;
}

/** Runs an executable with this terminal; a signal that ends it ends the promise with 128 + its number's usual code. */
export function spawnTool(file: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: "inherit" });
    const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on("SIGINT", forward).on("SIGTERM", forward).on("SIGUSR1", forward);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      process.off("SIGINT", forward).off("SIGTERM", forward).off("SIGUSR1", forward);
      resolve(code ?? (signal === "SIGINT" ? 130 : 143));
    });
  });
}
