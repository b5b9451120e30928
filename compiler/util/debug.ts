// The debug ladder: MOPROC_DEBUG=1 phases and times, 2 passes, 3 every rewrite, 4 every fusion decision.

const level = Number(process.env.MOPROC_DEBUG ?? 0);

/** Prints to stderr when the level is reached; `text` is only called then. */
export function debug(at: 1 | 2 | 3 | 4, text: () => string): void {
  if (level >= at) process.stderr.write(`moproc: ${text()}\n`);
}

/** Runs `f` and reports its wall time at level 1. */
export function timed<T>(what: string, f: () => T): T {
  const start = performance.now();
  try {
    return f();
  } finally {
    debug(1, () => `${what} ${(performance.now() - start).toFixed(0)} ms`);
  }
}
