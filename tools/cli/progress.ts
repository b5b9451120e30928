// A progress line, which is rewritten in place on a terminal and not printed elsewhere.

export interface Progress {
  readonly update: (done: number, total: number) => void;
  readonly end: () => void;
}

/** A line `what 12/80` on stderr, if that is a terminal. */
export function progressLine(what: string): Progress {
  const live = process.stderr.isTTY === true;
  return {
    update: (done, total) => {
      if (live) process.stderr.write(`\r\x1b[K${what} ${done}/${total}`);
    },
    end: () => {
      if (live) process.stderr.write("\r\x1b[K");
    },
  };
}
