// The most memory that a process needs to load a network and run it once: ours from an artefact and a file of weights,
// ONNX Runtime's from the model. As a program, it is that process: it prints its peak in kB.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Artefact } from "node-cuda-rt";
import { elements } from "../../compiler/ir/types.js";
import { encodeModel } from "../../compiler/onnx/proto.js";
import type { Subject } from "./both.js";

const file = fileURLToPath(import.meta.url);

/** The peaks of ours and of ONNX Runtime in MB. The model must have one input, of f32. */
export function peakMemory(s: Subject, artefact: string, a: Artefact, threads: number): readonly [number, number] {
  const dir = mkdtempSync(join(tmpdir(), "moproc-bench-"));
  try {
    const [weights, model] = [join(dir, "weights.safetensors"), join(dir, "model.onnx")];
    a.save(weights);
    writeFileSync(model, encodeModel(s.model));
    const [input] = s.inputs;
    const shape = [input?.name ?? "", ...(input?.dims ?? []).map(String)];
    const peak = (args: readonly string[]): number => {
      const r = spawnSync(process.execPath, [file, ...args, `${threads}`, ...shape], { encoding: "utf8" });
      if (r.status !== 0) throw new Error(`${s.name}: measuring memory: ${r.stderr}`);
      return Math.round(Number(r.stdout) / 1e3);
    };
    return [peak(["ours", artefact, weights]), peak(["peer", model, ""])];
  } finally {
    rmSync(dir, { recursive: true });
  }
}

async function run([which, path = "", weights = "", threads, name = "", ...dims]: readonly string[]): Promise<void> {
  const shape = dims.map(Number);
  const x = new Float32Array(elements(shape)).fill(0.5);
  if (which === "ours") {
    const { load } = await import("node-cuda-rt");
    const a = load(path, { threads: Number(threads) });
    a.load_state(weights);
    const [program] = a.programs.filter((p) => p.inputs.length === 1);
    await a.run(program?.name ?? "", { [program?.inputs[0]?.name ?? name]: x });
  } else {
    const ort = await import("onnxruntime-node");
    const session = await ort.InferenceSession.create(path, {
      intraOpNumThreads: Number(threads),
      logSeverityLevel: 3,
    });
    await session.run({ [name]: new ort.Tensor("float32", x, shape) });
  }
  process.stdout.write(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "NaN");
}

if (process.argv[1] === file) await run(process.argv.slice(2));
