// Child processes: one command, or many jobs of which a limited number runs at a time.

import { spawn } from "node:child_process";
import type { Readable } from "node:stream";

/** A program and the arguments that always come first, as in `ccache g++`. */
export type Command = readonly [string, ...string[]];

const KEPT = 1 << 20; // characters of each stream; a compiler can print gigabytes
const SHOWN = 8000; // characters in an error

/**
 * Runs a command and returns its stdout. Rejects if the command cannot start, exits with another code than 0 or is
 * killed; in the last two cases the message has the first 8000 characters of its stderr.
 */
export const run = async (command: Command, args: readonly string[]): Promise<string> =>
  (await runSaying(command, args)).out;

/** As `run`, but returns stdout (`out`) and stderr (`err`), of each the first MiB and then how much was left out. */
export function runSaying(
  command: Command,
  args: readonly string[],
): Promise<{ readonly out: string; readonly err: string }> {
  const [program, ...first] = command;
  const line = [program, ...first, ...args].join(" ");
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...first, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const [out, err] = [collect(child.stdout), collect(child.stderr)];
    child.on("error", (e) => reject(new Error(`${program}: ${e.message}`)));
    child.on("close", (code, signal) => {
      if (code === 0) resolve({ out: out(), err: err() });
      else reject(new Error(`${line}: ${signal ?? `exit code ${code}`}\n${err().slice(0, SHOWN)}`));
    });
  });
}

/** Collects what a stream brings, up to KEPT characters; the function returns it. */
function collect(stream: Readable): () => string {
  let text = "";
  let more = 0;
  stream.setEncoding("utf8").on("data", (d: string) => {
    const room = KEPT - text.length;
    text += d.slice(0, room);
    more += Math.max(0, d.length - room);
  });
  return () => (more === 0 ? text : `${text}\n(${more} more characters were left out)\n`);
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
