// A process that runs programs (worker.ts) and is started again if one of them has ended it.

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Values } from "node-cuda-rt";
import type { Job } from "../foreign_program.js";
import type { Reply, Request } from "./worker.js";

const MINUTE = 60_000; // ms, for one run

export class WorkerProcess {
  private child: ChildProcess | undefined;

  /** Runs a program of the artefact at `dir`. Rejects if it throws, ends its process or takes more than a minute. */
  async run(dir: string, job: Job, limit = MINUTE): Promise<Readonly<Record<string, Values>>> {
    if (!this.child?.connected) this.close(); // it has ended between two runs
    this.child ??= fork(fileURLToPath(new URL("./worker.js", import.meta.url)), { serialization: "advanced" });
    const { child } = this;
    const reply = await new Promise<Reply>((resolve) => {
      const end = (r: Reply, over: boolean): void => {
        clearTimeout(timer);
        child.removeAllListeners();
        if (over) this.close();
        resolve(r);
      };
      const timer = setTimeout(() => end({ error: `the program did not end within ${limit / 1000} s` }, true), limit);
      child.once("message", (r: Reply) => end(r, false));
      child.once("error", (e) => end({ error: e.message }, true));
      child.once("exit", (code, signal) =>
        end({ error: `the program was ended by ${signal ?? `exit(${code})`}` }, true),
      );
      child.send({ dir, job } satisfies Request, (e) => e && end({ error: e.message }, true));
    });
    if (!reply.outputs) throw new Error(reply.error ?? "the program returned nothing");
    return reply.outputs;
  }

  /** The number of the process; undefined if none has been started or it has ended. */
  get pid(): number | undefined {
    return this.child?.pid;
  }

  close(): void {
    this.child?.kill("SIGKILL");
    this.child = undefined;
  }
}
