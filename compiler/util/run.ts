// Child processes: one command, or many jobs of which a limited number runs at a time.

import { spawn } from "node:child_process";

/**
 * Runs a command and returns its stdout. Rejects if the command cannot start, exits with another code than 0 or is
 * killed; in the last two cases the message has the first 8000 characters of its stderr.
 */
export const run = async (command: string, args: readonly string[]): Promise<string> =>
  (await runSaying(command, args)).out;

/** As `run`, but returns stdout (`out`) and stderr (`err`). */
export function runSaying(
  command: string,
  args: readonly string[],
): Promise<{ readonly out: string; readonly err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    let err = "";
    child.stdout.on("data", (d: Buffer) => (out += d.toString()));
    child.stderr.on("data", (d: Buffer) => (err += d.toString()));
    child.on("error", (e) => reject(new Error(`${command}: ${e.message}`)));
    child.on("close", (code, signal) => {
      if (code === 0) resolve({ out, err });
      else reject(new Error(`${command} ${args.join(" ")}: ${signal ?? `exit code ${code}`}\n${err.slice(0, 8000)}`));
    });
  });
}

/**
 * Runs `job` for every item, at most `limit` at a time. After a failure no further job begins; the promise rejects with
 * the first failure when the running jobs have ended.
 */
export async function runAll<T>(limit: number, items: readonly T[], job: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  let failed: unknown;
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined && failed === undefined; item = queue.shift()) {
      await job(item).catch((e: unknown) => (failed ??= e));
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  if (failed !== undefined) throw failed;
}
