// Runs programs of artefacts for worker_pool's caller, in a process of its own: a program that ends its process, by a
// division by 0 or an access outside of memory, then ends only this one.

import { type Artefact, load, type Values } from "node-cuda-rt";
import { execute, type Job } from "../foreign_program.js";

export interface Request {
  readonly dir: string; // of the artefact
  readonly job: Job;
}
export interface Reply {
  readonly outputs?: Readonly<Record<string, Values>>;
  readonly error?: string;
}

let loaded: Artefact | undefined;

process.on("message", async ({ dir, job }: Request) => {
  let reply: Reply;
  try {
    if (loaded?.dir !== dir) loaded = load(dir);
    reply = { outputs: await execute(loaded, job) };
  } catch (e) {
    reply = { error: (e as Error).message };
  }
  process.send?.(reply);
});
