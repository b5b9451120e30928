// One line that is rewritten on a terminal, and silence elsewhere.

export interface Progress {
  readonly update: (done: number, total: number) => void;
  readonly end: () => void;
}

/** `what 12/80`, rewritten in place on stderr while it is a terminal. */
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
