// A Python with PyTorch, where this machine has one: an independent reader of what we write. Nothing needs it.

import { spawnSync } from "node:child_process";

/** The first of MOPROC_PYTHON, python3 and Debian's that can import torch; undefined when none can. */
export function pythonWithTorch(): string | undefined {
  const named = process.env.MOPROC_PYTHON;
  const can = (python: string): boolean =>
    spawnSync(python, ["-c", "import torch, numpy"], { stdio: "ignore" }).status === 0;
  return (named ? [named] : ["python3", "/usr/bin/python3"]).find(can);
}
