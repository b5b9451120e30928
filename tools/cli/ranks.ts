// Finds the number of ranks that a training command will have, so that the artefact contains programs for that number.
// The binary reads the same environment more carefully (runtime/comm/launch.cc), and its result counts.

import { spawnSync } from "node:child_process";
import { nativeFile } from "../../compiler/emit/native.js";

type Env = Readonly<Record<string, string | undefined>>;

const count = (text: unknown): number => {
  const n = Number(text ?? 1);
  return Number.isInteger(n) && n > 0 ? n : 1; // the binary refuses anything else
};

/** The rank and ranks that a launcher has set for this process; undefined if no launcher started it. */
const launched = (env: Env): { readonly ranks: number; readonly rank: number } | undefined => {
  if (env.LOCAL_RANK && env.WORLD_SIZE) return { ranks: count(env.WORLD_SIZE), rank: Number(env.RANK ?? 0) };
  if (env.OMPI_COMM_WORLD_RANK)
    return { ranks: count(env.OMPI_COMM_WORLD_SIZE), rank: Number(env.OMPI_COMM_WORLD_RANK) };
  if (env.PMI_RANK && env.MPI_LOCALRANKID) return { ranks: count(env.PMI_SIZE), rank: Number(env.PMI_RANK) };
  if (env.SLURM_STEP_ID && env.SLURM_PROCID)
    return { ranks: count(env.SLURM_STEP_NUM_TASKS ?? env.SLURM_NTASKS), rank: Number(env.SLURM_PROCID) };
  return undefined;
};

/** Whether a launcher that waits for its ranks has started this process. RANK alone may be set by hand. */
export const hasLauncher = (env: Env = process.env): boolean =>
  launched(env) !== undefined &&
  [env.TORCHELASTIC_RUN_ID, env.OMPI_COMM_WORLD_RANK, env.PMI_RANK, env.SLURM_PROCID].some((v) => v !== undefined);

/**
 * The number of ranks of the whole run: that of the launcher that started this process or, without one, nodes times
 * --nproc-per-node or, with --multiprocessing-distributed for GPUs, nodes times the GPUs of this node, which `gpus`
 * counts.
 */
export function rankCount(
  options: Readonly<Record<string, unknown>>,
  env: Env = process.env,
  gpus: () => number = gpuCount,
): number {
  const nodes = options.worldSize ?? (env.MASTER_ADDR && env.RANK ? env.WORLD_SIZE : undefined);
  const eachGpu =
    options.multiprocessingDistributed === true && options.target === "cuda" && options.nprocPerNode === undefined;
  const own = (): number => (options.nprocPerNode === "auto" ? memoryNodes() : count(options.nprocPerNode));
  return launched(env)?.ranks ?? count(nodes) * (eachGpu ? gpus() : own());
}

/** The number of GPUs that the driver reports; 1 if there is none, which the binary then refuses with the reason. */
function gpuCount(): number {
  const r = spawnSync(nativeFile("moproc-gpu"), ["count"], { encoding: "utf8" });
  return r.status === 0 ? count(r.stdout.trim()) : 1;
}

/** The memory nodes (NUMA) of this machine, each of which gets a rank with --nproc-per-node auto. */
function memoryNodes(): number {
  return count(spawnSync(nativeFile("moproc-cpu"), ["--nodes"], { encoding: "utf8" }).stdout?.trim());
}

/** Whether this process is rank 0, which prints for all ranks. */
export const isFirstRank = (env: Env = process.env): boolean => (launched(env)?.rank ?? Number(env.RANK ?? 0)) === 0;
