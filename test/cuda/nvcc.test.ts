// The CUDA templates through nvcc, where there is one: no warning, no spilled register, no stack.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";

const sources = ["kernels.cu"];
const hasNvcc = spawnSync("nvcc", ["--version"]).status === 0;
const run = hasNvcc ? test.serial : test.serial.skip;
const why = hasNvcc ? "" : " (no nvcc on the PATH)";

/** What ptxas says of each kernel: registers, bytes of stack and spills. */
function resources(log: string): { name: string; registers: number; stack: number; spills: number }[] {
  return log
    .split("Compiling entry function '")
    .slice(1)
    .map((part) => {
      const number = (pattern: RegExp): number => Number(pattern.exec(part)?.[1] ?? Number.NaN);
      return {
        name: part.slice(0, part.indexOf("'")),
        registers: number(/Used (\d+) registers/),
        stack: number(/(\d+) bytes stack frame/),
        spills: number(/(\d+) bytes spill stores/) + number(/(\d+) bytes spill loads/),
      };
    });
}

for (const arch of ["sm_80", "sm_90a"]) {
  for (const source of sources) {
    run(`${source} for ${arch}: no warning, no spill${why}`, (t) => {
      const dir = mkdtempSync(join(tmpdir(), "moproc nvcc "));
      try {
        const { status, stdout, stderr } = spawnSync(
          "nvcc",
          [
            ...["-cubin", `-arch=${arch}`, "-std=c++20", "-Xptxas", "-v", "-I", join(root, "kernels")],
            ...["-o", join(dir, "kernels.cubin"), join(root, "test", "native", "cuda", source)],
          ],
          { encoding: "utf8", maxBuffer: 1 << 26 },
        );
        const log = stdout + stderr;
        t.is(status, 0, log);
        t.notRegex(log, /warning/i);
        const kernels = resources(log);
        t.true(kernels.length > 40, `${kernels.length} kernels`);
        t.deepEqual(
          kernels.filter((k) => !(k.stack === 0 && k.spills === 0 && k.registers <= 128)),
          [],
        );
      } finally {
        rmSync(dir, { recursive: true });
      }
    });
  }
}
