// A run to compare: a trace and, if they were written (--trace-state), the states after its steps. Gradients are
// computed from the momenta before and after a step: g = v' - momentum v - weight_decay p.

import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { BadFile, readJson, readSafetensors } from "./safetensors.mjs";

const momenta = "optimizer.momentum.";

/** Opens a trace T.json, or a folder with trace.json and step_NNNNNN.safetensors. Throws BadFile. */
export function openRun(path) {
  const folder = existsSync(path) && statSync(path).isDirectory();
  const trace = readJson(folder ? join(path, "trace.json") : path);
  if (!Array.isArray(trace?.steps) || typeof trace?.tensors !== "object")
    throw new BadFile(`${path}: is not a trace: it has no steps or no tensors`);
  const stateFile = (i) => join(path, `step_${String(i).padStart(6, "0")}.safetensors`);
  return {
    path,
    steps: trace.steps,
    tensors: new Map(Object.entries(trace.tensors)),
    /** The state after step i, or undefined if it was not written. */
    state: (i) => (folder && existsSync(stateFile(i)) ? readSafetensors(stateFile(i)) : undefined),
  };
}

/** The run from step n on. */
export const from = (run, n) => ({ ...run, steps: run.steps.slice(n), state: (i) => run.state(i + n) });

/**
 * Returns the function for the state before a step: the tensors that the replay file has for the step and, for the
 * others, the state after the previous step or, at the first step, that of the checkpoint.
 */
export function statesBefore({ replay, resume }) {
  const file = replay === undefined ? undefined : readSafetensors(replay);
  const start = resume === undefined ? undefined : readSafetensors(resume);
  return (i, previous) => {
    const prefix = `step${i}.state.`;
    const given = [...(file?.tensors ?? [])].filter(([name]) => name.startsWith(prefix));
    const own = i === 0 ? start : previous;
    if (!own && given.length === 0) return undefined;
    return new Map([...(own?.tensors ?? []), ...given.map(([name, t]) => [name.slice(prefix.length), t])]);
  };
}

/** The gradients by parameter; undefined if a state that they are computed from is missing. */
export function gradients(before, after) {
  if (!before || !after) return undefined;
  const [momentum, decay] = ["momentum", "weight_decay"].map((key) => Math.fround(Number(after.metadata[key])));
  if (Number.isNaN(momentum) || Number.isNaN(decay))
    throw new BadFile(`${after.path}: its metadata have no momentum or weight_decay`);
  const result = new Map();
  for (const [name, now] of after.tensors) {
    if (!name.startsWith(momenta)) continue;
    const param = name.slice(momenta.length);
    const [v, p] = [before.get(name), before.get(param)];
    if (!v || !p) return undefined;
    result.set(param, {
      shape: now.shape,
      data: Float64Array.from(now.data, (x, i) => x - momentum * v.data[i] - decay * p.data[i]),
    });
  }
  return result;
}

/**
 * The parts of the state that are compared as a whole in runs of several steps: name -> whether a tensor belongs to it.
 */
export const parts = {
  encoder_q: (n) => n.startsWith("encoder_q.") && /\.(weight|bias)$/.test(n),
  encoder_k: (n) => n.startsWith("encoder_k.") && /\.(weight|bias)$/.test(n),
  "encoder_q statistics": (n) => n.startsWith("encoder_q.") && /\.running_(mean|var)$/.test(n),
  "encoder_k statistics": (n) => n.startsWith("encoder_k.") && /\.running_(mean|var)$/.test(n),
  momenta: (n) => n.startsWith(momenta),
  queue: (n) => n === "queue",
  prototypes: (n) => n === "prototypes",
};

/** The tensors of a part, joined to one. */
export function joined(tensors, belongs) {
  const all = [...tensors].filter(([name]) => belongs(name)).map(([, t]) => t.data);
  const data = new Float64Array(all.reduce((n, d) => n + d.length, 0));
  let at = 0;
  for (const d of all) {
    for (let i = 0; i < d.length; i++) data[at + i] = Number(d[i]);
    at += d.length;
  }
  return { shape: [data.length], data };
}
