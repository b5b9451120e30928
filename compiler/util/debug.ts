// Debug output by level: MOPROC_DEBUG=1 prints phases and times, 2 also passes and the commands of the C++ compiler, 3
// also every rewrite.

const level = Number(process.env.MOPROC_DEBUG ?? 0);

/** Prints a line to stderr if MOPROC_DEBUG is at least `at`; `text` is called only then. */
export function debug(at: 1 | 2 | 3 | 4, text: () => string): void {
  if (level >= at) process.stderr.write(`moproc: ${text()}\n`);
}

/** Returns the result of `f` and prints its wall time in milliseconds at level 1, also if `f` throws. */
export function timed<T>(what: string, f: () => T): T {
  const start = performance.now();
  try {
    return f();
  } finally {
    debug(1, () => `${what} ${(performance.now() - start).toFixed(0)} ms`);
  }
}
