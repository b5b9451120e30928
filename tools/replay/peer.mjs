// Finds a Python with PyTorch, and runs the PyTorch peer with it.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { marks, requireFile } from "../../compiler/util/own.mjs";
import { BadFile } from "./safetensors.mjs";

const script = join(dirname(fileURLToPath(import.meta.url)), "..", "peers", "mopro_torch.py");

/**
 * Returns {python, version} of the first Python that has torch and numpy: MOPROC_PYTHON, or otherwise python3 or
 * Debian's. Returns undefined if there is none.
 */
export function findTorch() {
  const named = process.env.MOPROC_PYTHON;
  for (const python of named ? [named] : ["python3", "/usr/bin/python3"]) {
    const r = spawnSync(python, ["-c", "import numpy, torch; print(torch.__version__)"], {
      encoding: "utf8",
    });
    if (r.status === 0) return { python, version: r.stdout.trim() };
  }
  return undefined;
}

/** Runs the peer. If it fails, throws BadFile with the last line that it printed. */
export function runPeer({ python }, args) {
  const env = { OMP_WAIT_POLICY: "PASSIVE", ...process.env }; // threads that spin are slow on shared cores
  const r = spawnSync(python, [script, ...args], { encoding: "utf8", maxBuffer: 1 << 26, env });
  if (r.error) throw new BadFile(`${python}: ${r.error.message}`);
  if (r.status !== 0) throw new BadFile(`${script} ${args[0]}: ${(r.stderr || r.stdout).trim().split("\n").at(-1)}`);
}

/** Throws if the peer would replace a file in the folder that it did not write. */
function requireRun(folder) {
  requireFile(join(folder, "trace.json"), marks.json("moproc-trace-1"));
  const states = existsSync(folder) ? readdirSync(folder).filter((f) => /^step_\d+\.safetensors$/.test(f)) : [];
  for (const f of states) requireFile(join(folder, f), marks.safetensors);
}

/** The verb `make`. It takes the arguments of the peer and `--run DIR`. */
export function makeReplay(args) {
  const torch = findTorch();
  if (!torch) throw new BadFile("make needs python3 with torch and numpy (MOPROC_PYTHON names another python)");
  const value = (flag) => (args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined);
  const run = value("--run");
  const out = value("-o") ?? value("--out");
  if (out !== undefined) requireFile(out, marks.safetensors);
  if (run !== undefined) requireRun(run);
  const at = args.indexOf("--run");
  runPeer(torch, ["make", ...(run === undefined ? args : args.toSpliced(at, 2))]);
  if (run === undefined) return;
  mkdirSync(run, { recursive: true });
  const [resume, replay] = [value("--resume"), out];
  runPeer(torch, [
    "run",
    "--resume",
    resume,
    "--replay",
    replay,
    "--trace",
    join(run, "trace.json"),
    "--trace-state",
    run,
  ]);
}
