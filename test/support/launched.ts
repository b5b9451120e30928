// Ranks that another launcher than moproc's own has started: torchrun's variables are in their environment.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";

export interface Rank {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly status: number | null; readonly err: string }>;
}

/** The variables of rank 0 or 1 of two on this machine. */
export const ofTwo = (rank: number, port: number): Readonly<Record<string, string>> => ({
  RANK: `${rank}`,
  WORLD_SIZE: "2",
  LOCAL_RANK: `${rank}`,
  LOCAL_WORLD_SIZE: "2",
  MASTER_ADDR: "127.0.0.1",
  MASTER_PORT: `${port}`,
});

/** Starts a command as rank 0 or 1 of two on this machine, in folder `cwd`. */
export function launchedRank(rank: number, port: number, command: readonly string[], cwd: string): Rank {
  const child = spawn(command[0] as string, command.slice(1), {
    cwd,
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...ofTwo(rank, port) },
  });
  let err = "";
  child.stderr?.setEncoding("utf8").on("data", (t: string) => (err += t));
  return { child, ended: new Promise((done) => child.on("close", (status) => done({ status, err }))) };
}

/** A port that was free just now. */
export function freePort(): number {
  const script = "const s=require('net').createServer().listen(0,()=>{console.log(s.address().port);s.close()})";
  return Number(spawnSync(process.execPath, ["-e", script], { encoding: "utf8" }).stdout);
}
