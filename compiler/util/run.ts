// Child processes: one command, or many jobs of which a limited number runs at a time. Each command has a process group
// of its own. If a signal ends this process meanwhile, it ends these groups first: a compiler driver does not pass
// signals on, so the compiler below it would go on for seconds.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable } from "node:stream";

/**
 * Whether nohup started this process (tools/cli/moproc). Node gives children the default reaction to SIGHUP, which ends
 * them; a session of their own keeps the signal of a closed terminal away from them.
 */
export const underNohup = process.env.MOPROC_NOHUP !== undefined;

/** A tool is missing or has failed. The user's input is not the reason, so a command ends with exit code 1. */
export class ToolFailure extends Error {}

/** A signal ends this process, which needs no message. */
export class Stopped extends Error {
  constructor(readonly signal: NodeJS.Signals) {
    super(`stopped by ${signal}`);
  }
}

const PATIENCE_MS = 2000; // that a group has after SIGTERM, in which a compiler removes its unfinished files

/** The process groups of the commands that run. */
const groups = new Set<number>();
let stopped: Stopped | undefined;

function endGroups(signal: NodeJS.Signals, ending: Iterable<number> = groups): void {
  for (const group of ending)
    try {
      process.kill(-group, signal);
    } catch {} // it has just ended
}

/** Ends the commands; when they have ended, `forget` lets the signal have its usual effect. */
function stop(signal: NodeJS.Signals): void {
  stopped ??= new Stopped(signal);
  const ending = [...groups];
  endGroups("SIGTERM", ending);
  const left = (): number[] => ending.filter((group) => groups.has(group)); // not those that begin meanwhile
  setTimeout(() => endGroups("SIGKILL", left()), PATIENCE_MS).unref();
}

const signals: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", ...(underNohup ? [] : ["SIGHUP" as const])];

const endAll = (): void => endGroups("SIGTERM");

/** Begins to listen, unless commands run already. */
function listen(): void {
  if (groups.size > 0) return;
  for (const s of signals) process.on(s, stop);
  process.on("exit", endAll);
}

/** Ends to listen, unless commands run. */
function listenNoMore(): void {
  if (groups.size > 0) return;
  for (const s of signals) process.off(s, stop);
  process.off("exit", endAll);
}

function forget(group: number): void {
  groups.delete(group);
  listenNoMore();
  if (groups.size > 0) return;
  if (!stopped) return;
  const { signal } = stopped;
  // After those that wait for the commands have removed their files. A program with a listener decides itself.
  setImmediate(() => {
    stopped = undefined;
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  });
}

/**
 * Starts a command in a process group of its own, which ends if a signal ends this process. Throws Stopped if that is
 * under way.
 */
export function startTool(
  command: Command,
  args: readonly string[],
  cwd?: string,
): ChildProcessByStdio<null, Readable, Readable> {
  if (stopped) throw stopped;
  const [program, ...first] = command;
  listen(); // before the command runs, so that no signal comes in between
  const child = spawn(program, [...first, ...args], { cwd, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const { pid } = child;
  if (pid === undefined) listenNoMore();
  else {
    groups.add(pid);
    child.on("close", () => forget(pid));
  }
  return child;
}

/** A program and the arguments that always come first, as in `ccache g++`. */
export type Command = readonly [string, ...string[]];

const KEPT = 1 << 20; // characters of each stream; a compiler can print gigabytes
const SHOWN = 8000; // characters in an error

/**
 * Runs a command and returns its stdout. Rejects with ToolFailure if the command cannot start, exits with another code
 * than 0 or is killed; in the last two cases the message has the first 8000 characters of its stderr. Rejects with
 * Stopped if a signal ends this process meanwhile.
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
  throw new ToolFailure(`${[...command, ...args].join(" ")}: ${failure}\n${err.slice(0, SHOWN)}`);
}

/**
 * As `runSaying`, in the folder `cwd`, but does not reject if the command fails. `failure` is its signal or "exit code
 * N", unless 0.
 */
export function runToEnd(
  command: Command,
  args: readonly string[],
  cwd?: string,
): Promise<Said & { readonly failure: string | undefined }> {
  return new Promise((resolve, reject) => {
    const child = startTool(command, args, cwd);
    const [out, err] = [collect(child.stdout), collect(child.stderr)];
    child.on("error", (e) => reject(new ToolFailure(`${command[0]}: ${e.message}`)));
    child.on("close", (code, signal) => {
      if (stopped) return reject(stopped);
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
