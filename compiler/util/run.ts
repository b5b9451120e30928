// Child processes: one command, or many jobs of which a limited number runs at a time.

import { spawn } from "node:child_process";
import type { Readable } from "node:stream";

/**
 * Whether nohup started this process (tools/cli/moproc). Node gives children the default reaction to SIGHUP, which ends
 * them; a session of their own keeps the signal of a closed terminal away from them.
 */
export const underNohup = process.env.MOPROC_NOHUP !== undefined;

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

/** What a command printed: of each stream the first MiB, and then how much was left out. */
interface Said {
  readonly out: string;
  readonly err: string;
}

/** As `run`, but returns stdout (`out`) and stderr (`err`). */
export async function runSaying(command: Command, args: readonly string[]): Promise<Said> {
  const { failure, out, err } = await runToEnd(command, args);
  if (failure === undefined) return { out, err };
  throw new Error(`${[...command, ...args].join(" ")}: ${failure}\n${err.slice(0, SHOWN)}`);
}

/**
 * As `runSaying`, in the folder `cwd`, but rejects only if the command cannot start. `failure` is its signal or "exit
 * code N", unless 0.
 */
export function runToEnd(
  command: Command,
  args: readonly string[],
  cwd?: string,
): Promise<Said & { readonly failure: string | undefined }> {
  const [program, ...first] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...first, ...args], {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      detached: underNohup,
    });
    const [out, err] = [collect(child.stdout), collect(child.stderr)];
    child.on("error", (e) => reject(new Error(`${program}: ${e.message}`)));
    child.on("close", (code, signal) => {
      const failure = code === 0 ? undefined : (signal ?? `exit code ${code}`);
      resolve({ failure, out: out(), err: err() });
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
